"""A small world for the engine to steer: servers, a router and traffic, held in memory and driven by a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from canario.model.evidence import Command, CommandKind, Comparison, Counts, Evidence
from canario.model.orders import Conclude, Order, SetSplit, StartVersion, StopVersion
from canario.model.rollout import RolloutSpec, RolloutState
from canario.model.split import Split
from canario.rollout.decide import Decision, begin, decide
from tests.rollout.engine_moments import QUICK, counting


@dataclass
class World:
    """What a platform would hold: it carries out orders, deals requests and shows itself as evidence."""

    seed: int = 1
    bad: dict[str, float] = field(default_factory=dict)
    """By version: the chance that a request fails."""
    requests_per_second: float = 200.0
    now_seconds: float = 1000.0
    split: Split = field(default_factory=lambda: Split(stable="v1"))
    ready: dict[str, int] = field(default_factory=lambda: {"v1": 2})
    failures: dict[str, str] = field(default_factory=dict)
    sleepers: set[str] = field(default_factory=set)
    """Versions whose servers run and never become ready."""
    most: dict[str, int] = field(default_factory=dict)
    """By version: the most servers that there is room for."""
    is_autoscaled: bool = False
    """Whether a version begins with one server and has more only where more are asked for."""
    counts: dict[str, Counts] = field(default_factory=lambda: {"v1": Counts(requests=100_000, errors=90)})
    comparison: Comparison = field(default_factory=Comparison)
    flips: float = 0.0
    """The chance that a copy is answered with another label."""
    commands: list[Command] = field(default_factory=list)
    is_blind: bool = False
    """Whether the counts cannot be read."""
    measurements: dict[str, float] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)
    concluded: list[Conclude] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def evidence(self) -> Evidence:
        return Evidence(
            counts=None if self.is_blind else dict(self.counts),
            comparison=None if self.is_blind else self.comparison,
            router_split=self.split,
            ready=dict(self.ready),
            replicas=dict(self.ready) if self.is_autoscaled else {},
            running=tuple(self.ready),
            failures=dict(self.failures),
            commands=tuple(self.commands),
            measurements=dict(self.measurements),
            unmeasured=dict(self.unmeasured),
        )

    def carry_out(self, orders: Sequence[Order]) -> None:
        for order in orders:
            match order:
                case StartVersion(version=version, servers=servers):
                    at_least = max(servers or 0, 1 if self.is_autoscaled else 2, self.ready.get(version, 0))
                    is_dead = version in self.failures or version in self.sleepers
                    self.ready[version] = 0 if is_dead else min(self.most.get(version, 100), at_least)
                case SetSplit(split=split):
                    self.split = split
                case StopVersion(version=version):
                    self.ready.pop(version, None)
                case Conclude():
                    self.concluded.append(order)

    def command(self, kind: CommandKind, *, whole: bool = False) -> None:
        self.commands.append(Command(number=len(self.commands) + 1, kind=kind, whole=whole, actor="ana"))

    def run(self, elapsed_seconds: float) -> None:
        """Let time pass and requests come."""
        self.now_seconds += elapsed_seconds
        for _ in range(round(elapsed_seconds * self.requests_per_second)):
            chosen = self.random.random() * 100 < self.split.weight_percent
            self.answer(self.split.candidate if chosen else self.split.stable)
            if self.random.random() * 100 < self.split.shadow_percent:
                self.answer(self.split.candidate)
                flipped = self.random.random() < self.flips
                self.comparison = replace(
                    self.comparison,
                    pairs=self.comparison.pairs + 1,
                    flips=self.comparison.flips + flipped,
                    distance_sum=self.comparison.distance_sum + 0.5 * flipped,
                )

    def answer(self, version: str) -> None:
        counts = self.counts.get(version, Counts())
        failed = self.random.random() < self.bad.get(version, 0.0)
        self.counts[version] = replace(counts, requests=counts.requests + 1, errors=counts.errors + failed)


@dataclass
class Rollout:
    """A rollout in a world, driven the way a platform does it."""

    spec: RolloutSpec
    world: World = field(default_factory=World)
    decisions: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state: RolloutState = begin(self.spec, "r1", "v1", "v2", self.world.now_seconds)

    def look(self) -> Decision:
        """One turn of the loop: decide, store, carry out."""
        decision = decide(self.spec, self.state, self.world.evidence(), self.world.now_seconds)
        self.state = decision.state
        self.decisions.append(decision)
        self.world.carry_out(decision.orders)
        return decision

    def until(
        self, reached: Callable[[RolloutState], bool], longest_seconds: float = 600.0, poll_seconds: float = 0.5
    ) -> RolloutState:
        """Look again and again until the state is as wanted; fails after the longest wait."""
        end = self.world.now_seconds + longest_seconds
        while True:
            self.look()
            if reached(self.state):
                return self.state
            assert self.world.now_seconds < end, (
                f"still {self.state.phase} after {longest_seconds} s: {self.state.reason}"
            )
            self.world.run(poll_seconds)


@pytest.fixture(scope="session")
def world() -> type[World]:
    """The class that makes worlds, such as one with bad={"v2": 0.05}."""
    return World


@pytest.fixture(scope="session")
def rollout() -> type[Rollout]:
    """The class that makes rollouts of a plan in a world."""
    return Rollout


@pytest.fixture
def at_ten() -> Rollout:
    """A rollout whose first step has begun to count."""
    running = Rollout(QUICK, World())
    running.until(counting)
    counted = running.world.counts["v1"]
    running.world.counts["v1"] = replace(counted, requests=counted.requests + 100)
    return running
