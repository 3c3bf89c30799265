"""What a spec and people's wishes make of a model: each version in the spec is acted upon once, and nobody's decision is undone by an old spec."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canario.model.rollout import Phase
from canario.model.split import Split
from canario.platforms.kubernetes.intent import Wanted, adapt, first_record, last_trial, waits_for
from canario.platforms.kubernetes.wishes import Wish, WishKind
from canario.rollout.plan import undo
from canario.rollout.turns import stable_before
from tests.platforms.kubernetes.small_cluster import PLAN, SmallCluster, in_phase, is_quiet

ABORT = Wish(id="no-more", kind=WishKind.ABORT, actor="ana", reason="looks odd")


def test_the_first_version_answers_without_a_trial() -> None:
    """There is nothing to try it against: it is stable at once, with no rollout in the history."""
    cluster = SmallCluster()
    cluster.run(5)
    deployment = cluster.deployment
    assert (deployment.stable, deployment.split, deployment.rollout) == ("v1", Split(stable="v1"), None)
    assert (deployment.past, cluster.record.taken_version) == ((), "v1")


def test_the_same_spec_changes_nothing_at_rest(at_rest: SmallCluster) -> None:
    """However often it is applied, the record stays as it is, to the byte."""
    stored = at_rest.stored
    at_rest.run(20)
    assert at_rest.stored == stored
    assert not at_rest.starts


def test_another_version_in_the_spec_is_tried_by_its_plan(on_trial: SmallCluster) -> None:
    """The spec names v2, so v2 is on trial over v1, by the spec's own plan."""
    (start,) = on_trial.starts
    assert (start.version, start.by, start.plan) == ("v2", "the spec", PLAN)
    assert on_trial.record.taken_version == "v2"


def test_the_same_spec_in_the_middle_of_a_canary_changes_nothing(on_trial: SmallCluster) -> None:
    """A sync tool that applies it again and again neither restarts nor hurries the canary: it asks for nothing."""
    for _ in range(3):
        on_trial.edit("v2")
        on_trial.turn()
        assert on_trial.asked.request is None
    on_trial.until(is_quiet)
    assert [start.version for start in on_trial.starts] == ["v2"]
    assert on_trial.last.phase is Phase.PROMOTED


def test_a_version_that_was_thrown_back_is_not_tried_again_by_the_same_spec(at_rest: SmallCluster) -> None:
    """The judge has said no; the chart that says v2 still does not overrule it."""
    at_rest.failing.add("v2")
    at_rest.edit("v2")
    at_rest.until(lambda cluster: bool(cluster.deployment.past))
    at_rest.failing.clear()
    at_rest.run(100)
    assert [start.version for start in at_rest.starts] == ["v2"]
    assert (at_rest.deployment.stable, at_rest.last.phase) == ("v1", Phase.ROLLED_BACK)


def test_a_version_that_cannot_start_is_not_tried_again_by_the_same_spec(at_rest: SmallCluster) -> None:
    """A broken image is asked for once, and stable never noticed."""
    at_rest.broken.add("v2")
    at_rest.edit("v2")
    at_rest.until(lambda cluster: bool(cluster.deployment.past))
    at_rest.run(50)
    assert len(at_rest.starts) == 1
    assert "cannot be loaded" in at_rest.last.reason


def test_a_rollback_by_hand_is_not_undone_by_the_same_spec(promoted: SmallCluster) -> None:
    """A person has gone back to v1 by a wish; the spec says v2 and has been acted upon."""
    promoted.wish = Wish(id="back", kind=WishKind.START, version="v1", plan=undo(), actor="ana")
    promoted.until(lambda cluster: cluster.deployment.stable == "v1")
    promoted.wish = None
    promoted.run(50)
    assert (promoted.deployment.stable, promoted.deployment.rollout) == ("v1", None)
    assert [start.by for start in promoted.starts] == ["the spec", "back"]


def test_an_abort_by_hand_is_not_undone_by_the_same_spec(on_trial: SmallCluster) -> None:
    """Who stops a canary by hand does not have to edit the spec first."""
    on_trial.wish = ABORT
    on_trial.until(is_quiet)
    on_trial.run(50)
    assert len(on_trial.starts) == 1
    assert on_trial.last.reason == "aborted by ana: looks odd"


def test_a_newer_version_supersedes_a_canary_under_way(on_trial: SmallCluster) -> None:
    """The spec names v3 now: v2 goes back first, then v3 is tried over v1, and both are in the history."""
    on_trial.edit("v3")
    on_trial.run()
    assert on_trial.phase is Phase.RETURNING
    on_trial.until(in_phase(Phase.STEPPING))
    assert on_trial.last.candidate == "v2"
    assert on_trial.last.reason == "aborted by the spec: it asks for v3 now"
    assert [start.version for start in on_trial.starts] == ["v2", "v3"]
    assert on_trial.deployment.rollout
    assert on_trial.deployment.rollout.state.stable == "v1"


def test_a_newer_version_supersedes_one_that_still_starts(at_rest: SmallCluster) -> None:
    """Nobody waits for the start of a version that nobody wants any more."""
    at_rest.edit("v2")
    at_rest.turn()
    assert at_rest.phase is Phase.STARTING
    at_rest.edit("v3")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v3")
    assert [past.candidate for past in at_rest.deployment.past] == ["v2", "v3"]


def test_a_newer_version_supersedes_a_canary_that_is_paused(on_trial: SmallCluster) -> None:
    """A pause holds a canary, not the person's next release."""
    on_trial.wish = Wish(id="hold", kind=WishKind.PAUSE)
    on_trial.until(in_phase(Phase.PAUSED))
    on_trial.edit("v3")
    on_trial.until(lambda cluster: cluster.deployment.stable == "v3")
    assert on_trial.deployment.past[0].phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STEPPING, Phase.WATCHING])
def test_the_old_version_in_the_spec_aborts_at_any_moment(at_rest: SmallCluster, phase: Phase) -> None:
    """Who reverts the commit gets the old version back at once, in the watch as well, and no second rollout of it."""
    at_rest.edit("v2")
    at_rest.turn()
    at_rest.until(in_phase(phase))
    at_rest.edit("v1")
    at_rest.turn()
    assert at_rest.phase is Phase.RETURNING
    at_rest.until(is_quiet)
    at_rest.run(20)
    assert (at_rest.deployment.stable, at_rest.record.taken_version) == ("v1", "v1")
    assert at_rest.last.reason == "aborted by the spec: it asks for v1 again"
    assert len(at_rest.starts) == 1


def test_the_old_version_in_the_spec_aborts_a_paused_watch(watched: SmallCluster) -> None:
    """A pause in the watch does not keep anybody from going back."""
    watched.wish = Wish(id="hold", kind=WishKind.PAUSE)
    watched.until(in_phase(Phase.PAUSED))
    watched.edit("v1")
    watched.turn()
    assert watched.phase is Phase.RETURNING


def test_a_revert_that_is_reverted_is_tried_again(on_trial: SmallCluster) -> None:
    """v2, v1, v2 in a quick row: the last word is v2, and each was a change."""
    on_trial.router_lag_turns = 3
    on_trial.edit("v1")
    on_trial.turn()
    assert on_trial.phase is Phase.RETURNING
    on_trial.edit("v2")
    on_trial.until(lambda cluster: cluster.deployment.stable == "v2")
    assert [past.phase for past in on_trial.deployment.past] == [Phase.ROLLED_BACK, Phase.PROMOTED]


def test_a_version_that_was_superseded_and_is_asked_for_again_is_tried_again(on_trial: SmallCluster) -> None:
    """v2, v3, v2 in a quick row: v3 was never tried, and v2 is what the spec says in the end."""
    on_trial.router_lag_turns = 3
    on_trial.edit("v3")
    on_trial.turn()
    assert on_trial.phase is Phase.RETURNING
    on_trial.edit("v2")
    on_trial.until(lambda cluster: cluster.deployment.stable == "v2")
    assert [start.version for start in on_trial.starts] == ["v2", "v2"]


def test_a_newer_version_waits_for_the_end_of_the_watch(watched: SmallCluster) -> None:
    """What answers everybody is not thrown away for a newer one: it is watched to the end, then v3 is tried over it."""
    watched.edit("v3")
    watched.turn()
    assert watched.phase is Phase.WATCHING
    assert "ends first (watching)" in waits_for(watched.record, watched.wanted_spec())
    watched.until(lambda cluster: len(cluster.starts) == 2)
    assert watched.last.phase is Phase.PROMOTED
    assert watched.deployment.rollout
    assert watched.deployment.rollout.state.stable == "v2"


def test_a_newer_version_waits_while_it_goes_back(on_trial: SmallCluster) -> None:
    """Two rollouts never overlap: what goes back is back before the next begins."""
    on_trial.router_lag_turns = 5
    on_trial.wish = ABORT
    on_trial.turn()
    assert on_trial.phase is Phase.RETURNING
    on_trial.edit("v3")
    on_trial.run(3)
    assert on_trial.phase is Phase.RETURNING
    assert "ends first (returning)" in waits_for(on_trial.record, on_trial.wanted_spec())
    on_trial.until(lambda cluster: cluster.deployment.stable == "v3")


def test_a_newer_version_waits_while_the_promotion_is_finished(watched: SmallCluster) -> None:
    """Once promoted, v2 is stable first; then the next one begins over it."""
    watched.router_lag_turns = 3
    watched.until(in_phase(Phase.FINISHING))
    watched.edit("v3")
    watched.run(2)
    assert watched.phase is Phase.FINISHING
    watched.until(lambda cluster: len(cluster.deployment.past) == 2)
    assert watched.deployment.stable == "v3"
    assert [past.phase for past in watched.deployment.past] == [Phase.PROMOTED, Phase.PROMOTED]


def test_the_old_version_in_the_spec_goes_back_also_while_the_promotion_is_finished(watched: SmallCluster) -> None:
    """Also when what was promoted can no longer start: an undo waits for nobody."""
    watched.router_lag_turns = 3
    watched.until(in_phase(Phase.FINISHING))
    watched.edit("v1")
    watched.until(is_quiet)
    assert watched.deployment.stable == "v1"
    assert watched.last.phase is Phase.ROLLED_BACK


def test_a_version_that_was_stable_before_comes_back_without_a_trial(promoted: SmallCluster) -> None:
    """People were answered by v1 for good before: to name it again is an undo, which no gate and no watch holds up."""
    promoted.edit("v1")
    promoted.until(lambda cluster: cluster.deployment.stable == "v1")
    assert promoted.starts[-1].plan == undo()
    assert promoted.last.phase is Phase.PROMOTED


def test_a_version_that_was_only_tried_before_is_tried_again(on_trial: SmallCluster) -> None:
    """v2 was thrown back and never answered for good, so after another edit it meets the whole plan again."""
    on_trial.wish = ABORT
    on_trial.until(is_quiet)
    on_trial.edit("v1")
    on_trial.run(2)
    on_trial.edit("v2")
    on_trial.run(2)
    assert [start.plan for start in on_trial.starts] == [PLAN, PLAN]


def test_another_image_under_the_same_version_is_refused(at_rest: SmallCluster) -> None:
    """A version never changes: v1 from another image begins nothing, and v1 is served from the image that it had."""
    at_rest.images["v1"] = "fraud:patched"
    at_rest.run(20)
    assert not at_rest.starts
    assert at_rest.deployment.served["v1"].image == "fraud:v1"


def test_another_image_under_a_version_that_was_thrown_back_is_refused(on_trial: SmallCluster) -> None:
    """Nor does a version that was tried and thrown back come again from another image."""
    on_trial.wish = ABORT
    on_trial.until(is_quiet)
    on_trial.edit("v1")
    on_trial.run(2)
    on_trial.edit("v2")
    on_trial.images["v2"] = "fraud:patched"
    on_trial.run(20)
    assert len(on_trial.starts) == 1


def test_more_servers_and_another_objective_are_no_new_version(at_rest: SmallCluster) -> None:
    """How many servers there are and what counts as slow may change at any time, and begins no rollout."""
    wanted = replace(at_rest.wanted_spec(), replicas=5, latency_milliseconds=20.0)
    adapted = adapt(at_rest.record, wanted)
    assert (adapted.deployment.processes, adapted.deployment.latency_milliseconds) == (5, 20.0)
    assert adapt(adapted, wanted) is adapted


def test_the_first_version_has_nothing_before_it() -> None:
    """Nothing to go back to is said as nothing."""
    wanted = Wanted(version="v1", image="fraud:v1", plan=PLAN, replicas=2, latency_milliseconds=50.0)
    deployment = first_record("fraud", wanted).deployment
    assert stable_before(deployment) == ""
    assert last_trial(deployment, "v1") is None
