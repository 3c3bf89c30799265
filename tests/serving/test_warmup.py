"""The rows that a version brings along are read as they were when it was trained."""

from __future__ import annotations

import numpy as np
import pandas as pd

from canario.kernel.columns import columns_from_frame
from canario.kernel.warmup import read_warmup
from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.packaging.training import warmup
from tests.serving.small_versions import SHOP, shop_rows

GAPS = Card(
    name="gaps",
    title="Every kind of column, each of which may be missing",
    columns=(
        Column(name="number", kind=ColumnKind.NUMBER, nullable=True),
        Column(name="integer", kind=ColumnKind.INTEGER, nullable=True),
        Column(name="boolean", kind=ColumnKind.BOOLEAN, nullable=True),
        Column(name="category", kind=ColumnKind.CATEGORY, categories=("a", "b"), nullable=True),
    ),
    label=Label(name="verdict", task=Task.CLASSIFICATION, classes=("no", "yes")),
)
ROWS = pd.DataFrame(
    {
        "number": [0.1, None, 3.0],
        "integer": [1, 2, None],
        "boolean": [None, True, False],
        "category": ["a", None, "b"],
    }
)


def test_rows_to_warm_up_with_are_those_that_were_kept() -> None:
    """Whatever the columns are, and whatever is missing in them, a server warms up with the rows that training put aside."""
    for card, rows in ((GAPS, ROWS), (SHOP, shop_rows(4, 1))):
        kept = columns_from_frame(card, rows)
        read = read_warmup(card, warmup(card, rows), "warmup.json")
        for name, values in kept.items():
            assert read[name].dtype == values.dtype
            np.testing.assert_array_equal(read[name], values)
