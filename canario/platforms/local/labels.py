"""What late truths and shadow copies say, joined off the control loop and no more often than it can matter."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from canario.errors import EvidenceLost
from canario.feedback.join import Joiner, LabelCounts
from canario.model.card import Label
from canario.model.evidence import Comparison, Counts

JOIN_EVERY_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Joined:
    """What one join found."""

    labels: Mapping[str, LabelCounts] = field(default_factory=dict)
    comparison: Comparison | None = None


class LabelWatch:
    """Runs the joiner in a thread of its own; answers with what it last found, None while that is too old or unknown."""

    def __init__(self, model: str, label: Label) -> None:
        self._joiner = Joiner(model, label)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="labels")
        self._join: Future[Joined] | None = None
        self._joined = Joined()
        self._pair: tuple[str, str] | None = None
        self._next_at = 0.0

    def tick(self, now: float, pair: tuple[str, str] | None) -> None:
        """Take what a join has found, start the next; `pair` is (stable, candidate) of a shadow. Monotonic seconds."""
        if pair != self._pair:
            self._pair, self._joined = pair, replace(self._joined, comparison=None)
        if self._join is not None and self._join.done():
            try:
                self._joined = self._join.result()
            except EvidenceLost as lost:
                _log.warning("%s", lost)
                self._joined = replace(self._joined, comparison=None)
            self._join = None
        if self._join is None and now >= self._next_at:
            self._next_at = now + JOIN_EVERY_SECONDS
            self._join = self._thread.submit(self._look, pair)

    def add_to(self, counts: Mapping[str, Counts]) -> dict[str, Counts]:
        """The router's counts with what is known of the labels. A join that failed leaves the last counts: they only grow."""
        labels = self._joined.labels
        versions = {*counts, *labels}
        nothing = LabelCounts(0, 0)
        return {
            version: replace(
                counts.get(version, Counts()),
                labelled=labels.get(version, nothing).labelled,
                wrong=labels.get(version, nothing).wrong,
            )
            for version in versions
        }

    @property
    def comparison(self) -> Comparison | None:
        """What the shadow copies of the present pair showed."""
        return self._joined.comparison

    def close(self) -> None:
        """Wait for a join under way; let go of the files."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._joiner.close()

    def _look(self, pair: tuple[str, str] | None) -> Joined:
        return Joined(self._joiner.counts(), self._joiner.comparison(*pair) if pair else None)
