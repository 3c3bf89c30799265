"""Count a version's training rows and scores into the bins that drift later compares with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.model.card import Card, Column, ColumnKind
from canario.model.reference import Reference, Spread

BINS = 10
"""Ten bins of equal counts, the convention of the population stability index (Siddiqi, Credit Risk Scorecards, 2006)."""


def reference_of(card: Card, columns: Mapping[str, NDArray[Any]], scores: NDArray[np.float64]) -> Reference:
    """The spread of each column of the rows trained on, and of the scores given to later rows."""
    spreads = {column.name: _spread(column, columns[column.name]) for column in card.columns}
    return Reference(columns=spreads, scores=_numbers(scores))


def _spread(column: Column, values: NDArray[Any]) -> Spread:
    if column.kind is ColumnKind.CATEGORY:
        counts = tuple(int((values == word).sum()) for word in column.categories)
        return Spread(words=column.categories, counts=counts, nulls=int((values == "").sum()))
    if column.kind is ColumnKind.TEXT:
        lengths = np.array([len(text) for text in values], dtype=np.float64)
        return _numbers(np.where(lengths == 0, np.nan, lengths))
    return _numbers(values.astype(np.float64))


def _numbers(values: NDArray[np.float64]) -> Spread:
    present = values[~np.isnan(values)]
    nulls = len(values) - len(present)
    if not len(present):
        return Spread(counts=(0,), nulls=nulls)
    quantiles = np.quantile(present, np.arange(1, BINS) / BINS)
    # Values that occur often give equal quantiles, and the smallest value would open a bin that stays empty.
    edges = [edge for edge in np.unique(quantiles) if edge > present.min()]
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return Spread(edges=tuple(float(edge) for edge in edges), counts=tuple(counts.tolist()), nulls=nulls)
