"""Rows made to break a compiled model: values on and beside every edge at which a model may change its answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.kernel.columns import dtype_of
from canario.kernel.kernel import Columns, rows_of
from canario.model.card import Card, Column, ColumnKind

MOST_BASES = 32
"""So many of the given rows are varied."""

MOST_EDGES = 100
"""So many edges are tried in a column; each gives seven values."""

MOST_TEXTS = 40
SHUFFLED_ROWS = 500

UNSEEN = "\x00 never seen"
TEXTS = (
    "",
    " ",
    "a",
    "A",
    "1_2 3",
    "São Paulo ÀÉÎÕÜ",
    "\u0130I \u0131i \u00df \u1e9e \u01c5 \ufb01",
    "a\x00b",
    "e\u0301 o\u0308",
    "日本 語",
    "a\tb\nc\u00a0d",
    "\u200ba b\u200b",
)
"""Texts on which rules for words and for lower case differ from one library to another."""


def rows_within(card: Card, given: Columns, splits: NDArray[np.float64], seed: int = 0) -> dict[str, NDArray[Any]]:
    """Rows that the card allows: given ones with one value moved to an edge, and given values in new combinations.

    `splits` are the thresholds of the model's trees.
    """
    random = np.random.default_rng(seed)
    shuffled = {name: values[random.integers(0, len(values), SHUFFLED_ROWS)] for name, values in given.items()}
    varied = (_varied(given, column, _values(column, given[column.name], splits)) for column in card.columns)
    return _together([shuffled, *varied])


def rows_outside(card: Card, given: Columns) -> list[dict[str, NDArray[Any]]]:
    """Single rows that the card does not allow, though the model may answer them: words that it has never seen."""
    categories = [column for column in card.columns if column.kind is ColumnKind.CATEGORY]
    return [_varied(given, column, [UNSEEN]) for column in categories]


def _values(column: Column, given: NDArray[Any], splits: NDArray[np.float64]) -> Sequence[Any]:
    match column.kind:
        case ColumnKind.CATEGORY:
            return [*column.categories, *([""] if column.nullable else [])]
        case ColumnKind.TEXT:
            return _texts(column, given)
        case ColumnKind.BOOLEAN:
            values: Sequence[Any] = [False, True]
        case ColumnKind.INTEGER:
            edges = _edges(column, given, splits)
            values = _inside(column, given, np.concatenate([np.floor(edges), np.ceil(edges)])).tolist()
        case ColumnKind.NUMBER:
            values = _inside(column, given, _beside(_edges(column, given, splits))).tolist()
    return [*values, *([np.nan] if column.nullable else [])]


def _texts(column: Column, given: NDArray[Any]) -> Sequence[str]:
    some = [str(text) for text in given[:MOST_TEXTS]]
    made = [
        made
        for text in some
        for made in (text.upper(), f"{text} {text}", text.replace(" ", "-"), text[: len(text) // 2])
    ]
    return [text[: column.longest_characters] for text in (*TEXTS, "a" * column.longest_characters, *made)]


def _edges(column: Column, given: NDArray[Any], splits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds in the column's range, and points between neighbouring values, where trees set their thresholds."""
    seen = np.unique(given[~np.isnan(given)]) if given.dtype.kind == "f" else np.unique(given)
    low, high = _range(column, given)
    thresholds = _some(np.unique(splits[(splits >= low) & (splits <= high)]))
    between = _some((seen[:-1] + seen[1:]) / 2)
    return np.concatenate([[low, high, 0.0], thresholds, between]).astype(np.float64)


def _beside(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each edge with its neighbours one step away, among doubles and among floats."""
    narrow = edges.astype(np.float32)
    floats = [narrow, *(np.nextafter(narrow, np.float32(end)) for end in (-np.inf, np.inf))]
    doubles = [edges, *(np.nextafter(edges, end) for end in (-np.inf, np.inf))]
    return np.unique(np.concatenate([*doubles, *(each.astype(np.float64) for each in floats)]))


def _range(column: Column, given: NDArray[Any]) -> tuple[float, float]:
    present = given[~np.isnan(given)] if given.dtype.kind == "f" else given
    low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)
    return (
        low if column.minimum is None else column.minimum,
        high if column.maximum is None else column.maximum,
    )


def _inside(column: Column, given: NDArray[Any], values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = _range(column, given)
    return np.unique(values[(values >= low) & (values <= high)])


def _some(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most so many as are tried, spread evenly."""
    if len(values) <= MOST_EDGES:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_EDGES).astype(np.intp)]


def _varied(given: Columns, column: Column, values: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """Given rows, one after the other, with one column's value replaced by each of the values."""
    bases = np.linspace(0, rows_of(given) - 1, min(MOST_BASES, rows_of(given))).astype(np.intp)
    chosen = bases[np.arange(len(values)) % len(bases)]
    return {
        name: np.array(values, dtype=dtype_of(column)) if name == column.name else old[chosen]
        for name, old in given.items()
    }


def _together(parts: Iterable[Columns]) -> dict[str, NDArray[Any]]:
    listed = list(parts)
    return {name: np.concatenate([part[name] for part in listed]) for name in listed[0]}
