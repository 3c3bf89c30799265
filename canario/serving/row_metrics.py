"""The rows that were answered, counted into the bins of the version's reference: each column, the scores, words never seen before.

Prometheus makes drift of it: the reference stands beside the counts in the same bins. Rows come from the event loop's thread and
from the model's, so a lock keeps every one of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from canario.drift import bins
from canario.drift.budget import quantile
from canario.kernel.kernel import Columns
from canario.model.card import Card, Column
from canario.model.feedback import Value
from canario.model.reference import Reference, Spread
from canario.serving.counting import Histogram, Labels, Tally, gauge
from canario.serving.request_metrics import Protocol

_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_FEW_ROWS = 24
"""Up to so many rows are counted one by one, which is quicker than numpy."""


class RowMetrics:
    """What is known of answered rows."""

    def __init__(self, card: Card, reference: Reference | None) -> None:
        self._lock = threading.Lock()
        self._rows = Tally("canario_rows", "Rows answered to users.")
        self._copies = Tally("canario_shadow_rows", "Rows of copied requests, whose answers nobody sees.")
        self._unlogged = Tally("canario_unlogged_predictions", "Rows answered to users and not kept in the log.")
        self._sizes = {protocol: Histogram(_ROWS) for protocol in Protocol}
        self._spreads = _Spreads(card, reference) if reference is not None else None

    def count(
        self,
        protocol: Protocol,
        columns: Columns,
        cells: Sequence[Sequence[Value]],
        scores: NDArray[np.float64],
    ) -> None:
        """The rows of one answered request, as columns and again as the cells of each column that were logged."""
        rows = len(scores)
        with self._lock:
            self._rows.add(rows)
            self._sizes[protocol].observe(rows)
            if self._spreads is None:
                return
            if rows <= _FEW_ROWS:
                for row in range(rows):
                    self._spreads.add_row(cells, row, scores)
                return
        found = self._spreads.places(columns, scores)  # takes a while: small requests must not wait for it
        with self._lock:
            self._spreads.add_places(found)

    def count_copies(self, rows: int) -> None:
        """Rows of a copied request."""
        with self._lock:
            self._copies.add(rows)

    def count_unlogged(self, rows: int) -> None:
        """Rows that were answered though the log could not take them."""
        with self._lock:
            self._unlogged.add(rows)

    def families(self, labels: Labels) -> Iterator[Metric]:
        """What Prometheus reads."""
        with self._lock:
            sizes = HistogramMetricFamily("canario_request_rows", "Rows in one request.", labels=[*labels, "protocol"])
            for protocol, histogram in self._sizes.items():
                histogram.add_to(sizes, [*labels.values(), protocol])
            yield sizes
            for tally in (self._rows, self._copies, self._unlogged):
                yield tally.family(labels)
            if self._spreads is not None:
                yield from self._spreads.families(labels)


class _Spreads:
    """Counts beside a reference. The caller holds the lock."""

    def __init__(self, card: Card, reference: Reference) -> None:
        self._reference = reference
        self._columns = [
            _CountedColumn(place, column, reference.columns[column.name])
            for place, column in enumerate(card.columns)
            if column.name in reference.columns
        ]
        self._quick = [(each.place, each.placer, each.counts) for each in self._columns]
        self._shares = len(card.columns)
        """How many columns share the budget of false alarms; the scores have one of their own."""
        self._score_bins = bins.score_bins(card, reference)
        self._score_counts = [0] * len(self._score_bins)

    def add_row(self, cells: Sequence[Sequence[Value]], row: int, scores: NDArray[np.float64]) -> None:
        """Count one row."""
        for place, placer, counts in self._quick:
            counts[placer(cells[place][row])] += 1
        self._score_counts[bins.score_place(self._reference, scores[row])] += 1

    def places(self, columns: Columns, scores: NDArray[np.float64]) -> list[list[int]]:
        """Of many rows: how many fall into each bin, by column, and last of the scores; changes nothing."""
        found = [
            bins.count(each.column.kind, each.spread, columns[each.column.name]).tolist() for each in self._columns
        ]
        places = bins.score_places(self._reference, scores)
        return [*found, np.bincount(places, minlength=len(self._score_bins)).tolist()]

    def add_places(self, found: list[list[int]]) -> None:
        """Count what `places` found."""
        for counts, more in zip([*(each.counts for each in self._columns), self._score_counts], found, strict=True):
            for place, count in enumerate(more):
                counts[place] += count

    def families(self, labels: Labels) -> Iterator[Metric]:
        """Each count beside the reference's."""
        names, whose = [*labels, "column", "bin"], [*labels.values()]
        rows = CounterMetricFamily("canario_column_rows", "Rows answered, by the bin of their value.", labels=names)
        reference = GaugeMetricFamily(
            "canario_column_reference_rows", "Rows that the version was trained on, in the same bins.", labels=names
        )
        for each in self._columns:
            for name, count, known in zip(each.bins, each.counts, bins.reference_rows(each.spread), strict=True):
                rows.add_metric([*whose, each.column.name, name], count)
                reference.add_metric([*whose, each.column.name, name], known)
        yield rows
        yield reference
        limits = GaugeMetricFamily(
            "canario_column_drift_quantile",
            "What chance alone may reach at the column's part of the alarm budget, times (1/rows + 1/reference rows).",
            labels=[*labels, "column"],
        )
        for each in self._columns:
            limits.add_metric([*whose, each.column.name], quantile(len(each.bins), self._shares))
        yield limits
        yield from self._score_families(labels)

    def _score_families(self, labels: Labels) -> Iterator[Metric]:
        names, whose = [*labels, "bin", "answer"], [*labels.values()]
        spread = self._reference.scores
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
            reference.add_metric([*whose, *of_bin], spread.counts[place])
            if self._reference.positives:
                positives.add_metric([*whose, *of_bin], self._reference.positives[place])
        yield rows
        yield reference
        if self._reference.positives:
            yield positives
        yield gauge(
            "canario_score_drift_quantile",
            "What chance alone may reach at the scores' part of the alarm budget, times (1/rows + 1/reference rows).",
            labels,
            quantile(len(self._score_bins), 1),
        )


class _CountedColumn:
    """One column's bins and what fell into them."""

    def __init__(self, place: int, column: Column, spread: Spread) -> None:
        self.place = place
        """In the card."""
        self.column = column
        self.spread = spread
        self.bins = bins.column_bins(spread)
        self.counts = [0] * len(self.bins)
        self.placer = bins.placer(column.kind, spread)
