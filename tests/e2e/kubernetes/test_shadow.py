"""Shadow on a real cluster: copies whose answers nobody gets, compared pair by pair; a switch only when the plan says so."""

from __future__ import annotations

import pytest

from canario.model.rollout import Phase
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import shadow

pytestmark = pytest.mark.usefixtures("v1_answers")


def test_a_shadow_is_compared_and_ends_with_a_report_while_pods_are_deleted(
    model: Model, controller: Controller
) -> None:
    """Clients are answered by stable alone; in the end a person reads how far the two agree."""
    with model.traffic() as clients:
        model.upgrade("v2", shadow(promotes=False))
        model.wait_for(Phase.STEPPING)
        model.killer.delete(model.killer.pods(component="router")[0])
        controller.kill()
        end = model.the_end("v2")
    assert end["phase"] == Phase.COMPLETED
    assert set(clients.tally.by_version) == {"v1"}
    gates = {gate["kind"]: gate for gate in model.status()["evidence"]["gates"]}
    assert gates["disagreement"]["answer"] == "pass"
    model.assert_whole_journal()


def test_a_shadow_that_agrees_is_promoted_by_one_switch_and_back_by_another(model: Model) -> None:
    """With `promoteAfterShadow` the version that was compared answers everybody, in one step; the old spec brings the old one back."""
    with model.traffic():
        model.upgrade("v2", shadow())
        model.wait_for(Phase.STEPPING)
        model.killer.kill(model.killer.pods(component="server", version="v1")[0])
        end = model.the_end("v2")
        stable = model.stable
        model.upgrade("v1", shadow())
        back = model.the_end("v1")
    assert (end["phase"], stable) == (Phase.PROMOTED, "v2")
    assert (back["phase"], model.stable) == (Phase.PROMOTED, "v1")
    model.assert_whole_journal()


def test_a_shadow_that_fails_harms_nobody_and_is_thrown_back(model: Model) -> None:
    """A useless version's copies fail where nobody sees it."""
    with model.traffic() as clients:
        model.upgrade("v4", shadow())
        end = model.the_end("v4")
    assert end["phase"] == Phase.ROLLED_BACK
    assert set(clients.tally.by_version) == {"v1"}
