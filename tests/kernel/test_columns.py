"""Rows between pandas and the typed columns of a card."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from canario.errors import InputError
from canario.kernel.columns import columns_from_frame, dtype_of, frame_from_columns
from canario.model.card import Card, Column, ColumnKind, Label, Task

KINDS = {
    "number": Column(name="number", kind=ColumnKind.NUMBER),
    "number or null": Column(name="number or null", kind=ColumnKind.NUMBER, nullable=True),
    "integer": Column(name="integer", kind=ColumnKind.INTEGER),
    "integer or null": Column(name="integer or null", kind=ColumnKind.INTEGER, nullable=True),
    "boolean": Column(name="boolean", kind=ColumnKind.BOOLEAN),
    "boolean or null": Column(name="boolean or null", kind=ColumnKind.BOOLEAN, nullable=True),
    "category": Column(name="category", kind=ColumnKind.CATEGORY, categories=("a", "b")),
    "text": Column(name="text", kind=ColumnKind.TEXT),
}
CARD = Card(name="all", title="All", columns=tuple(KINDS.values()), label=Label(name="y", task=Task.REGRESSION))
DTYPES = ["float64", "float64", "int64", "float64", "bool", "float64", "object", "object"]

VALUES = {
    "number": some.floats(allow_nan=False),
    "number or null": some.floats(),
    "integer": some.integers(-(2**63), 2**63 - 1),
    "integer or null": some.one_of(some.integers(-(2**53), 2**53), some.just(float("nan"))),
    "boolean": some.booleans(),
    "boolean or null": some.sampled_from([0.0, 1.0, float("nan")]),
    "category": some.sampled_from(["", "a", "b"]),
    "text": some.text(),
}


def one(column: str, values: list[object], **others: object) -> np.ndarray:
    card = Card(name="one", title="One", columns=(KINDS[column],), label=CARD.label)
    return columns_from_frame(card, pd.DataFrame({column: values, **others}))[column]


@settings(max_examples=50, deadline=None)
@given(some.lists(some.fixed_dictionaries(VALUES), min_size=1, max_size=8))
def test_a_round_trip_through_pandas_keeps_every_bit(rows: list[dict[str, object]]) -> None:
    """Columns become a frame and columns again without one changed bit, whatever the values."""
    columns = {name: np.array([row[name] for row in rows], dtype=dtype_of(column)) for name, column in KINDS.items()}
    frame = frame_from_columns(CARD, columns)
    back = columns_from_frame(CARD, frame)
    assert [str(dtype) for dtype in frame.dtypes] == DTYPES
    assert [*back] == [*columns]
    for name, values in columns.items():
        assert back[name].dtype == values.dtype
        assert back[name].tolist() == values.tolist() or back[name].tobytes() == values.tobytes()


def test_columns_come_in_the_order_of_the_card_and_others_are_left_out() -> None:
    """A file may hold its columns in any order, and more of them."""
    columns = {name: [values] for name, values in zip(KINDS, [1.5, 2.5, 3, 4, True, 1, "a", "b"], strict=True)}
    frame = pd.DataFrame({"unknown": [0], **dict(reversed(columns.items()))})
    assert [*columns_from_frame(CARD, frame)] == [*KINDS]


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_every_way_to_say_nothing_is_one_null(nothing: object) -> None:
    """None, NaN and NA are NaN among numbers and the empty word among words."""
    assert np.isnan(one("number or null", [nothing, 1.0])[0])
    assert np.isnan(one("integer or null", [nothing, 1])[0])
    assert np.isnan(one("boolean or null", [nothing, True])[0])
    assert one("text", [nothing, "words"]).tolist() == ["", "words"]


@pytest.mark.parametrize(
    ("dtype", "values", "column"),
    [
        ("Int64", [1, None], "integer or null"),
        ("boolean", [True, None], "boolean or null"),
        ("string", ["a", None], "text"),
    ],
)
def test_types_of_pandas_own_are_read(dtype: str, values: list[object], column: str) -> None:
    """Files read with pandas' own types give the same columns as numpy's."""
    read = one(column, list(pd.Series(values, dtype=dtype)))
    assert read.dtype == dtype_of(KINDS[column])


def test_a_whole_number_stays_whole() -> None:
    """An integer beyond the exact range of doubles is not rounded."""
    assert one("integer", [2**62 + 1]).tolist() == [2**62 + 1]


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("integer", [1.5], "whole number"),
        ("integer", [None, 1], "missing"),
        ("number", [None, 1.0], "missing"),
        ("number", ["high"], "could not convert"),
        ("boolean", [2], "neither true nor false"),
        ("boolean", ["yes"], "could not convert"),
        ("category", [7], "not text"),
        ("text", [b"bytes"], "not text"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(column: str, values: list[object], reason: str) -> None:
    """A value that its column cannot hold is refused, never bent; the error names the column."""
    with pytest.raises(InputError, match=reason) as refused:
        one(column, values)
    assert refused.value.at == column


def test_a_missing_column_is_named() -> None:
    """A file without a column of the card is refused with the column's name."""
    with pytest.raises(InputError, match="no column number") as refused:
        columns_from_frame(CARD, pd.DataFrame({"text": ["a"]}))
    assert refused.value.at == "number"
