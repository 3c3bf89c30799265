"""The resource `ModelDeployment` as a person writes it: what serves a model, and how a new version takes over; reading it is for the platform.

The bounds beside the fields are in the words of JSON Schema. The API server keeps to them, and the custom resource definition is made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from canario.model.rollout import GateKind, OnTimeout, StrategyKind

VERSION_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"
"""A version's name: a tag, and short enough for a label."""
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
"""The name of an object of the cluster: a DNS-1123 subdomain."""
ARCHIVE_PATTERN = (
    r"^(https?://[^\s?#]+\.canario(\?[^\s#]*)?|([A-Za-z0-9][A-Za-z0-9._-]*/)*[A-Za-z0-9][A-Za-z0-9._-]*\.canario)"
    r"(#sha256:[0-9a-f]{64})?$"
)
"""Where an archive is: an address, or a path below the archives' volume that leads nowhere else; with a digest or without."""
LABEL_VALUE_PATTERN = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
LABEL_KEY_PATTERN = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"

_STEP = "(/[1-9][0-9]?)?"


def _cron_field(value: str) -> str:
    """One of the five fields of a schedule: single values, ranges and steps, separated by commas."""
    part = rf"([*]|({value})(-({value}))?){_STEP}"
    return f"{part}(,{part})*"


_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DAYS = "sun|mon|tue|wed|thu|fri|sat"
SCHEDULE_PATTERN = (
    f"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|{_cron_field('[0-5]?[0-9]')}"
    f" +{_cron_field('[01]?[0-9]|2[0-3]')} +{_cron_field('0?[1-9]|[12][0-9]|3[01]')}"
    f" +{_cron_field(f'0?[1-9]|1[0-2]|{_MONTHS}|{_MONTHS.upper()}')} +{_cron_field(f'[0-6]|{_DAYS}|{_DAYS.upper()}')})$"
)
"""When something is done, as cron has it: minute, hour, day of the month, month, day of the week."""
PLACE_PATTERN = r"^([a-z][a-z0-9+.-]*://[^\s$]+|[A-Za-z0-9_*?\[][A-Za-z0-9._=,*?\[\]-]*(/[A-Za-z0-9_*?\[][A-Za-z0-9._=,*?\[\]-]*)*/?)$"
"""Where rows are: an address, or a path below a volume that leads nowhere else; one with `*`, `?` or `[...]` means several files."""


class ImagePullPolicy(StrEnum):
    """When a node fetches the image."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    NEVER = "Never"


class TolerationOperator(StrEnum):
    """How a toleration's key meets a taint."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class TaintEffect(StrEnum):
    """What a taint does to a pod that does not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretName:
    """A Secret of the same namespace."""

    name: str = field(metadata={"minLength": 1, "maxLength": 253, "pattern": OBJECT_NAME_PATTERN})
    """The Secret's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A taint of a node that the servers put up with; the fields are those of a pod."""

    key: str = field(default="", metadata={"maxLength": 317, "pattern": f"^({LABEL_KEY_PATTERN[1:-1]})?$"})
    """The taint's key; empty, with the operator `Exists`, means every taint."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """`Equal` compares the value too, `Exists` only the key."""
    value: str = field(default="", metadata={"maxLength": 63, "pattern": LABEL_VALUE_PATTERN})
    """The taint's value; none with `Exists`."""
    effect: TaintEffect | None = None
    """The effect that is tolerated; left out: every effect."""
    toleration_seconds: int | None = field(default=None, metadata={"minimum": 0})
    """With `NoExecute`: how long a server stays on the node, in seconds; left out: for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """How many servers a version has: as many as one figure asks for, the use of CPU or one of those that Prometheus has measured."""

    min_replicas: int = field(default=2, metadata={"minimum": 1, "maximum": 100})
    """The fewest servers of a version. During a rollout no version has fewer than its share of the requests takes."""
    max_replicas: int = field(default=10, metadata={"minimum": 1, "maximum": 100})
    """The most servers of a version."""
    cpu_percent: int | None = field(default=None, metadata={"minimum": 1, "maximum": 1000})
    """The use of CPU that is aimed at, in percent of what the servers request; 70 if no figure is given. Needs a metrics server."""
    requests_per_second: float | None = field(default=None, metadata={"minimum": 0, "exclusiveMinimum": True})
    """The requests a second that a server shall answer. Needs KEDA, and a controller that knows Prometheus, as the next two do."""
    waiting_requests: float | None = field(default=None, metadata={"minimum": 0, "exclusiveMinimum": True})
    """The requests that may wait at a server."""
    latency_milliseconds: float | None = field(default=None, metadata={"minimum": 0, "exclusiveMinimum": True})
    """The time that 95 of 100 answers shall stay below."""
    window_seconds: int = field(default=60, metadata={"minimum": 4, "maximum": 3600})
    """Over how long Prometheus' figures are averaged; at least four of its scrapes."""
    scale_down_seconds: int = field(default=300, metadata={"minimum": 0, "maximum": 3600})
    """How long fewer servers must have sufficed before some are removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What each server asks of its node; names and quantities are those of a container."""

    requests: Mapping[str, str | int] = field(default_factory=dict, metadata={"maxProperties": 16})
    """What a node must have free, such as `cpu: 250m` and `memory: 256Mi`."""
    limits: Mapping[str, str | int] = field(default_factory=dict, metadata={"maxProperties": 16})
    """What a server may use at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What the answers are held to."""

    latency_milliseconds: float = field(default=50.0, metadata={"minimum": 0, "exclusiveMinimum": True})
    """An answer that takes longer than this at the router counts as slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyStep:
    """One weight, and what must be true before the next."""

    weight_percent: float = field(metadata={"minimum": 0, "maximum": 100})
    """The candidate's share of the requests, in percent, in steps of 0.01; 0 for a preview or for copies."""
    minimum_requests: int = field(default=100, metadata={"minimum": 1})
    """The candidate's requests at this weight before the gates may pass; with a shadow, the pairs."""
    minimum_seconds: float = field(default=0.0, metadata={"minimum": 0})
    """The shortest time at this weight."""
    longest_seconds: float = field(default=600.0, metadata={"minimum": 0, "exclusiveMinimum": True})
    """After this long without an answer, `onTimeout` follows."""
    approval: bool = False
    """Whether a person must promote before the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyGate:
    """One question, and what counts as an answer."""

    kind: GateKind
    """`errors`, `slow` and `query` for every strategy, `wrong-labels` and `recall` for answers that people see, `disagreement` and
    `score-distance` for copies."""
    alpha: float = field(default=0.001, metadata={"minimum": 0, "exclusiveMinimum": True})
    """The largest chance that an equal candidate is thrown back by this gate over the whole rollout (above 0, at most 0.5)."""
    margin_percent: float = field(default=1.0, metadata={"minimum": 0, "exclusiveMinimum": True})
    """It passes when the candidate is proved to be worse by fewer percentage points than this; for `score-distance`, the largest mean
    distance in the score's unit."""
    confidence: float = field(default=0.95, metadata={"minimum": 0, "maximum": 1})
    """How sure that proof must be (from 0.5 to below 1)."""
    blocking: bool = True
    """Whether an unknown holds the rollout; a gate that does not block can still fail it."""
    name: str = field(default="", metadata={"maxLength": 63, "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"})
    """`query` only, and needed there: what the gate is called."""
    query: str = field(default="", metadata={"maxLength": 2048})
    """`query` only: PromQL that gives one number; $model, $stable, $candidate and $namespace stand for their names."""
    pass_at_most: float | None = None
    """`query` only: it passes at this value and below."""
    fail_above: float | None = None
    """`query` only: it fails above this value. Between passing and failing, and without a value, nothing is known."""
    pass_at_least: float | None = None
    """`query` only: it passes at this value and above; with `passAtMost` too, between both."""
    fail_below: float | None = None
    """`query` only: it fails below this value."""
    for_seconds: float = field(default=30.0, metadata={"minimum": 0})
    """`query` only: how long the query must say the same, without a break, before it passes or fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a new version takes over."""

    type: StrategyKind = StrategyKind.CANARY
    """`canary`: rising weights. `blue-green`: a preview, then one switch. `shadow`: copies only, whose answers are compared."""
    steps: tuple[StrategyStep, ...] | None = field(default=None, metadata={"minItems": 1, "maxItems": 50})
    """Rising weights that end with 100; blue-green and shadow have one step of weight 0. Left out: the strategy's default."""
    gates: tuple[StrategyGate, ...] | None = field(default=None, metadata={"maxItems": 12})
    """The questions that a step must answer, one of a kind, and queries by their names. Left out: the strategy's default."""
    on_timeout: OnTimeout = OnTimeout.PAUSE
    """What follows when a step's longest wait ends without an answer; it is never promotion."""
    start_seconds: float = field(default=120.0, metadata={"minimum": 0, "exclusiveMinimum": True})
    """The longest that the candidate's servers may take to become ready."""
    promote_after_shadow: bool = False
    """Shadow only: switch to the candidate when the comparison passes, instead of ending with a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the router does with requests."""

    sticky_header: str = field(default="", metadata={"maxLength": 64})
    """Canary only: the request header or gRPC metadata key whose value decides the version; empty means a random split."""
    shadow_percent: float = field(default=100.0, metadata={"minimum": 0, "exclusiveMinimum": True, "maximum": 100})
    """Shadow only: the share of the stable version's requests that is copied, in percent."""
    timeout_seconds: float = field(default=15.0, metadata={"minimum": 0, "exclusiveMinimum": True, "maximum": 3600})
    """The longest that a client waits, retries included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How the promoted version is judged while the old one stays warm."""

    seconds: float = field(default=300.0, metadata={"minimum": 0})
    """How long; 0 means no watch."""
    error_percent: float = field(default=1.0, metadata={"minimum": 0, "exclusiveMinimum": True, "maximum": 100})
    """More errors than this share, in percent, and it goes back."""
    slow_percent: float = field(default=5.0, metadata={"minimum": 0, "exclusiveMinimum": True, "maximum": 100})
    """More slow answers than this share, in percent, and it goes back."""
    wrong_percent: float | None = field(default=None, metadata={"minimum": 0, "exclusiveMinimum": True, "maximum": 100})
    """More wrong labels than this share, in percent, and it goes back, or a retraining is asked for if the old version was no better.
    Left out: not judged."""
    missed_percent: float | None = field(
        default=None, metadata={"minimum": 0, "exclusiveMinimum": True, "maximum": 100}
    )
    """Two classes only: the same for the share of the second class that is missed."""


class RowsFormat(StrEnum):
    """How answered rows are written."""

    PARQUET = "parquet"
    CSV = "csv"
    ARROW = "arrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSchedule:
    """Many rows that are scored on a schedule, by the version that is stable when a run begins: a pod a partition."""

    name: str = field(metadata={"minLength": 1, "maxLength": 20, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"})
    """What the schedule is called; its CronJob is named MODEL-score-NAME."""
    input: str = field(metadata={"minLength": 1, "maxLength": 512, "pattern": PLACE_PATTERN})
    """The rows: a file, a folder or a pattern of files below the volume of `claim`, or an address of an object store. With several
    partitions, files are dealt out in the order of their names."""
    output: str = field(metadata={"minLength": 1, "maxLength": 512, "pattern": PLACE_PATTERN})
    """The folder for the answers, below the same volume or at an address. Each run writes into a folder of its own there, named as its
    Job, each partition into `index-N`."""
    claim: str = field(default="", metadata={"maxLength": 253, "pattern": f"^({OBJECT_NAME_PATTERN[1:-1]})?$"})
    """The PersistentVolumeClaim with the rows, which takes the answers too; more than one pod at a time may write to it."""
    env_secret: str = field(default="", metadata={"maxLength": 253, "pattern": f"^({OBJECT_NAME_PATTERN[1:-1]})?$"})
    """The Secret whose keys become variables of the environment, such as the AWS_ACCESS_KEY_ID of an object store."""
    schedule: str = field(default="0 3 * * 1", metadata={"maxLength": 128, "pattern": SCHEDULE_PATTERN})
    """When it runs, as cron has it; Mondays at three unless it is said. A run waits for the one before, and is left out when that goes on an hour later."""
    time_zone: str = field(
        default="Etc/UTC", metadata={"maxLength": 64, "pattern": "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"}
    )
    """The time zone of the schedule."""
    suspend: bool = False
    """Whether the schedule rests; a run by hand goes on to be possible."""
    partitions: int = field(default=1, metadata={"minimum": 1, "maximum": 1000})
    """Into how many parts the input's files are dealt out. Each is tried, ends well or fails on its own."""
    parallelism: int = field(default=2, metadata={"minimum": 1, "maximum": 100})
    """How many of them are worked on at the same time."""
    retries_an_index: int = field(default=3, metadata={"minimum": 0, "maximum": 100})
    """How often a partition is tried again, going on where it stopped. Rows that fit nothing, and a file that cannot be read, are not tried again."""
    longest_seconds: int = field(default=86400, metadata={"minimum": 60, "maximum": 2592000})
    """The longest that a run may take."""
    format: RowsFormat = RowsFormat.PARQUET
    """How the answers are written."""
    rows_a_part: int | None = field(default=None, metadata={"minimum": 1, "maximum": 100000000})
    """How many rows a file of answers has at most. Left out: as `canario score` has it."""
    keep: tuple[str, ...] = field(default=(), metadata={"maxItems": 64})
    """Columns of the input that stand beside the answers."""
    most_rejects_percent: float = field(default=1.0, metadata={"minimum": 0, "maximum": 100})
    """More rows than this share, in percent, that do not fit the card, and the partition fails."""
    image: str = field(default="", metadata={"maxLength": 512, "pattern": "^([A-Za-z0-9][A-Za-z0-9._:/@-]*)?$"})
    """The image that scores, with canario and all libraries, as `make trainer` builds it. Left out: `canario-trainer:` and the controller's release."""
    resources: Resources = Resources()
    """What each pod asks of its node."""
    node_selector: Mapping[str, str] = field(default_factory=dict, metadata={"maxProperties": 16})
    """The labels that a node must have."""
    tolerations: tuple[Toleration, ...] = field(default=(), metadata={"maxItems": 8})
    """The taints of nodes that its pods put up with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeploymentSpec:
    """What serves the model, how many of it, and how a new version takes over."""

    image: str = field(default="", metadata={"maxLength": 512, "pattern": "^([A-Za-z0-9][A-Za-z0-9._:/@-]*)?$"})
    """The container image of the version, such as `registry.example/fraud:v2`. Either this or `bento`."""
    bento: str = field(
        default="", metadata={"maxLength": 128, "pattern": "^([a-z0-9][a-z0-9._-]*:[A-Za-z0-9_][A-Za-z0-9._-]*)?$"}
    )
    """The Bento whose image it is, such as `fraud:v2`, as `canario build --image` names it. Either this or `image`."""
    image_prefix: str = field(default="", metadata={"maxLength": 256})
    """With `bento`: what stands before the Bento's tag in the image's name, such as `registry.example/models/`."""
    archive: str = field(default="", metadata={"maxLength": 1024, "pattern": f"^({ARCHIVE_PATTERN[1:-1]})?$"})
    """The version as an archive of `canario export`, which the image serves in place of its own: a path below the volume of
    `archivesClaim`, such as `fraud/fraud-v2.canario`, or an http(s) address. `#sha256:` and the version's digest behind it refuse any other."""
    archives_claim: str = field(default="", metadata={"maxLength": 253, "pattern": f"^({OBJECT_NAME_PATTERN[1:-1]})?$"})
    """The PersistentVolumeClaim with the archives; servers that need one mount it, read-only."""
    version: str = field(default="", metadata={"maxLength": 63, "pattern": f"^({VERSION_PATTERN[1:-1]})?$"})
    """The version's name. Left out: what the archive's file is named after the model, `v2` of `fraud-v2.canario`, or else the tag of the
    image or the Bento. Needed where that says nothing: no tag, `latest`, only a digest."""
    feedback_secret: str = field(
        default="", metadata={"maxLength": 253, "pattern": f"^({OBJECT_NAME_PATTERN[1:-1]})?$"}
    )
    """The Secret whose key `url` is the PostgreSQL database of predictions and truths. Left out: they stay with each server, and
    no gate can wait for labels."""
    image_pull_policy: ImagePullPolicy = ImagePullPolicy.IF_NOT_PRESENT
    """When a node fetches the image."""
    image_pull_secrets: tuple[SecretName, ...] = field(
        default=(), metadata={"maxItems": 16, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    )
    """The Secrets that open the registry."""
    service_account_name: str = field(
        default="", metadata={"maxLength": 253, "pattern": f"^({OBJECT_NAME_PATTERN[1:-1]})?$"}
    )
    """The service account that the servers run as; empty: the namespace's default. The chart names one of its own."""
    priority_class_name: str = field(
        default="", metadata={"maxLength": 253, "pattern": f"^({OBJECT_NAME_PATTERN[1:-1]})?$"}
    )
    """The priority class of the servers."""
    node_selector: Mapping[str, str] = field(default_factory=dict, metadata={"maxProperties": 32})
    """The labels that a node must have to run servers."""
    tolerations: tuple[Toleration, ...] = field(default=(), metadata={"maxItems": 32})
    """The taints of nodes that servers put up with."""
    replicas: int | None = field(default=None, metadata={"minimum": 1, "maximum": 100})
    """Servers of each version; 2 if neither this nor `autoscaling` is given."""
    autoscaling: Autoscaling | None = None
    """A number of servers that follows the load, in place of `replicas`."""
    resources: Resources = Resources()
    """What each server asks of its node."""
    objectives: Objectives = Objectives()
    """What the answers are held to."""
    strategy: Strategy = Strategy()
    """How a new version takes over. Left out: a canary of 10, 50, 100 percent."""
    traffic: Traffic = Traffic()
    """What the router does with requests."""
    watch: Watch = Watch()
    """How the promoted version is judged while the old one stays warm."""
    batch: tuple[BatchSchedule, ...] = field(
        default=(), metadata={"maxItems": 8, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    )
    """Rows that are scored on a schedule, by whatever version is stable then."""
    history_limit: int = field(default=10, metadata={"minimum": 1, "maximum": 50})
    """How many past rollouts the status tells."""
