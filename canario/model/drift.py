"""What is known of a version's drift: how the rows that it answered are spread, beside those that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DriftVerdict(StrEnum):
    """The three answers to "has this moved?"."""

    DRIFT = "drift"
    """More than matters, and more than chance explains."""
    NONE = "none"
    NOT_ENOUGH_ROWS = "not-enough-rows"
    """Nothing was seen, and what matters could still hide in chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftLook:
    """Some consecutive rows."""

    begins_at_seconds: float
    """When the first of them was answered, in seconds since 1970 (UTC)."""
    rows: int
    psi: float
    psi_limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWords:
    """Of a column of texts: the rows with a word that no row trained on held."""

    rows: int
    share: float
    """Of the rows with this column (0 to 1)."""
    reference_share: float
    """The same share when the version was trained (0 to 1)."""
    evidence: float
    """That they have become more frequent, in natural logarithms (see canario.drift.novelty)."""
    evidence_limit: float
    """What chance alone reaches at this column's part of the budget of false alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One column's drift, or that of the scores. Distances have no unit."""

    name: str
    bins: tuple[str, ...]
    """The names of the bins, as Prometheus has them."""
    edges: tuple[float, ...]
    """Numbers: the inner edges of the bins, in `unit`; texts are counted by their length in characters."""
    unit: str
    reference_rows: tuple[int, ...]
    """By bin: the rows trained on; for the scores, later rows."""
    rows: tuple[int, ...]
    """By bin: the rows answered."""
    verdict: DriftVerdict
    more_rows: int | None = None
    """How many more rows an answer needs; 0 when there is one, None when no number of rows makes up for a small reference."""
    psi: float | None = None
    """The population stability index; None without any row."""
    psi_limit: float | None = None
    """What it must pass to be drift: what matters, or what chance may reach with so many rows."""
    kolmogorov_smirnov: float | None = None
    """0 to 1; None for words, which have no order."""
    wasserstein: float | None = None
    """By how much of the reference's rows the values moved on average (0 to 1); None for words."""
    new_words: NewWords | None = None
    importance: float | None = None
    """How far the column moves the scores, as a share of all columns (0 to 1); None when it was not measured."""
    weight: float = 0.0
    """What columns are ranked by: the PSI beyond what is expected by chance, times the importance."""
    drifting_since_seconds: float | None = None
    """When the rows began to pass the limit, if they do to the end; in seconds since 1970 (UTC)."""
    looks: tuple[DriftLook, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedQuality:
    """One figure of quality as the scores foretell it without labels. All from 0 to 1."""

    name: str
    """As among the version's scores: recall, precision, accuracy."""
    value: float
    low: float
    """The lower end of the 95 % interval of what labels of these very rows would show, if scores mean what they meant."""
    high: float
    reference: float
    """The same figure of the reference's rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """One version's drift over some time."""

    model: str
    version: str
    since_seconds: float
    """The beginning of the time asked about, in seconds since 1970 (UTC)."""
    until_seconds: float
    rows: int
    """Answered to users in this time; copies are not among them."""
    alarms_per_day: float
    """The budget: so many false alarms a day over all columns and the scores."""
    columns: tuple[Drift, ...]
    """Those that matter most come first."""
    scores: Drift
    estimated: tuple[EstimatedQuality, ...]
    """Empty where the truth behind the reference's scores is not known, or there are not two classes."""
