"""What a rollout lives through: controllers that are killed or sleep, an API server that is away; it ends as it would have, and once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from canario.model.rollout import Phase
from tests.cluster import node
from tests.cluster.cluster import Cluster
from tests.cluster.settings import Settings
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kills import pids_of
from tests.e2e.kubernetes.kube import until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary

ASLEEP_SECONDS = 18.0
"""Longer than others wait for a leader (15 s), shorter than its liveness probe does."""
AWAY_SECONDS = 30.0


@pytest.fixture(autouse=True)
def rested(controller: Controller) -> Iterator[None]:
    """A controller that has not been killed before: the kubelet makes one that dies often wait ever longer."""
    yield
    controller.renew()


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STEPPING, Phase.WATCHING, Phase.FINISHING])
def test_a_promotion_survives_its_controller(at_rest: Model, controller: Controller, phase: Phase) -> None:
    """Killed with SIGKILL wherever it stands, the rollout goes on from there and ends promoted; no request fails."""
    model, good = at_rest, at_rest.fresh("v2")
    with model.traffic():
        model.upgrade(good, canary(50, 100))
        model.wait_for(phase)
        controller.kill()
        end = model.the_end(good)
    assert end["phase"] == Phase.PROMOTED
    assert model.status()["stable"] == good
    model.assert_whole_journal()


def test_a_rollback_survives_its_controller(at_rest: Model, controller: Controller) -> None:
    """Killed on the way back, it goes on going back; the bad version's servers are stopped and nobody is asked twice."""
    model, bad, stable = at_rest, at_rest.fresh("v4"), at_rest.stable
    with model.traffic():
        model.upgrade(bad, canary())
        model.wait_for(Phase.RETURNING)
        controller.kill()
        end = model.the_end(bad)
    assert end["phase"] == Phase.ROLLED_BACK
    assert model.stable == stable
    model.assert_whole_journal()


def test_of_two_controllers_one_steers_even_when_the_leader_slept(at_rest: Model, controller: Controller) -> None:
    """A leader that sleeps is replaced, and when it wakes in the middle of things it writes nothing any more."""
    model, good = at_rest, at_rest.fresh("v2")
    controller.install(replicas=2)
    try:
        leader = controller.leader()
        with model.traffic():
            model.upgrade(good, canary(10, 100, minimum_requests=150))
            model.wait_for(Phase.STEPPING)
            pids = pids_of(leader)
            if not pids:
                pytest.skip("the leader runs on another machine")
            stop(pids, signal.SIGSTOP)
            time.sleep(ASLEEP_SECONDS)
            stop(pids, signal.SIGCONT)
            end = model.the_end(good)
            successor = controller.leader()
    finally:
        controller.install(replicas=1)
    assert successor["metadata"]["name"] != leader["metadata"]["name"]
    assert end["phase"] == Phase.PROMOTED
    model.assert_whole_journal()


def test_an_api_server_that_is_away_delays_and_breaks_nothing(at_rest: Model, cluster: Cluster) -> None:
    """Clients are answered as before for half a minute, and then the rollout goes on to its end."""
    if cluster.audit_log is None:
        pytest.skip("the API server is somebody else's")
    settings = Settings.from_environment()
    servers = [pid for pid, name in node.processes(settings).items() if name == "kube-apiserver"]
    model, good = at_rest, at_rest.fresh("v2")
    with model.traffic() as clients:
        model.upgrade(good, canary(10, 100, minimum_requests=150))
        model.wait_for(Phase.STEPPING)
        stop(servers, signal.SIGSTOP)
        before = clients.tally.requests
        time.sleep(AWAY_SECONDS)
        answered = clients.tally.requests - before
        stop(servers, signal.SIGCONT)
        end = model.the_end(good)
    assert answered > AWAY_SECONDS * 50
    assert end["phase"] == Phase.PROMOTED
    model.assert_whole_journal()


def test_servers_routers_and_controller_may_all_be_killed_in_one_rollout(
    at_rest: Model, controller: Controller
) -> None:
    """SIGKILL for one of each: a client whose connection broke asks again, as all do, and nobody sees a failure."""
    model, good, stable = at_rest, at_rest.fresh("v2"), at_rest.stable
    with model.traffic(sends_again=True) as clients:
        model.upgrade(good, canary(10, 100, minimum_requests=150))
        model.wait_for(Phase.STEPPING)
        killer = model.killer
        controller.kill()
        killer.kill(killer.pods(component="server", version=stable)[0])
        killer.kill(killer.pods(component="router")[0])
        until(lambda: len(killer.pods(component="router")) == 2, "the killed router")
        killer.kill(killer.pods(component="server", version=good)[0])
        end = model.the_end(good)
    assert end["phase"] == Phase.PROMOTED
    assert clients.tally.sent_again <= 100
    model.assert_whole_journal()


def stop(pids: list[int], number: signal.Signals) -> None:
    """Send to sleep, or wake."""
    for pid in pids:
        os.kill(pid, number)
