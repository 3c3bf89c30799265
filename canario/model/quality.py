"""How good a version's answers turned out to be, by when they were given: sums that add up, and what a report says; measuring is for canario.quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from canario.model.feedback import LabelCounts
from canario.model.version import Score

SCORE_BINS = 10
"""Bins of equal width of the scores from 0 to 1, for the calibration of two classes."""
DELAY_BOUNDS_SECONDS = tuple(float(step * 10**power) for power in range(7) for step in (1, 2, 5))
"""The upper bounds of the delays' bins, from a second to two months; one more bin is above the last."""


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Labelled answers whose scores lie in one bin."""

    rows: int = 0
    score_sum: float = 0.0
    positives: int = 0
    """Those whose truth is the second class."""

    def __add__(self, other: ScoreBin) -> ScoreBin:
        return ScoreBin(self.rows + other.rows, self.score_sum + other.score_sum, self.positives + other.positives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sums over labelled answers, by the truths that hold now; two tallies add up to the tally of both."""

    labelled: int = 0
    right: int = 0
    """Answers that the truth does not contradict (regression: within the card's tolerance)."""
    positives: int = 0
    """Two classes only: answers whose truth is the second class."""
    alarms: int = 0
    """Two classes only: answers that say the second class."""
    caught: int = 0
    """Two classes only: both at once."""
    bins: tuple[ScoreBin, ...] = ()
    """Two classes only: SCORE_BINS of them, or none where there is no labelled answer."""
    error_sum: float = 0.0
    """Regression only: the sum of |answer - truth|, in the label's unit."""
    error_square_sum: float = 0.0
    """Regression only: the sum of its squares."""

    def __add__(self, other: Tally) -> Tally:
        bins = tuple(a + b for a, b in zip(self.bins, other.bins, strict=True)) if self.bins and other.bins else ()
        return Tally(
            labelled=self.labelled + other.labelled,
            right=self.right + other.right,
            positives=self.positives + other.positives,
            alarms=self.alarms + other.alarms,
            caught=self.caught + other.caught,
            bins=bins or self.bins or other.bins,
            error_sum=self.error_sum + other.error_sum,
            error_square_sum=self.error_square_sum + other.error_square_sum,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The answers that one version gave in one span of time, however late their truths came."""

    version: str
    begins_at_seconds: float
    """In seconds since 1970 (UTC), a multiple of `seconds`."""
    seconds: float
    """How long the span is."""
    predictions: int
    """Answers to users, labelled or not."""
    tally: Tally
    """Of those that are labelled."""

    @property
    def ends_at_seconds(self) -> float:
        return self.begins_at_seconds + self.seconds

    @property
    def coverage(self) -> float:
        """The share of the answers that are labelled, 0 to 1."""
        return self.tally.labelled / self.predictions if self.predictions else 0.0


@dataclass(frozen=True, slots=True)
class Delays:
    """How long first truths took, from the answer to their arrival."""

    counts: tuple[int, ...] = (0,) * (len(DELAY_BOUNDS_SECONDS) + 1)
    """Truths in each bin; bin i holds delays up to and with DELAY_BOUNDS_SECONDS[i]."""
    seconds_sum: float = 0.0

    @property
    def labelled(self) -> int:
        return sum(self.counts)

    def __add__(self, other: Delays) -> Delays:
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Delays(counts, self.seconds_sum + other.seconds_sum)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortQuality:
    """One cohort as a report shows it."""

    cohort: Cohort
    is_mature: bool
    """Whether it is old enough to be judged: labels that come fast are not like the others."""
    scores: tuple[Score, ...] = ()
    """Of a mature cohort only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionQuality:
    """One version's quality."""

    version: str
    predictions: int
    """In the mature cohorts, as everything below."""
    labelled: int
    scores: tuple[Score, ...]
    """Named as in a version's own scores: accuracy, recall, precision, calibration error, mean absolute error."""
    cohorts: tuple[CohortQuality, ...] = ()
    """All of them, immature ones too, oldest first."""

    @property
    def coverage(self) -> float | None:
        """The share of the answers that are labelled, 0 to 1; None without answers."""
        return self.labelled / self.predictions if self.predictions else None


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """How good the answers of a model's versions turned out to be, between two moments."""

    model: str
    since_seconds: float
    until_seconds: float
    cohort_seconds: float
    maturity_seconds: float | None
    """The age from which a cohort is judged; None: not known yet, so nothing is."""
    versions: tuple[VersionQuality, ...] = ()
    unknown_labels: int = 0
    """Truths for ids that no version gave, those that still wait for their prediction included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFigures:
    """What a joiner has to tell Prometheus of one model, computed every few seconds in its own thread."""

    report: QualityReport
    """Of the quality window."""
    predictions: Mapping[str, int] = field(default_factory=dict)
    """By version: answers to users since its first; it only grows."""
    counts: Mapping[str, LabelCounts] = field(default_factory=dict)
    """By version; they only grow."""
    delays: Mapping[str, Delays] = field(default_factory=dict)
    """By version; they only grow."""
