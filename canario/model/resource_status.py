"""What the status of a ModelDeployment tells; it is read from the world anew each time, and nothing is steered by it."""

from __future__ import annotations

from dataclasses import dataclass, field

from canario.model.rollout import GateKind, StrategyKind
from canario.model.verdict import Answer, Method

_MOMENT = {"format": "date-time"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStatus:
    """Who answers, and with what share."""

    stable: str = ""
    """The version that answers by default."""
    candidate: str = ""
    """The version on trial."""
    weight_percent: float = 0.0
    """The candidate's share of the requests, in percent."""
    shadow_percent: float = 0.0
    """The share of the stable version's requests that is copied to the candidate, in percent."""
    sticky_header: str = ""
    """The header that keeps a user with a version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitsStatus:
    """The split that is asked for, and the one that the routers run."""

    asked: SplitStatus | None = None
    """What the routers shall run."""
    actual: SplitStatus | None = None
    """What was read back from the routers; absent while it cannot be read, or while they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatus:
    """One version that has servers."""

    name: str
    """The version."""
    image: str = ""
    """Its container image."""
    archive: str = ""
    """The archive that the image serves; absent: the version inside the image."""
    role: str = ""
    """`stable`, `candidate` or `retired`."""
    replicas: int = 0
    """How many servers it shall have."""
    ready: int = 0
    """How many of them are ready."""
    message: str = ""
    """What keeps them from being ready, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStatus:
    """The rollout under way."""

    name: str
    """The rollout's own name, unique within the model."""
    strategy: StrategyKind
    """How the candidate meets traffic."""
    phase: str
    """Where it stands."""
    step: int = 0
    """The present step, from 1."""
    steps: int = 0
    """How many steps there are."""
    started_at: str | None = field(default=None, metadata=_MOMENT)
    """When it began."""
    reason: str = ""
    """Why it stands where it stands, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEvidence:
    """What was counted of one version since the present step began."""

    name: str
    """The version."""
    requests: int = 0
    """Requests, or pairs with a shadow."""
    errors: int = 0
    """Requests that failed."""
    slow: int = 0
    """Requests that took longer than the objective."""
    labelled: int = 0
    """Answers whose truth is known."""
    wrong: int = 0
    """Answers that the truth contradicts."""
    positives: int = 0
    """Two classes: answers whose truth is the second class."""
    missed: int = 0
    """Two classes: those of them that were answered otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStatus:
    """One gate's answer."""

    kind: GateKind
    """The question."""
    name: str = ""
    """What the plan calls a query."""
    answer: Answer
    """`pass`, `fail` or `unknown`."""
    method: Method
    """How it was judged."""
    reason: str = ""
    """One sentence with the figures."""
    requests_needed: int | None = None
    """About how many more of the candidate's requests an unknown needs."""
    upper_bound_percent: float | None = None
    """How much worse the candidate may be at most, in percentage points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceStatus:
    """What the last decision was made from."""

    at: str | None = field(default=None, metadata=_MOMENT)
    """When the evidence was read."""
    versions: tuple[VersionEvidence, ...] = field(default=(), metadata={"maxItems": 16})
    """What was counted, by version."""
    gates: tuple[GateStatus, ...] = field(default=(), metadata={"maxItems": 16})
    """What each gate says."""
    answer: str = ""
    """All gates together: `pass`, `fail` or `unknown`."""
    reason: str = ""
    """Why, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRolloutStatus:
    """A rollout that has ended."""

    rollout: str
    """Its name."""
    strategy: StrategyKind
    """How the candidate met traffic."""
    stable: str
    """The version that answered by default when it began."""
    candidate: str
    """The version on trial."""
    phase: str
    """How it ended: `promoted`, `rolled-back` or `completed`."""
    reason: str = ""
    """Why, in words."""
    started_at: str | None = field(default=None, metadata=_MOMENT)
    """When it began."""
    ended_at: str | None = field(default=None, metadata=_MOMENT)
    """When it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRunStatus:
    """One run of a schedule: a Job with an index a partition."""

    job: str
    """The Job, and the folder of its answers."""
    version: str = ""
    """The version that answers: the one that was stable when the run began."""
    phase: str = ""
    """`running`, `complete`, `failed` or `suspended`."""
    indexes: int = 0
    """How many partitions there are, numbered from 0."""
    completed: int = 0
    """How many are done."""
    failed: int = 0
    """How many have failed for good."""
    completed_indexes: str = ""
    """Which are done, such as `0-2,5`."""
    failed_indexes: str = ""
    """Which have failed."""
    reasons: tuple[str, ...] = field(default=(), metadata={"maxItems": 8})
    """Why, in the words of the pods that are still there; also what keeps a pod from starting."""
    started_at: str | None = field(default=None, metadata=_MOMENT)
    """When it began."""
    ended_at: str | None = field(default=None, metadata=_MOMENT)
    """When it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """One schedule, and its last runs."""

    name: str
    """The schedule."""
    cron_job: str = ""
    """The CronJob that its runs are made of, also by hand: `kubectl create job --from=cronjob/...`."""
    version: str = ""
    """The version that a run would take now."""
    runs: tuple[BatchRunStatus, ...] = field(default=(), metadata={"maxItems": 8})
    """The last runs, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRequest:
    """The last wish that was taken from the annotation `canario.dev/request`."""

    id: str
    """The wish's own id."""
    answer: str = ""
    """What came of it; why not, if it was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition, in the manner of Kubernetes."""

    type: str = field(metadata={"maxLength": 316})
    """`Ready`, `Accepted`, `Progressing`, `EvidenceReadable`, `Scaling` or `Batch`."""
    status: str = field(metadata={"enum": ["True", "False", "Unknown"]})
    """Whether it holds."""
    observed_generation: int | None = field(default=None, metadata={"minimum": 0, "format": "int64"})
    """The generation of the spec that it was found for."""
    last_transition_time: str = field(metadata=_MOMENT)
    """When the status last changed."""
    reason: str = field(
        metadata={"minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"}
    )
    """One word for programs."""
    message: str = field(metadata={"maxLength": 32768})
    """The same in a sentence, with what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeploymentStatus:
    """Where the model stands."""

    observed_generation: int | None = field(default=None, metadata={"minimum": 0, "format": "int64"})
    """The generation of the spec that this status answers."""
    phase: str = ""
    """`starting-up` before the first version is ready, `stable` without a rollout, else where the rollout stands."""
    stable: str = ""
    """The version that answers by default."""
    candidate: str = ""
    """The version on trial; absent when there is none."""
    weight_percent: float | None = None
    """The candidate's share of the requests as it is asked for, in percent."""
    actual_weight_percent: float | None = None
    """The share that the routers run; absent while it cannot be read."""
    verdict: str = ""
    """What the gates say together: `pass`, `fail` or `unknown`."""
    split: SplitsStatus | None = None
    """Who answers: as asked, and as it is."""
    versions: tuple[VersionStatus, ...] = field(
        default=(),
        metadata={"maxItems": 128, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """The versions that have servers."""
    rollout: RolloutStatus | None = None
    """The rollout under way; absent when there is none."""
    evidence: EvidenceStatus | None = None
    """What the last decision was made from."""
    history: tuple[PastRolloutStatus, ...] = field(default=(), metadata={"maxItems": 100})
    """The last rollouts, oldest first, as many as `historyLimit`."""
    batch: tuple[BatchStatus, ...] = field(
        default=(), metadata={"maxItems": 8, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    )
    """The schedules of rows to score, and their last runs."""
    last_request: LastRequest | None = None
    """The last wish, and what came of it."""
    conditions: tuple[Condition, ...] = field(
        default=(),
        metadata={"maxItems": 16, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    """`Ready`: the stable version answers. `Accepted`: the spec can be honoured. `Progressing`: a rollout is under way.
    `EvidenceReadable`: what the gates need can be read. `Scaling`: the number of servers follows the load. `Batch`: the last runs of
    all schedules went well, or go on."""
