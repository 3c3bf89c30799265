"""The rows that were answered: how many, how many at once, copies and unlogged ones; what was in them is for column_metrics.

Rows come from the event loop's thread and from the model's, so a lock keeps every one of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily, Metric

from canario.kernel.kernel import Columns
from canario.model.card import Card
from canario.model.reference import Reference
from canario.serving.column_metrics import Spreads
from canario.serving.counting import TOGETHER, Histogram, Labels, Tally
from canario.serving.request_metrics import Protocol

Answered = tuple[Columns, NDArray[np.float64]]
"""The cells of some rows, and their scores."""

_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_FEW_ROWS = 8
"""Up to so many rows in a request are counted without numpy, which takes its time to begin."""
_ENOUGH_ROWS = 1024
"""Rows of larger requests wait until so many are there: numpy then begins once for all of them."""


class RowMetrics:
    """What is known of answered rows."""

    def __init__(self, card: Card, reference: Reference | None) -> None:
        self._lock = threading.Lock()
        self._rows = Tally("canario_rows", "Rows answered to users.")
        self._copies = Tally("canario_shadow_rows", "Rows of copied requests, whose answers nobody sees.")
        self._unlogged = Tally("canario_unlogged_predictions", "Rows answered that the log could not take.")
        self._sizes = {protocol: Histogram(_ROWS) for protocol in Protocol}
        self._spreads = Spreads(card, reference) if reference is not None else None
        self._waiting_rows = 0
        self._kept: list[Answered] = []
        self._kept_rows = 0

    def count(
        self,
        protocol: Protocol,
        columns: Columns,
        cells: Sequence[Sequence[Any]],
        scores: NDArray[np.float64],
    ) -> None:
        """The rows of one answered request, as columns and again as the cells of each column that were logged."""
        rows = len(scores)
        with self._lock:
            self._count_sizes(protocol, rows)
            if self._spreads is None:
                return
            if rows <= _FEW_ROWS:
                self._spreads.take(cells, scores.tolist())
                self._waiting_rows += rows
                if self._waiting_rows >= TOGETHER:
                    self._count_waiting(self._spreads)
                return
            self._kept.append((columns, scores))
            self._kept_rows += rows
            if self._kept_rows < _ENOUGH_ROWS:
                return
            kept = self._let_go()
        # Takes a while: other requests must not wait for it.
        found = self._spreads.found_in(*_together(kept))
        with self._lock:
            self._spreads.add(found)

    def _count_waiting(self, spreads: Spreads) -> None:
        spreads.count_waiting()
        self._waiting_rows = 0

    def _let_go(self) -> list[Answered]:
        kept, self._kept, self._kept_rows = self._kept, [], 0
        return kept

    def _count_sizes(self, protocol: Protocol, rows: int) -> None:
        self._rows.add(rows)
        self._sizes[protocol].observe(rows)

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
            if self._spreads is not None:
                self._count_waiting(self._spreads)
                if self._kept:
                    self._spreads.add(self._spreads.found_in(*_together(self._let_go())))
            sizes = HistogramMetricFamily("canario_request_rows", "Rows in one request.", labels=[*labels, "protocol"])
            for protocol, histogram in self._sizes.items():
                histogram.add_to(sizes, [*labels.values(), protocol])
            yield sizes
            for tally in (self._rows, self._copies, self._unlogged):
                yield tally.family(labels)
            if self._spreads is not None:
                yield from self._spreads.families(labels)


def _together(kept: Sequence[Answered]) -> Answered:
    """The rows of several requests as those of one."""
    if len(kept) == 1:
        return kept[0]
    columns = {name: np.concatenate([columns[name] for columns, _ in kept]) for name in kept[0][0]}
    return columns, np.concatenate([scores for _, scores in kept])
