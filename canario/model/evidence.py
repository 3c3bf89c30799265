"""What is known of a rollout when it is judged: counts a version, what the router runs, who is ready, what people asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from canario.model.split import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was seen of one version since counting began; it only grows. Errors and slow are of first attempts."""

    requests: int = 0
    errors: int = 0
    """5xx, failing gRPC codes (all but those that say what the client did wrong), resets, timeouts."""
    slow: int = 0
    """Answered without an error, later than the latency objective."""
    labelled: int = 0
    """Predictions whose truth has arrived."""
    wrong: int = 0
    """Labelled predictions that the truth contradicts."""
    positives: int = 0
    """Two classes only: labelled predictions whose truth is the second class."""
    missed: int = 0
    """Two classes only: positives that were answered as the first class."""

    def __sub__(self, earlier: Counts) -> Counts:
        return Counts(
            requests=self.requests - earlier.requests,
            errors=self.errors - earlier.errors,
            slow=self.slow - earlier.slow,
            labelled=self.labelled - earlier.labelled,
            wrong=self.wrong - earlier.wrong,
            positives=self.positives - earlier.positives,
            missed=self.missed - earlier.missed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What shadow copies showed: the same row answered by stable and by the candidate; it only grows."""

    pairs: int = 0
    flips: int = 0
    """Pairs whose labels differ (regression: whose answers lie further apart than the label's tolerance)."""
    distance_sum: float = 0.0
    """The sum of |candidate's score - stable's score|, in the label's unit for a regression."""

    def __sub__(self, earlier: Comparison) -> Comparison:
        return Comparison(
            pairs=self.pairs - earlier.pairs,
            flips=self.flips - earlier.flips,
            distance_sum=self.distance_sum - earlier.distance_sum,
        )


class CommandKind(StrEnum):
    """What a person can ask of a running rollout."""

    PROMOTE = "promote"
    """Go on: approve the step that waits; `whole` skips every remaining step."""
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    """Back to stable at once; allowed in every phase that has not ended, the watch included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One wish of a person, kept until a decision has taken it."""

    number: int
    """Rises by one with each command of a model; a state remembers the last one taken."""
    kind: CommandKind
    whole: bool = False
    """PROMOTE only: skip the remaining steps and the gates' minimum, not the readiness of the candidate."""
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One look at the world. Whatever could not be read is None, and None means unknown, never good."""

    counts: Mapping[str, Counts] | None = None
    """Cumulative counts by version; None: the router's counts cannot be read."""
    comparison: Comparison | None = None
    """Cumulative, stable against the candidate of the running rollout; None: not a shadow, or not readable."""
    router_split: Split | None = None
    """What the router really runs, read back; None: not readable."""
    ready: Mapping[str, int] = field(default_factory=dict)
    """The servers of each version that are warmed up and may get requests."""
    running: tuple[str, ...] = ()
    """The versions that have servers at all, ready or not."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Versions whose servers cannot start, with the reason in words."""
    replicas: Mapping[str, int] = field(default_factory=dict)
    """How many servers the platform is set to have of each version now, ready or not; absent: not known."""
    measurements: Mapping[str, float] = field(default_factory=dict)
    """By query gate's name: what its query says now; absent: unknown."""
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """By query gate's name: why there is no measurement, in words."""
    commands: tuple[Command, ...] = ()
    """Wishes that no decision has taken yet, oldest first."""
