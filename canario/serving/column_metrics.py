"""What answered rows look like, counted into the bins of the version's reference: each column, the scores, words never seen before.

Prometheus makes drift of it: the reference stands beside the counts in the same bins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from canario.drift import bins
from canario.drift.budget import quantile
from canario.drift.novelty import evidence_limit, is_novel
from canario.kernel.kernel import Columns
from canario.model.card import Card, Column
from canario.model.reference import Reference, Spread
from canario.serving.counting import Labels, gauge


class Found(NamedTuple):
    """What many rows add."""

    columns: list[list[int]]
    novel: list[int]
    scores: list[int]


class Spreads:
    """Counts beside a reference, of the columns that it knows. Takes no lock; `found_in` alone needs none."""

    def __init__(self, card: Card, reference: Reference) -> None:
        self._reference = reference
        self._columns = [
            _CountedColumn(place, column, reference.columns[column.name])
            for place, column in enumerate(card.columns)
            if column.name in reference.columns
        ]
        self._texts = [each for each in self._columns if each.vocabulary]
        # Values alone: the lists that they came in go back to where the next request takes its own from.
        self._waiting: list[list[Any]] = [[] for _ in card.columns]
        self._waiting_scores: list[float] = []
        self._shares = len(card.columns)
        """How many columns share the budget of false alarms; the scores have one of their own."""
        self._score_bins = bins.score_bins(card, reference)
        self._score_counts = [0] * len(self._score_bins)
        self._score_edges = reference.scores.edges

    def take(self, cells: Sequence[Sequence[Any]], scores: Sequence[float]) -> None:
        """Keep a few rows until `count_waiting`, given the cells of every column of the card."""
        for waiting, some in zip(self._waiting, cells, strict=True):
            waiting.extend(some)
        self._waiting_scores += scores

    def count_waiting(self) -> None:
        """Count the rows that were taken."""
        for each in self._columns:
            placer, counts, waiting = each.placer, each.counts, self._waiting[each.place]
            for cell in waiting:
                counts[placer(cell)] += 1
            if each.vocabulary:
                each.novel_rows += sum(is_novel(each.vocabulary, text) for text in waiting)
        for waiting in self._waiting:
            waiting.clear()
        for score in self._waiting_scores:
            self._score_counts[bisect_right(self._score_edges, score)] += 1
        self._waiting_scores.clear()

    def found_in(self, columns: Columns, scores: NDArray[np.float64]) -> Found:
        """Of many rows: how many fall into each bin, and how many are novel; counts nothing yet."""
        places = bins.score_places(self._reference, scores)
        return Found(
            columns=[
                bins.count(each.column.kind, each.spread, columns[each.column.name]).tolist() for each in self._columns
            ],
            novel=[
                sum(is_novel(each.vocabulary, text) for text in columns[each.column.name].tolist())
                for each in self._texts
            ],
            scores=np.bincount(places, minlength=len(self._score_bins)).tolist(),
        )

    def add(self, found: Found) -> None:
        """Count what was found."""
        for each, more in zip(self._columns, found.columns, strict=True):
            _add(each.counts, more)
        for each, rows in zip(self._texts, found.novel, strict=True):
            each.novel_rows += rows
        _add(self._score_counts, found.scores)

    def families(self, labels: Labels) -> Iterator[Metric]:
        """Each count beside the reference's."""
        yield from self._column_families(labels)
        yield from self._novelty_families(labels)
        yield from self._score_families(labels)

    def _column_families(self, labels: Labels) -> Iterator[Metric]:
        names, whose = [*labels, "column", "bin"], [*labels.values()]
        rows = CounterMetricFamily("canario_column_rows", "Rows answered, by the bin of their value.", labels=names)
        reference = GaugeMetricFamily(
            "canario_column_reference_rows", "Rows that the version was trained on, in the same bins.", labels=names
        )
        limits = GaugeMetricFamily(
            "canario_column_drift_quantile",
            "What chance alone may reach at the column's part of the alarm budget, times (1/rows + 1/reference rows).",
            labels=[*labels, "column"],
        )
        for each in self._columns:
            for name, count, known in zip(each.bins, each.counts, bins.reference_rows(each.spread), strict=True):
                rows.add_metric([*whose, each.column.name, name], count)
                reference.add_metric([*whose, each.column.name, name], known)
            limits.add_metric([*whose, each.column.name], quantile(len(each.bins), self._shares))
        yield from (rows, reference, limits)

    def _novelty_families(self, labels: Labels) -> Iterator[Metric]:
        names = [*labels, "column"]
        rows = CounterMetricFamily(
            "canario_column_novel_rows", "Rows answered whose text holds a new word.", labels=names
        )
        known = GaugeMetricFamily(
            "canario_column_reference_novel_rows", "Such rows among the reference's judged ones.", labels=names
        )
        judged = GaugeMetricFamily(
            "canario_column_reference_judged_rows", "Rows that told how often a row holds a new word.", labels=names
        )
        limits = GaugeMetricFamily(
            "canario_column_novelty_evidence_limit",
            "The evidence that chance alone exceeds no oftener than the column's part of the alarm budget allows.",
            labels=names,
        )
        for each in self._texts:
            column = [*labels.values(), each.column.name]
            rows.add_metric(column, each.novel_rows)
            known.add_metric(column, each.spread.novel_rows)
            judged.add_metric(column, each.spread.judged_rows)
            limits.add_metric(column, evidence_limit(self._shares))
        if self._texts:
            yield from (rows, known, judged, limits)

    def _score_families(self, labels: Labels) -> Iterator[Metric]:
        names, whose = [*labels, "bin", "answer"], [*labels.values()]
        rows = CounterMetricFamily("canario_score_rows", "Rows answered, by the bin of their score.", labels=names)
        reference = GaugeMetricFamily(
            "canario_score_reference_rows",
            "Later rows than the version was trained on, by the bin of their score.",
            labels=names,
        )
        positives = GaugeMetricFamily(
            "canario_score_reference_positives", "Those of them whose truth was the second class.", labels=names
        )
        for place, of_bin in enumerate(self._score_bins):
            rows.add_metric([*whose, *of_bin], self._score_counts[place])
            reference.add_metric([*whose, *of_bin], self._reference.scores.counts[place])
            if self._reference.positives:
                positives.add_metric([*whose, *of_bin], self._reference.positives[place])
        yield from (rows, reference, positives) if self._reference.positives else (rows, reference)
        yield gauge(
            "canario_score_drift_quantile",
            "What chance alone may reach at the scores' own alarm budget, times (1/rows + 1/reference rows).",
            labels,
            quantile(len(self._score_bins), 1),
        )


class _CountedColumn:
    """One column's bins, and what fell into them."""

    def __init__(self, place: int, column: Column, spread: Spread) -> None:
        self.place = place
        """In the card."""
        self.column = column
        self.spread = spread
        self.bins = bins.column_bins(spread)
        self.counts = [0] * len(self.bins)
        self.placer = bins.placer(column.kind, spread)
        self.vocabulary = frozenset(spread.vocabulary)
        self.novel_rows = 0


def _add(counts: list[int], more: Sequence[int]) -> None:
    for place, count in enumerate(more):
        counts[place] += count
