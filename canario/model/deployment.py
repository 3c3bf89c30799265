"""What a platform keeps of one model, and what it tells of it: the deployment, its rollouts past and present, its servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from canario.model.resource_status import BatchStatus
from canario.model.rollout import Phase, RolloutSpec, RolloutState, StrategyKind
from canario.model.split import Split
from canario.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedVersion:
    """A version as a platform can start it."""

    version: str
    """The Bento tag without the model, such as `v2`."""
    digest: str = ""
    """Empty where the platform cannot know it before it runs: the image carries it."""
    image: str = ""
    """Kubernetes: the container image that serves it."""
    archive: str = ""
    """Kubernetes: the archive that the image serves in place of the version inside; empty: that one."""
    archives_claim: str = ""
    """Kubernetes: the claim that held it when it was first served; a resource that names no claim any more leaves it there."""
    folder: str = ""
    """Local: the folder with the version's files, inside its Bento."""
    start_in: str = ""
    """Local: the folder in which the command is started, so that Python finds the Bento's own code first."""
    command: tuple[str, ...] = ()
    """Local: what starts one server of it; the platform adds where to listen."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the command needs in its environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rollout under way: its plan, which never changes, and how far it has come."""

    spec: RolloutSpec
    state: RolloutState


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRollout:
    """A rollout that has ended."""

    rollout: str
    strategy: StrategyKind
    stable: str
    """The version that answered by default when it began."""
    candidate: str
    phase: Phase
    reason: str
    started_at_seconds: float
    ended_at_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingWish:
    """What the last rollout asked for that found both versions failing; whoever retrains takes a rollout's wish once."""

    rollout: str
    reason: str
    at_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Everything that a platform must remember of one model; what can be read from the world is not in it."""

    model: str
    is_up: bool
    """Whether it shall run; False after `down`."""
    port: int
    """Where clients connect, REST and gRPC alike."""
    admin_port: int
    processes: int
    """Servers a version."""
    latency_milliseconds: float
    """The objective of the stable version's card: what takes longer counts as slow."""
    stable: str
    split: Split
    """What the router shall run."""
    wanted: tuple[str, ...]
    """The versions that shall have servers."""
    served: Mapping[str, ServedVersion]
    """How each known version is started."""
    rollout: Rollout | None = None
    past: tuple[PastRollout, ...] = ()
    """The last rollouts, oldest first."""
    next_rollout: int = 1
    last_request: int = 0
    """The number of the last request (rollout, command, stop) taken; smaller ones are never taken again."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """Why the last refused requests were refused, by number."""
    retraining: RetrainingWish | None = None
    """The last retraining that a rollout asked for, whether it has been taken or not."""
    prometheus_url: str = ""
    """Local: where query gates are asked; empty: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """One server: a process on this machine, a pod in a cluster."""

    version: str
    slot: int
    """Its place among its version's servers, from 0."""
    stage: str
    """cold, ready, leaving or stopping."""
    pid: int | None
    """Local: its process."""
    http_port: int
    grpc_port: int
    restarts: int = 0
    failure: str = ""
    """Why it is not ready, in words."""
    pod: str = ""
    """Kubernetes: its pod."""
    operator_port: int = 0
    """Local: where its metrics, card and prediction log are read; 0: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the supervisor last saw; its heartbeat."""

    pid: int
    """The supervisor's own."""
    at_seconds: float
    since_seconds: float
    """When this supervisor began."""
    router_pid: int | None = None
    actual: Split | None = None
    """The split that was read back from the router; None: not readable."""
    servers: tuple[ServerStatus, ...] = ()
    verdict: Verdict | None = None
    """The running rollout's last verdict."""
    last_error: str = ""
    operator_port: int = 0
    """Where the supervisor answers Prometheus, on loopback; the next supervisor takes it again if it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A model on a platform, as people and programs see it."""

    model: str
    is_up: bool
    url: str
    stable: str
    is_supervised: bool
    """Whether a supervisor, or a controller, runs; without one the last split goes on, and nothing is decided."""
    supervisor_pid: int | None = None
    heartbeat_age_seconds: float | None = None
    last_error: str = ""
    router_pid: int | None = None
    admin_port: int = 0
    processes: int = 0
    asked: Split | None = None
    actual: Split | None = None
    """What the router really runs, None if it cannot be read."""
    servers: tuple[ServerStatus, ...] = ()
    rollout: Rollout | None = None
    verdict: Verdict | None = None
    past: tuple[PastRollout, ...] = ()
    """The last rollouts, oldest first."""
    namespace: str = ""
    """Kubernetes: where the model is."""
    lease: str = ""
    """Kubernetes: what the controller that steers it holds, such as `canario/canario-controller`."""
    spec_version: str = ""
    """Kubernetes: the version that the resource's spec asks for, also when another one answers."""
    notices: Mapping[str, str] = field(default_factory=dict)
    """Kubernetes: by condition that does not hold: why, and what to do."""
    batch: tuple[BatchStatus, ...] = ()
    """Kubernetes: the schedules of rows to score, and their last runs."""
