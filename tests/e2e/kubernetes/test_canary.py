"""A canary on a real cluster, from install to rollback, with clients that send all the while and pods that die under them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from canario.model.rollout import Phase
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary, held


def test_a_good_version_rises_and_is_promoted_while_pods_are_deleted(at_rest: Model, controller: Controller) -> None:
    """`helm upgrade` with another image is all that a release takes; clients notice nothing of it, nor of pods that go."""
    model, good, stable = at_rest, at_rest.fresh("v2"), at_rest.stable
    with model.traffic():
        model.upgrade(good, canary(minimum_requests=150))
        model.wait_for(Phase.STEPPING, weight=10)
        model.killer.delete(model.killer.pods(component="router")[0])
        controller.delete()
        model.wait_for(Phase.STEPPING, weight=50)
        model.killer.delete(model.killer.pods(component="server", version=stable)[0])
        model.killer.delete(model.killer.pods(component="server", version=good)[0])
        end = model.the_end(good)
    assert end["phase"] == Phase.PROMOTED
    status = model.status()
    assert (status["stable"], status["split"]["actual"]["weightPercent"]) == (good, 0)
    weights = [entry.after.asked.weight_percent for entry in model.assert_whole_journal() if entry.after.asked]
    assert set(weights) >= {10, 50, 100}


@pytest.mark.parametrize("image", ["v4", "v3"])
def test_a_version_that_fails_is_rolled_back_while_servers_are_killed(at_rest: Model, image: str) -> None:
    """A version that fails all or 5 % is thrown back, and the routers answer its failures from stable: nobody sees one."""
    model, version, stable = at_rest, at_rest.fresh(image), at_rest.stable
    with model.traffic():
        model.upgrade(version, canary(minimum_requests=1000, gates=[{"kind": "errors", "marginPercent": 1}]))
        model.wait_for(Phase.STEPPING, weight=10)
        model.killer.kill(model.killer.pods(component="server", version=stable)[0])
        end = model.the_end(version)
    assert end["phase"] == Phase.ROLLED_BACK
    assert "errors" in end["reason"]
    assert model.stable == stable
    assert not model.killer.pods(component="server", version=version)
    accepted = model.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "RolledBack")
    model.assert_whole_journal()


def test_rollback_by_command_brings_an_earlier_version_back(at_rest: Model) -> None:
    """`canario rollback` goes back to a version that is kept, in seconds, and a later `helm upgrade` of the old spec does not undo it."""
    model, good, earlier = at_rest, at_rest.fresh("v2"), at_rest.stable
    with model.traffic():
        model.upgrade(good, canary())
        assert model.the_end(good)["phase"] == Phase.PROMOTED
        model.remember()
        canario(model, "rollback", model.name, earlier, "--reason", "somebody called")
        end = model.the_end(earlier)
        assert (end["phase"], model.stable) == (Phase.PROMOTED, earlier)
        model.upgrade(good, canary())
        model.wait_observed()
        accepted = model.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "HeldByHand")
    assert good in accepted["message"]
    assert model.stable == earlier
    assert "rollout" not in model.status()


def test_a_person_holds_and_goes_on_and_ends_a_canary(at_rest: Model) -> None:
    """Pause, resume, promote and abort do what they say, once, and say why not when they cannot."""
    model, good = at_rest, at_rest.fresh("v2")
    with model.traffic():
        model.upgrade(good, held())
        model.wait_for(Phase.STEPPING, weight=10)
        assert model.answer_to(model.wish("pause")) == ""
        model.wait_for(Phase.PAUSED)
        assert model.answer_to(model.wish("resume")) == ""
        model.wait_for(Phase.STEPPING)
        assert model.answer_to(model.wish("abort", reason="a person has seen it")) == ""
        end = model.the_end(good)
    assert end["phase"] == Phase.ROLLED_BACK
    assert "a person has seen it" in end["reason"]
    assert "no rollout" in model.answer_to(model.wish("promote"))


def canario(model: Model, *words: str) -> str:
    """What `canario ... --on kubernetes` prints."""
    command = [str(Path(sys.executable).with_name("canario")), *words, "--on", "kubernetes", "-n", model.namespace]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=model.kube.cluster.environment(), timeout=60
    )
    assert done.returncode == 0, done.stderr[-1500:]
    return done.stdout
