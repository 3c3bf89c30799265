"""A model in a cluster held in memory: what a spec and wishes make of it, turn by turn, with routers that lag and controllers that die."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec

from canario.model.deployment import Deployment, PastRollout
from canario.model.evidence import Counts, Evidence
from canario.model.journal import JournalEntry
from canario.model.requests import StartRollout
from canario.model.rollout import Gate, GateKind, Phase, RolloutSpec, Step
from canario.model.split import Split
from canario.platforms.kubernetes.intent import Asked, Wanted, adapt, asked, first_record, settle
from canario.platforms.kubernetes.state import Record
from canario.platforms.kubernetes.wishes import Wish
from canario.rollout.replay import entry_of
from canario.rollout.turns import advance, commands_among, take_requests

PLAN = RolloutSpec(
    steps=tuple(Step(weight_percent=weight, minimum_requests=20, longest_seconds=60.0) for weight in (50.0, 100.0)),
    gates=(Gate(kind=GateKind.ERRORS, margin_percent=40.0),),
    watch_seconds=5.0,
    watch_error_percent=50.0,
    watch_slow_percent=100.0,
    start_seconds=30.0,
)
"""A canary that is content with little: what is tested with it is what is asked for, not how it is judged."""


@dataclass(frozen=True, slots=True)
class Start:
    """One rollout that began."""

    version: str
    by: str
    """`the spec`, or the wish's id."""
    plan: RolloutSpec
    edits: int
    """How often the spec had been edited by then."""


@dataclass
class SmallCluster:
    """One turn of it is the control loop's: look, ask, decide, store, follow."""

    plan: RolloutSpec = PLAN
    now_seconds: float = 1_000_000.0
    requests_per_second: int = 100
    version: str = "v1"
    images: dict[str, str] = field(default_factory=dict)
    """What the spec says instead of `fraud:<version>`."""
    archives: dict[str, str] = field(default_factory=dict)
    """By version that is an archive in the spec: where it is."""
    archives_claim: str = "archives"
    has_labels: bool = False
    wish: Wish | None = None
    is_spec_readable: bool = True
    broken: set[str] = field(default_factory=set)
    """Versions that cannot start."""
    failing: set[str] = field(default_factory=set)
    """Versions that answer every request with an error."""
    counts_readable: bool = True
    split_readable: bool = True
    router_lag_turns: int = 0
    servers: dict[str, int] = field(default_factory=dict)
    """By version that has servers: how many are ready."""
    counts: dict[str, Counts] = field(default_factory=dict)
    edits: int = 0
    starts: list[Start] = field(default_factory=list)
    journal: list[JournalEntry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.router = Split(stable=self.version)
        self._behind_turns = 0
        self.stored = msgspec.json.encode(first_record("fraud", self.wanted_spec()))
        self.asked = Asked()

    @property
    def record(self) -> Record:
        """What was stored last: the loop's memory is never ahead of it."""
        return msgspec.json.decode(self.stored, type=Record)

    @property
    def deployment(self) -> Deployment:
        return self.record.deployment

    @property
    def phase(self) -> Phase | None:
        rollout = self.deployment.rollout
        return rollout.state.phase if rollout else None

    @property
    def last(self) -> PastRollout:
        return self.deployment.past[-1]

    def wanted_spec(self) -> Wanted:
        return Wanted(
            version=self.version,
            image=self.images.get(self.version, f"fraud:{self.version}"),
            plan=self.plan,
            replicas=2,
            latency_milliseconds=50.0,
            archive=self.archives.get(self.version, ""),
            archives_claim=self.archives_claim,
            has_labels=self.has_labels,
        )

    @property
    def wanted(self) -> Wanted | None:
        return self.wanted_spec() if self.is_spec_readable else None

    def edit(self, version: str) -> None:
        """Somebody applies a spec with this version."""
        self.edits += version != self.version
        self.version = version

    def turn(self, *, dies_before_storing: bool = False, dies_before_following: bool = False) -> None:
        """One turn of the loop; the time until the next one is the caller's."""
        before = self.record if self.wanted is None else adapt(self.record, self.wanted)
        self.asked = asked(before, self.wanted, self.wish)
        requests = self.asked.numbered(before.deployment)
        taken = take_requests(before.deployment, requests, self.now_seconds)
        evidence = replace(self.evidence(), commands=commands_among(taken, requests))
        turn = advance(taken, evidence, self.now_seconds)
        after = settle(before, turn.deployment, self.asked, self.wanted)
        if dies_before_storing:
            return
        if taken.rollout is not None and before.deployment.rollout is None:
            assert isinstance(self.asked.request, StartRollout)
            request = self.asked.request
            by = self.asked.wish or "the spec"
            self.starts.append(Start(request.candidate.version, by, request.spec, self.edits))
        if turn.before is not None and turn.decision is not None:
            number = len(self.journal) + 1
            entry = entry_of(number, turn.before.spec, turn.before.state, evidence, turn.decision, self.now_seconds)
            self.journal.append(entry)
        self.stored = msgspec.json.encode(after)
        if not dies_before_following:
            self._follow(after.deployment)

    def evidence(self) -> Evidence:
        return Evidence(
            counts=dict(self.counts) if self.counts_readable else None,
            router_split=self.router if self.split_readable else None,
            ready={version: number for version, number in self.servers.items() if number},
            running=tuple(self.servers),
            failures={version: "it cannot be loaded" for version in self.broken if self.servers.get(version) == 0},
        )

    def passes(self, seconds: float) -> None:
        """Time passes: servers come up, and requests are answered as the router deals them."""
        self.now_seconds += seconds
        self.servers = {version: 0 if version in self.broken else 2 for version in self.servers}
        number = int(self.requests_per_second * seconds)
        for version, share in (
            (self.router.stable, 100 - self.router.weight_percent),
            (self.router.candidate, self.router.weight_percent),
        ):
            if self.servers.get(version) and share:
                old, dealt = self.counts.get(version, Counts()), round(number * share / 100)
                errors = dealt if version in self.failing else 0
                self.counts[version] = replace(old, requests=old.requests + dealt, errors=old.errors + errors)

    def run(self, turns: int = 1) -> None:
        """Turns with a second between them."""
        for _ in range(turns):
            self.turn()
            self.passes(1.0)

    def until(self, reached: Callable[[SmallCluster], bool], longest_turns: int = 200) -> None:
        """Turns until it is as wanted; fails after the longest wait."""
        for _ in range(longest_turns):
            if reached(self):
                return
            self.run()
        raise AssertionError(f"still {self.phase} after {longest_turns} turns: {self.record}")

    def _follow(self, deployment: Deployment) -> None:
        """The world's part: servers first, then the router, and what nobody wants only once no router sends to it."""
        for version in deployment.wanted:
            self.servers.setdefault(version, 0)
        if self.router != deployment.split:
            self._behind_turns += 1
            if self._behind_turns > self.router_lag_turns:
                self.router, self._behind_turns = deployment.split, 0
        elif self.split_readable:
            self._behind_turns = 0
            kept = {*deployment.wanted, deployment.split.stable}
            self.servers = {version: number for version, number in self.servers.items() if version in kept}


def is_quiet(cluster: SmallCluster) -> bool:
    """Whether no rollout is under way, the router runs what was asked, and one version is left."""
    deployment = cluster.deployment
    return (
        deployment.rollout is None and cluster.router == deployment.split and [*cluster.servers] == [deployment.stable]
    )


def in_phase(phase: Phase) -> Callable[[SmallCluster], bool]:
    return lambda cluster: cluster.phase is phase
