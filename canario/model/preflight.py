"""A preflight: what stable and a candidate answer to the same file before any client is answered by the candidate; judging it is for canario.quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from canario.model.batch import InputFile
from canario.model.verdict import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightLimits:
    """What a candidate must keep to be put on trial."""

    disagreement_percent: float = 5.0
    """The largest share of changed answers among the rows that both answer, in percent (0 to 100)."""
    failed_percent: float = 0.0
    """The largest share of rows that stable answers and the candidate does not, in percent of those (0 to 100)."""
    class_factor: float = 2.0
    """Classes: by which factor each may be answered more or less often (>= 1). Of rare ones no share of changed answers tells."""
    score_distance: float | None = None
    """The largest mean distance of the scores, in the score's unit; None: it is not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """How often one class was answered."""

    name: str
    stable: int
    candidate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRow:
    """One row that the two answer differently."""

    file: str
    row: int
    """Its place in the file, from 0."""
    stable: str | float
    candidate: str | float
    stable_score: float
    candidate_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRow:
    """One row that a version did not answer."""

    file: str
    row: int
    version: str
    """Which one did not; both are named when neither did."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two versions answered to the same rows."""

    rows: int
    """All that were read."""
    compared: int
    """The rows that both answered."""
    changed: int
    """Of these, the rows whose answers differ: another class, or a value further away than the label's tolerance."""
    equal: int
    """Of these, the rows whose scores are the same to the last bit."""
    mean_distance: float
    """Of the scores of the compared rows; of a regression the answers are the scores."""
    largest_distance: float
    only_stable_failed: int
    only_candidate_failed: int
    both_failed: int
    classes: tuple[ClassCount, ...] = ()
    """Classes only, in the order of the card, over the compared rows."""
    changes: Mapping[str, int] = field(default_factory=dict)
    """Two classes or more: how many answers went from one class to another, by `clean -> fraud`."""
    changed_rows: tuple[ChangedRow, ...] = ()
    """Those whose scores lie furthest apart, the furthest first."""
    failed_rows: tuple[FailedRow, ...] = ()
    """The first of those that a version did not answer."""
    is_whole: bool = True
    """Whether the input was read to its end; it is not once a version has failed on very many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightGate:
    """One limit's answer."""

    name: str
    """The field of PreflightLimits."""
    answer: Answer
    reason: str
    """One sentence with the figures."""
    rows_needed: int | None = None
    """About how many more rows an unknown needs; None when that cannot be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightVerdict:
    """All limits together: fail if one fails, pass if all pass, otherwise unknown."""

    answer: Answer
    gates: tuple[PreflightGate, ...]

    @property
    def reason(self) -> str:
        """What decided, in one sentence a gate."""
        return "; ".join(gate.reason for gate in self.gates if gate.answer is self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What is kept of one preflight, so that a person sees later why a candidate was, or was not, put on trial."""

    at_seconds: float
    """When it ended, in seconds since 1970 (UTC)."""
    model: str
    where: str
    """The platform whose stable version it was: `local`, or the cluster's namespace."""
    stable: str
    candidate: str
    stable_digest: str
    candidate_digest: str
    input: str
    """The file, folder or pattern, as the person named it."""
    inputs: tuple[InputFile, ...]
    limits: PreflightLimits
    comparison: Comparison
    verdict: PreflightVerdict
    rollout: str = ""
    """The rollout that it let begin; empty: none did."""
