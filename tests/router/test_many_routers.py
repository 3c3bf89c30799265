"""Many routers that are moved together: whatever lags, dies or starts again, no route ever points to what is not there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from canario.adapters.envoy_admin import EnvoyAdmin
from canario.errors import EvidenceLost
from canario.model.evidence import Counts
from canario.model.split import Backend, Endpoint, RouterPlan, Split
from canario.router.changes import Reading, differs, files, read_router, written
from canario.router.configuration import Configuration, configuration
from canario.router.evidence import RouterTallies, Seen
from canario.router.folder import Router
from canario.router.routes import clusters_in
from tests.router.conftest import Clients, Front, StartServer, all_up, free_port, plan_for
from tests.router.test_names import named

FOLDER = Path("/router")


def plan(stable: str, candidate: str, weight_percent: float, shadow_percent: float) -> RouterPlan:
    """A plan whose servers are found by name."""
    return RouterPlan(
        model="fraud",
        port=8080,
        admin_port=9900,
        operator_port=9901,
        split=Split(stable=stable, candidate=candidate, weight_percent=weight_percent, shadow_percent=shadow_percent),
        backends=tuple(
            Backend(version=version, endpoints=(Endpoint(host=f"fraud-{version}", http_port=3000, grpc_port=3001),))
            for version in dict.fromkeys([stable, *([candidate] if candidate else [])])
        ),
        latency_milliseconds=50.0,
    )


WANTED = [
    configuration(plan(stable, candidate, weight_percent, shadow_percent), FOLDER)
    for stable, candidate, weight_percent, shadow_percent in [
        ("v1", "", 0.0, 0.0),
        ("v1", "v2", 50.0, 0.0),
        ("v2", "", 0.0, 0.0),
        ("v2", "v3", 0.0, 100.0),
    ]
]


class SimulatedRouter:
    """A router by the book: it sees the writings late but in order, loads routes at once, and warms new clusters."""

    def __init__(self, history: list[Mapping[str, bytes]]) -> None:
        self.history = history
        self.volume = len(history) - 1
        self.start()

    def start(self) -> None:
        """Read everything, and take requests once all of it is there."""
        self.alive = True
        self.routes = self._routes()
        self.active = set(self._now().clusters)
        self.loaded = set(self.active)

    def follow(self, steps: int, *, routes_first: bool) -> None:
        """See later writings; in which order it looks at the files is its own affair."""
        self.volume = min(self.volume + steps, len(self.history) - 1)
        if self.alive and routes_first:
            self.routes = self._routes()
            self.check()
        if self.alive:
            self.loaded = set(self._now().clusters)
            self.active &= self.loaded
            self.check()
            self.routes = self._routes()

    def warm(self) -> None:
        """The servers of all clusters have been looked at."""
        self.active = set(self.loaded)

    def check(self) -> None:
        """The promise."""
        if self.alive:
            assert clusters_in(self.routes[1]) <= self.active

    def reading(self) -> Reading | None:
        """What it says when it is asked."""
        return Reading(self.routes[0], frozenset(self.active), None) if self.alive else None

    def _now(self) -> Any:
        return written(self.history[self.volume])

    def _routes(self) -> tuple[str, dict[str, Any]]:
        now = self._now()
        return now.routes_version, now.routes


class Fleet(RuleBasedStateMachine):
    """Plans change at any time, in the middle of a change too; routers come, lag, die, start again and go."""

    @initialize(first=st.sampled_from(range(len(WANTED))), routers=st.integers(0, 2))
    def begin(self, first: int, routers: int) -> None:
        """A plan, and some routers that run it."""
        self.wanted = WANTED[first]
        self.history: list[Mapping[str, bytes]] = [files(self.wanted, {}, [])]
        self.routers = [SimulatedRouter(self.history) for _ in range(routers)]

    @rule(wanted=st.none() | st.sampled_from(range(len(WANTED))), turns=st.integers(1, 3))
    def write(self, wanted: int | None, turns: int) -> None:
        """Some turns of who writes, perhaps with another plan."""
        self.wanted = self.wanted if wanted is None else WANTED[wanted]
        for _ in range(turns):
            later = files(self.wanted, self.history[-1], [router.reading() for router in self.routers])
            if later != self.history[-1]:
                self.history.append(later)

    @rule(which=st.integers(0, 9), steps=st.integers(1, 3), routes_first=st.booleans(), warm=st.booleans())
    @precondition(lambda self: self.routers)
    def follow(self, which: int, steps: int, routes_first: bool, warm: bool) -> None:  # noqa: FBT001 - drawn
        """One router sees more of what was written."""
        router = self.routers[which % len(self.routers)]
        router.follow(steps, routes_first=routes_first)
        if warm:
            router.warm()

    @rule(which=st.integers(0, 9), fate=st.sampled_from(["die or start", "join", "leave"]))
    def suffer(self, which: int, fate: str) -> None:
        """Something happens to a router."""
        if fate == "join":
            self.routers.append(SimulatedRouter(self.history))
        elif self.routers and fate == "leave":
            self.routers.pop(which % len(self.routers))
        elif self.routers:
            router = self.routers[which % len(self.routers)]
            if router.alive:
                router.alive = False
            else:
                router.start()

    @invariant()
    def no_route_points_to_what_is_not_there(self) -> None:
        """The promise, after every step."""
        for router in getattr(self, "routers", []):
            router.check()

    def teardown(self) -> None:
        """In the end, once all routers keep up, a few turns bring what was wanted and nothing besides."""
        for router in getattr(self, "routers", []):
            if not router.alive:
                router.start()
        for _ in range(5):
            for router in getattr(self, "routers", []):
                router.follow(len(self.history), routes_first=True)
                router.warm()
            if hasattr(self, "wanted"):
                self.write(None, 1)
        if hasattr(self, "wanted"):
            assert not differs(self.wanted, self.history[-1])
            assert written(self.history[-1]).clusters == self.wanted.clusters


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


Contents = tuple[tuple[str, bytes], ...]
State = tuple[tuple[Contents, ...], str, frozenset[str], frozenset[str], frozenset[str]]
"""What was written since the router last looked, the version of its routes, and the clusters that they need, it has, it warms."""


@cache
def _next(wanted: int, on_disk: Contents, version: str, active: frozenset[str]) -> Contents:
    return tuple(files(WANTED[wanted], dict(on_disk), [Reading(version, active, None)]).items())


@cache
def _loaded(on_disk: Contents) -> tuple[str, frozenset[str], frozenset[str]]:
    now = written(dict(on_disk))
    assert now.routes is not None
    return now.routes_version, frozenset(clusters_in(now.routes)), frozenset(now.clusters)


def _after(state: State) -> Iterator[State]:
    """Whatever can happen next to a router that is never more than four writings behind."""
    history, version, needed, active, warming = state
    if warming:
        yield history, version, needed, active | warming, frozenset()
    for wanted in range(len(WANTED)):
        later = _next(wanted, history[-1], version, active)
        if later != history[-1] and len(history) < 5:
            yield (*history, later), version, needed, active, warming
    for steps in range(1, len(history)):
        its_version, its_routes, its_clusters = _loaded(history[steps])
        assert its_routes <= active, "it may take up the routes first"
        assert needed <= active & its_clusters, "it may take up the clusters first"
        yield history[steps:], its_version, its_routes, active & its_clusters, its_clusters - active


def test_every_way_from_one_plan_to_another_and_back_is_safe() -> None:
    """All that can happen in twelve steps, a router lagging as it likes: its routes never miss a cluster."""
    first = tuple(files(WANTED[0], {}, []).items())
    version, needed, clusters = _loaded(first)
    known: set[State] = {((first,), version, needed, clusters, frozenset())}
    latest = set(known)
    for _ in range(12):
        latest = {later for state in latest for later in _after(state)} - known
        known |= latest
    assert len(known) > 1000


COUNTS = st.builds(Counts, requests=st.integers(0, 1000), errors=st.integers(0, 100), slow=st.integers(0, 100))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans(), COUNTS), max_size=30))
def test_the_tallies_of_many_routers_never_fall(events: list[tuple[int, bool, bool, Counts]]) -> None:
    """Routers count, start again from nothing, and go for good: the total is the sum of what each process had last."""
    tallies, lives = RouterTallies(), [0] * 4
    last: dict[str, Seen] = {}
    addresses = {f"10.0.0.{number}:9901" for number in range(4)}
    for number, restarts, goes, more in events:
        lives[number] += restarts
        process = f"10.0.0.{number}:9901 life-{lives[number]}"
        last[process] = last.get(process, Seen()) + Seen(split={"v1": more})
        before = tallies.total().split.get("v1", Counts())
        tallies = tallies.then(process, last[process])
        if goes:
            lives[number] += 1
            tallies = tallies.at(addresses - {f"10.0.0.{number}:9901"})
        assert tallies.total() == sum(last.values(), Seen())
        now = tallies.total().split["v1"]
        assert now.requests >= before.requests
        assert now.errors >= before.errors
        assert now.slow >= before.slow
        assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(tallies)), RouterTallies) == tallies
    assert not tallies.at([]).last
    assert tallies.at([]).total() == tallies.total()


class Volume:
    """A folder that changes as a ConfigMap's volume does: all at once, by one link."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        folder.mkdir()

    def write(self, contents: Mapping[str, bytes]) -> None:
        """Swap the whole content."""
        self._number += 1
        content = self.folder / f"..{self._number}"
        content.mkdir()
        for name, text in contents.items():
            (content / name).write_bytes(text)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(Path("..data") / name)
        link = self.folder / "..data_tmp"
        link.symlink_to(content.name)
        link.replace(self.folder / "..data")


class MountedRouter(Front):
    """A router that reads a volume that somebody else writes."""

    def __init__(self, volume: Volume, plan: RouterPlan, wanted: Configuration) -> None:
        self.folder, self.plan, self.router = volume.folder, plan, Router(volume.folder, plan.admin_port)
        volume.write(files(wanted, {}, []))
        self.operator = EnvoyAdmin(plan.operator_port)
        self.start()

    def reading(self) -> Reading | None:
        """What it says when it is asked."""
        try:
            return read_router(self.operator)
        except EvidenceLost:
            return None


@pytest.mark.real
def test_two_routers_with_volumes_follow_a_rollout(tmp_path: Path, start_server: StartServer) -> None:
    """Two routers that see a ConfigMap's changes at different times go through a rollout and back: no request fails."""
    one, two = start_server("v1"), start_server("v2")
    all_up(one, two)
    splits = [
        Split(stable="v1"),
        Split(stable="v1", candidate="v2", weight_percent=50.0),
        Split(stable="v2"),
        Split(stable="v2", candidate="v1", shadow_percent=100.0),
        Split(stable="v1"),
    ]
    servers = (named(one), named(two))
    plans = [replace(plan_for(servers), split=splits[0], operator_port=free_port()) for _ in range(2)]

    def wanted(split: Split) -> list[Configuration]:
        versions = {split.stable, split.candidate}
        backends = tuple(each for each in servers if each.version in versions)
        now = [replace(plan, split=split, backends=backends) for plan in plans]
        return [configuration(plan, volume.folder) for plan, volume in zip(now, volumes, strict=True)]

    volumes = [Volume(tmp_path / "one"), Volume(tmp_path / "other")]
    routers = [MountedRouter(*each) for each in zip(volumes, plans, wanted(splits[0]), strict=True)]
    on_disk = [files(each, {}, []) for each in wanted(splits[0])]
    try:
        with Clients(routers[0]) as statuses, Clients(routers[1]) as others:
            for split in splits[1:]:
                deadline = time.monotonic() + 15
                while not all(reading and reading.split == split for reading in [each.reading() for each in routers]):
                    assert time.monotonic() < deadline
                    readings = [each.reading() for each in routers]
                    later = [files(*each, readings) for each in zip(wanted(split), on_disk, strict=True)]
                    for before, after, volume in zip(on_disk, later, volumes, strict=True):
                        if before != after:
                            volume.write(after)
                            time.sleep(0.1)  # the other one hears of it later
                    on_disk = later
                time.sleep(0.2)
        assert statuses.keys() == others.keys() == {"200", "OK"}
    finally:
        for router in routers:
            router.stop()
