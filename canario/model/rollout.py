"""A rollout's plan and its state: what was wanted, and how far it has come; deciding is for canario.rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from canario.model.evidence import Comparison, Counts
from canario.model.split import Split


class StrategyKind(StrEnum):
    """How a candidate meets traffic."""

    CANARY = "canary"
    """Rising weights."""
    BLUE_GREEN = "blue-green"
    """Preview on its own route, then one switch, and one switch back."""
    SHADOW = "shadow"
    """Copies only, answers compared; the candidate is promoted by one switch if it passes and the plan says so."""


class GateKind(StrEnum):
    """The questions that a rollout can ask."""

    ERRORS = "errors"
    SLOW = "slow"
    WRONG_LABELS = "wrong-labels"
    RECALL = "recall"
    """Two classes only: the share of the second class that is missed, among those whose truth has arrived."""
    QUERY = "query"
    """What a PromQL query says, against bounds of the plan's own."""
    DISAGREEMENT = "disagreement"
    """Shadow only: the share of pairs whose labels differ."""
    SCORE_DISTANCE = "score-distance"
    """Shadow only: the mean distance of the scores."""


class OnTimeout(StrEnum):
    """What follows when a step's longest wait ends without an answer; it is never promotion."""

    PAUSE = "pause"
    ROLL_BACK = "roll-back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One question, and what counts as an answer."""

    kind: GateKind
    alpha: float = 0.001
    """The largest chance that an equal candidate is thrown back by this gate over the whole rollout (0 to 1)."""
    margin_percent: float = 1.0
    """Pass: the upper bound of (candidate's share - stable's share) lies below this many percentage points.
    SCORE_DISTANCE: the largest mean distance, in the score's unit."""
    confidence: float = 0.95
    """The one-sided confidence of that upper bound (0.5 to 1)."""
    blocking: bool = True
    """Whether an unknown holds the rollout; a gate that does not block can still fail it (late labels)."""
    name: str = ""
    """QUERY only, and needed there: what the gate is called. A plan may ask several queries, each by its own name."""
    query: str = ""
    """QUERY only: PromQL that gives one number; $model, $stable, $candidate and $namespace stand for their names."""
    pass_at_most: float | None = None
    """QUERY only: it passes at this value and below."""
    fail_above: float | None = None
    """QUERY only: it fails above this value. Between passing and failing, and without a value, nothing is known."""
    pass_at_least: float | None = None
    """QUERY only: it passes at this value and above; with `pass_at_most` too, between both."""
    fail_below: float | None = None
    """QUERY only: it fails below this value."""
    for_seconds: float = 30.0
    """QUERY only: how long the query must say the same, without a break, before it passes or fails: one odd sample is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One weight, and what must be true before the next."""

    weight_percent: float
    minimum_requests: int = 100
    """The candidate's requests at this weight before the gates may pass (shadow: pairs)."""
    minimum_seconds: float = 0.0
    longest_seconds: float = 600.0
    """After this long without an answer, `on_timeout` follows."""
    approval: bool = False
    """Whether a person must promote before the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSpec:
    """A rollout's plan, as `rollout.yaml` or the flags describe it, made concrete; never changed once started."""

    strategy: StrategyKind = StrategyKind.CANARY
    steps: tuple[Step, ...]
    """Rising weights. Blue-green: one step of weight 0 (the preview). Shadow: one step of weight 0 (the copies)."""
    gates: tuple[Gate, ...]
    on_timeout: OnTimeout = OnTimeout.PAUSE
    watch_seconds: float = 300.0
    """How long the promoted version is judged while the old one stays warm; 0 means no watch."""
    watch_error_percent: float = 1.0
    """In the watch there is no second arm: more errors than this share, in percent, is a failure."""
    watch_slow_percent: float = 5.0
    watch_wrong_percent: float | None = None
    """The share of wrong labels, in percent, that is a failure in the watch; None means not judged."""
    watch_missed_percent: float | None = None
    """Two classes only: the share of the second class that is missed, in percent, that is a failure in the watch; None means not judged."""
    start_seconds: float = 120.0
    """The longest that the candidate's servers may take to become ready."""
    sticky_header: str = ""
    shadow_percent: float = 100.0
    """SHADOW only: the share of stable's requests that is copied, in percent."""
    promote_after_shadow: bool = False
    """SHADOW only: switch to the candidate when the comparison passes, instead of ending with a report."""


class Phase(StrEnum):
    """Where a rollout stands."""

    STARTING = "starting"
    """The candidate's servers are asked for and not ready yet; no traffic."""
    STEPPING = "stepping"
    """Evidence is gathered at a step's weight."""
    PAUSED = "paused"
    """Held: by a person, or after a step's longest wait. Evidence still counts and a failure still rolls back."""
    WATCHING = "watching"
    """The candidate answers by default; the old version stays warm."""
    RETURNING = "returning"
    """Back to stable has been decided and is not yet read back from the router."""
    FINISHING = "finishing"
    """A good end has been decided: the router takes one version for all, and the one left over is stopped."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    COMPLETED = "completed"
    """A shadow that ended with a report and no switch."""

    @property
    def has_ended(self) -> bool:
        return self in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.COMPLETED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutState:
    """How far a rollout has come: all that a restarted engine needs, and nothing that it can read from the world."""

    rollout: str
    """The rollout's own name, unique within the model."""
    stable: str
    candidate: str
    phase: Phase = Phase.STARTING
    step_index: int = 0
    asked: Split | None = None
    """The split that was last ordered."""
    started_at_seconds: float = 0.0
    phase_since_seconds: float = 0.0
    """When the present phase, or the present step in it, began; a step's longest wait runs from here."""
    step_since_seconds: float | None = None
    """When the router was first seen to run this step's split; None: not yet, so nothing counts."""
    baseline: Mapping[str, Counts] = field(default_factory=dict)
    """The counts at that moment: evidence is what came later."""
    baseline_comparison: Comparison | None = None
    log_e_values: Mapping[str, float] = field(default_factory=dict)
    """By gate: the natural logarithm of the e-value of all earlier steps, which later steps multiply on."""
    approved: bool = False
    """Whether a person has approved the present step."""
    passed: bool = False
    """Whether the present step's gates have passed once: what was proved stays so while a minimum or a person is waited for."""
    last_command: int = 0
    """The number of the last command taken."""
    reason: str = ""
    """Why it stands where it stands, in words."""
    ended_at_seconds: float | None = None
    paused_phase: Phase | None = None
    """PAUSED only: the phase that is held, and that `resume` goes back to."""
    outcome: Phase | None = None
    """RETURNING and FINISHING only: the phase that the rollout will end in."""
    step_log_e_values: Mapping[str, float] = field(default_factory=dict)
    """By gate: the logarithm earned since `baseline` as it was last judged, so that a counter that restarts cannot lose it."""
    baselines: int = 0
    """How many baselines were taken so far; judging by rates spends a smaller part of alpha on each."""
    lost_since_seconds: float | None = None
    """Since when evidence cannot be read; no wait counts meanwhile."""
    unready_since_seconds: float | None = None
    """Since when the candidate, once it had started, has too few ready servers to get any share."""
    stable_servers: int = 0
    """The most of stable's servers that were ready in this rollout; it keeps as many until the end. 0: none was seen yet."""
    next_index: int | None = None
    """The step that has been decided on and is entered once the candidate has the servers for it; None: none is."""
    short_since_seconds: float | None = None
    """Since when nothing but servers is missing for that step."""
    passing_since_seconds: Mapping[str, float] = field(default_factory=dict)
    """By query gate's name: since when its query says what passes, without a break."""
    failing_since_seconds: Mapping[str, float] = field(default_factory=dict)
    """The same for what fails."""
    counts_at_start: Mapping[str, Counts] | None = None
    """The counts when they were first read in this rollout: truths that came later speak of the world as it is now."""
    retraining_reason: str = ""
    """Why a retraining was asked for: the labels failed in the watch, and the old version was no better. Empty: it was not."""
