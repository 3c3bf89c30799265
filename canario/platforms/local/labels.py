"""What late truths and shadow copies say, joined off the control loop and no more often than it can matter."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from canario.errors import EvidenceLost
from canario.feedback.figures import FIGURES_EVERY_SECONDS, figures_of
from canario.feedback.join import Joiner
from canario.feedback.opening import open_history
from canario.feedback.settings import feedback_settings
from canario.model.card import Label
from canario.model.evidence import Comparison, Counts
from canario.model.feedback import LabelCounts
from canario.model.quality import LabelFigures
from canario.platforms.labelled import with_labels

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
        self._model, self._label = model, label
        self._settings = feedback_settings()
        self._history = open_history(model, label)
        # Copies are joined from the logs of this machine, wherever labels are kept.
        self._copies = self._history if isinstance(self._history, Joiner) else Joiner(model, label, keeps_values=False)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="labels")
        self._join: Future[Joined] | None = None
        self._joined = Joined()
        self._has_looked = False
        self._pair: tuple[str, str] | None = None
        self._next_at = 0.0
        self._figures_at = 0.0
        self.figures: LabelFigures | None = None
        """What Prometheus is told of labels and quality; None while it is not known."""

    def tick(self, now: float, pair: tuple[str, str] | None) -> None:
        """Take what a join has found, start the next; `pair` is (stable, candidate) of a shadow. Monotonic seconds."""
        if pair != self._pair:
            self._pair, self._joined = pair, replace(self._joined, comparison=None)
        if self._join is None and now >= self._next_at:
            self._next_at = now + JOIN_EVERY_SECONDS
            self._join = self._thread.submit(self._look, pair)
        if self._join is not None and self._join.done():
            join, self._join = self._join, None
            try:
                self._joined = join.result()
                self._has_looked = True
            except EvidenceLost as lost:
                _log.warning("%s", lost)
                self._joined, self.figures = replace(self._joined, comparison=None), None

    def add_to(self, counts: Mapping[str, Counts]) -> dict[str, Counts] | None:
        """The router's counts with what is known of the labels. A join that failed leaves the last counts: they only grow.

        None until a join has succeeded: counts without the old labels would make them look like new ones later.
        """
        return with_labels(counts, self._joined.labels) if self._has_looked else None

    @property
    def comparison(self) -> Comparison | None:
        """What the shadow copies of the present pair showed."""
        return self._joined.comparison

    def close(self) -> None:
        """Wait for a join under way; let go of the files."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._history.close()
        self._copies.close()

    def _look(self, pair: tuple[str, str] | None) -> Joined:
        joined = Joined(self._history.counts(), self._copies.comparison(*pair) if pair else None)
        now = time.monotonic()
        if now >= self._figures_at:
            self._figures_at = now + FIGURES_EVERY_SECONDS
            self.figures = figures_of(self._history, self._model, self._label, self._settings, time.time())
        return joined
