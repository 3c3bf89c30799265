"""A version whose card was written by an enemy: every text tries to break out of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from canario.model.card import Card, Column, ColumnKind, Label, Task
from tests.serving.small_versions import make_version

SCRIPT = "</script><script>window.hacked = 1</script>"
IMAGE = "\"><img src=x onerror='window.hacked = 2'>"
TEMPLATE = "{{ 7 * 7 }}{label}{% raw %}<!--"

HOSTILE = Card(
    name="hostile",
    title=f"Title {SCRIPT}",
    description=f"Description {IMAGE}",
    columns=(
        Column(name=f"n{SCRIPT}", kind=ColumnKind.NUMBER, title=IMAGE, unit=SCRIPT, description=TEMPLATE, example=1.5),
        Column(name="__proto__", kind=ColumnKind.INTEGER, example=2),
        Column(
            name="c<img src=x onerror='window.hacked = 3'>",
            kind=ColumnKind.CATEGORY,
            title=TEMPLATE,
            categories=(SCRIPT, IMAGE),
            example=IMAGE,
        ),
        Column(name="submit", kind=ColumnKind.TEXT, example=f"{IMAGE}{SCRIPT}"),
    ),
    label=Label(name=SCRIPT, task=Task.CLASSIFICATION, title=IMAGE, classes=(IMAGE, SCRIPT, TEMPLATE)),
)


def make_hostile(folder: Path) -> Path:
    """The version's folder."""
    some = np.random.default_rng(1)
    number, whole, category, text = HOSTILE.column_names
    rows = pd.DataFrame(
        {
            number: some.uniform(0, 9, 60),
            whole: some.integers(0, 9, 60),
            category: some.choice([SCRIPT, IMAGE], 60),
            text: "words",
        }
    )
    truth = np.array(HOSTILE.label.classes, dtype=object)[np.arange(60) % 3]
    estimator = make_pipeline(make_column_transformer(("passthrough", [number, whole])), LogisticRegression())
    return make_version(folder, HOSTILE, estimator, rows, truth)
