"""Count a version's training rows and scores into the bins that drift later compares with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from canario.drift.bins import measured
from canario.drift.novelty import is_novel, lonely_rows, vocabulary_of
from canario.kernel.predictions import Predictions
from canario.model.card import Card, Column, ColumnKind
from canario.model.reference import Reference, Spread

BINS = 10
"""Ten bins of equal counts, the convention of the population stability index (Siddiqi, Credit Risk Scorecards, 2006)."""
SHUFFLED_ROWS = 500
"""Rows for measuring how far a column moves the scores: enough to order the columns, and quick for every estimator."""


def reference_of(
    card: Card,
    columns: Mapping[str, NDArray[Any]],
    predictions: Predictions,
    truth: NDArray[Any],
    importances: Mapping[str, float],
    later: Mapping[str, NDArray[Any]] | None = None,
) -> Reference:
    """The spread of each column of the rows trained on, and of the scores given to later rows.

    `truth` belongs to the rows of `predictions`; it is empty when it is not known. `later` are these rows' columns; without
    them nothing is said about new words.
    """
    spreads = {column.name: _spread(column, columns[column.name]) for column in card.columns}
    for column in card.columns:
        if later is not None and column.kind is ColumnKind.TEXT:
            spreads[column.name] = _with_words(
                spreads[column.name], columns[column.name].tolist(), later[column.name].tolist()
            )
    two_classes = len(card.label.classes) == 2
    scores = _numbers(predictions.scores, extra_edges=(card.label.threshold,) if two_classes else ())
    positives: tuple[int, ...] = ()
    if two_classes and len(truth):
        happened = predictions.scores[truth == card.label.classes[1]]
        positives = _counts(scores.edges, happened)
    return Reference(columns=spreads, scores=scores, positives=positives, importances=dict(importances))


def importances_of(
    card: Card, rows: pd.DataFrame, score: Callable[[pd.DataFrame], NDArray[np.float64]]
) -> dict[str, float]:
    """How far each column moves the scores, as a share of all: the mean change when its values change places among the rows.

    It needs no truth, so that an adopted model has it too. All 0 when no column moves anything.
    """
    random = np.random.default_rng(0)
    few = rows.iloc[np.linspace(0, len(rows) - 1, min(SHUFFLED_ROWS, len(rows))).round().astype(np.intp)]
    few = few.reset_index(drop=True)
    before = score(few)
    changes = {}
    for column in card.columns:
        values = few[column.name].take(random.permutation(len(few)))
        changes[column.name] = float(np.abs(score(few.assign(**{column.name: values.array})) - before).mean())
    total = sum(changes.values())
    return {name: change / total if total else 0.0 for name, change in changes.items()}


def _spread(column: Column, values: NDArray[Any]) -> Spread:
    if column.kind is ColumnKind.CATEGORY:
        counts = tuple(int((values == word).sum()) for word in column.categories)
        return Spread(words=column.categories, counts=counts, nulls=int((values == "").sum()))
    numbers = measured(column.kind, values)
    if column.kind is ColumnKind.BOOLEAN:
        present = numbers[~np.isnan(numbers)]
        return Spread(edges=(1.0,), counts=_counts((1.0,), present), nulls=len(numbers) - len(present))
    return _numbers(numbers)


def _with_words(spread: Spread, texts: list[str], later: list[str]) -> Spread:
    """The words, and how often a row holds a new one: among later rows, and among rows of the same time.

    The two together are more rows, so that less is left to chance; but where words come up over time, only later rows tell.
    """
    vocabulary = vocabulary_of(texts)
    known = frozenset(vocabulary)
    novel, rows = sum(is_novel(known, text) for text in later), len(later)
    lonely = lonely_rows(texts)
    if (novel + lonely) * rows >= novel * (rows + len(texts)):
        novel, rows = novel + lonely, rows + len(texts)
    return replace(spread, vocabulary=vocabulary, judged_rows=rows, novel_rows=novel)


def _numbers(values: NDArray[np.float64], extra_edges: tuple[float, ...] = ()) -> Spread:
    present = values[~np.isnan(values)]
    nulls = len(values) - len(present)
    if not len(present):
        return Spread(edges=extra_edges, counts=(0,) * (len(extra_edges) + 1), nulls=nulls)
    quantiles, times = np.unique(np.quantile(present, np.arange(1, BINS) / BINS), return_counts=True)
    # The smallest value would open a bin that stays empty.
    inner = {float(edge) for edge in quantiles if edge > present.min()}
    # A value that many rows have gets a bin of its own, or nobody would see when larger ones come instead of it.
    for often in quantiles[(times > 1) | (quantiles == present.min())]:
        larger = present[present > often]
        inner |= {float(larger.min())} if len(larger) else set()
    if present.min() == present.max():
        inner = {float(present[0]), float(np.nextafter(present[0], np.inf))}
    edges = tuple(sorted(inner | set(extra_edges)))
    return Spread(edges=edges, counts=_counts(edges, present), nulls=nulls)


def _counts(edges: tuple[float, ...], values: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).tolist())
