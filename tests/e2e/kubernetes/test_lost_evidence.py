"""Evidence that cannot be read: the rollout holds and says so, nobody is harmed, and it goes on when it can be read again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from canario.adapters.kubernetes_api import Object
from canario.model.rollout import Phase
from canario.platforms.kubernetes.naming import ROUTER_OPERATOR_PORT
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kills import pids_of
from tests.e2e.kubernetes.kube import until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary

HELD_SECONDS = 6.0


def test_a_healthy_release_waits_while_a_router_cannot_be_read(at_rest: Model, controller: Controller) -> None:
    """One router out of the controller's reach: clients notice nothing, nothing is promoted or thrown back, and the status says why."""
    model, good = at_rest, at_rest.fresh("v2")
    with model.traffic():
        model.upgrade(good, canary(10, 100, minimum_requests=150))
        model.wait_for(Phase.STEPPING, weight=10)
        with out_of_reach(model.killer.pods(component="router")[0], controller.leader()):
            until(lambda: model.condition("EvidenceReadable").get("status") == "False", "it to say so", 20, model.told)
            time.sleep(HELD_SECONDS)
            told, status = model.condition("EvidenceReadable"), model.status()
        end = model.the_end(good)
    assert told["reason"] == "Lost"
    assert "holds" in told["message"]
    assert (status["phase"], status["weightPercent"]) == (Phase.STEPPING, 10)
    assert end["phase"] == Phase.PROMOTED
    events = model.kubectl("get", "events.events.k8s.io", "--output=jsonpath={.items[*].reason}").split()
    assert "EvidenceLost" in events
    model.assert_whole_journal()


@contextmanager
def out_of_reach(router: Object, controller: Object) -> Iterator[None]:
    """A router whose operator port does not hear the controller; the node's probes still pass."""
    pids = pids_of(router)
    if not pids:
        pytest.skip("the router runs on another machine")
    enter = ["nsenter", f"--target={pids[0]}", "--net", "iptables"]
    peer, port = controller["status"]["podIP"], str(ROUTER_OPERATOR_PORT)
    rule = ["INPUT", "--protocol", "tcp", "--dport", port, "--source", peer, "--jump", "DROP"]
    subprocess.run([*enter, "--append", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run([*enter, "--delete", *rule], check=True)
