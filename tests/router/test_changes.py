"""Changes while traffic runs: they take effect at once, are read back as they are, and cost no request."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest

from canario.errors import RouterError
from canario.model.split import Split
from canario.router.folder import Router
from tests.router.conftest import Clients, Front, StartFront, StartServer, all_up, backend, eventually, free_port

pytestmark = pytest.mark.real


def test_a_new_weight_reaches_the_next_request_at_once(front: Front) -> None:
    """From the change to the first request on the new weight: less than 200 ms, the check by Envoy left aside."""
    front.change(replace(front.plan.split, weight_percent=0.0))
    seconds = []
    for percent, version in [(100.0, "v2"), (0.0, "v1")] * 3:
        plan = replace(front.plan, split=replace(front.plan.split, weight_percent=percent))
        routes = front.folder / "routes.json"
        assert front.router.write(plan)
        changed = routes.stat().st_mtime
        while front.rest().version != version:
            assert time.time() - changed < 5
        seconds.append(time.time() - changed)
    front.plan = plan
    assert sorted(seconds)[len(seconds) // 2] < 0.2


@pytest.mark.parametrize(
    "split",
    [
        Split(stable="v1"),
        Split(stable="v2", candidate="v1", weight_percent=0.01),
        Split(stable="v1", candidate="v2", weight_percent=33.33, sticky_header="x-user"),
        Split(stable="v1", candidate="v2", shadow_percent=12.5),
    ],
)
def test_the_split_is_read_back_exactly(split: Split, front: Front) -> None:
    """What Envoy runs comes back as it was asked for."""
    front.change(split)
    assert front.router.split() == split


def test_what_cannot_be_read_is_none(front: Front) -> None:
    """Without an Envoy to ask, nothing is known: no split, no counts, no active requests, not ready."""
    nobody = Router(front.folder, free_port())
    assert nobody.split() is None
    assert nobody.counts() is None
    assert nobody.active_requests(front.plan.backends[0].endpoints[0]) is None
    assert not nobody.is_ready()


def test_the_same_plan_again_changes_nothing(front: Front) -> None:
    """Writing a plan twice touches no file the second time."""
    front.change()
    before = {path.name: path.stat().st_mtime_ns for path in front.folder.iterdir()}
    assert front.router.write(front.plan)
    assert {path.name: path.stat().st_mtime_ns for path in front.folder.iterdir()} == before


def test_a_refused_plan_changes_nothing(front: Front) -> None:
    """A plan that Envoy refuses is refused before it is used, with Envoy's reason, and the old one goes on."""
    before = {path.name: path.read_bytes() for path in front.folder.glob("*.json")}
    with pytest.raises(RouterError, match="Envoy refuses"):
        front.router.write(replace(front.plan, split=replace(front.plan.split, sticky_header="no\nheader")))
    assert {path.name: path.read_bytes() for path in front.folder.glob("*.json")} == before
    assert front.router.split() == front.plan.split


def test_rollouts_one_after_the_other_cost_no_request(start_front: StartFront, start_server: StartServer) -> None:
    """New versions come, take over and go, each in one change of the plan, and no client sees a failure."""
    one, two, three = (start_server(version) for version in ("v1", "v2", "v3"))
    all_up(one, two, three)
    front = start_front(backends=(backend(one),), split=Split(stable="v1"))
    with Clients(front) as statuses:
        for old, new in ((one, two), (two, three), (three, one)):
            both = (backend(old), backend(new))
            front.change(Split(stable=old.version, candidate=new.version, weight_percent=50.0), both)
            time.sleep(0.1)
            front.change(Split(stable=new.version), (backend(new),))
            time.sleep(0.1)
            front.change()
    assert statuses.keys() == {"200", "OK"}
    assert {path.name.split(".")[1] for path in front.folder.glob("endpoints.*")} == {"v1"}  # the others are cleared


def test_nothing_is_sent_to_servers_that_were_not_looked_at_yet(
    start_front: StartFront, start_server: StartServer
) -> None:
    """While the first look at a new version's servers takes long, the former split stays, and write says so."""
    stable, frozen = start_server("v1"), start_server("v2")
    all_up(stable, frozen)
    front = start_front(backends=(backend(stable),), split=Split(stable="v1"))
    os.kill(frozen.process.pid, signal.SIGSTOP)
    wanted = replace(
        front.plan,
        split=Split(stable="v1", candidate="v2", weight_percent=100.0),
        backends=(backend(stable), backend(frozen)),
    )
    assert not front.router.write(wanted, patience_seconds=0.1)
    assert front.router.split() == front.plan.split
    assert front.tally("rest", 20) == {("200", "v1"): 20}
    eventually(lambda: front.router.write(wanted))
    assert front.tally("rest", 20) == {("200", "v1"): 20}  # it does not answer its health checks: stable does


def test_envoy_starts_again_from_its_folder(start_front: StartFront) -> None:
    """After a crash the same folder gives the same split, without anybody writing it again."""
    front = start_front(25.0)
    front.stop()
    front.start()
    assert front.router.split() == front.plan.split
    assert front.rest().status == "200"
