"""What people ask for by hand, beside the spec: taken once, answered always, and before what the spec says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canario.model.rollout import Phase, StrategyKind
from canario.platforms.kubernetes.intent import last_trial
from canario.platforms.kubernetes.wishes import Wish, WishKind
from canario.rollout.plan import default_plan, undo
from canario.rollout.turns import stable_before
from tests.platforms.kubernetes.small_cluster import PLAN, SmallCluster, Start, in_phase, is_quiet

ABORT = Wish(id="no-more", kind=WishKind.ABORT, actor="ana", reason="looks odd")


def test_a_person_comes_before_the_spec(at_rest: SmallCluster) -> None:
    """Both want something in the same moment: the person's rollout begins, and the spec's version then supersedes it in order."""
    at_rest.edit("v3")
    at_rest.wish = Wish(id="mine", kind=WishKind.START, version="v2", image="fraud:v2")
    at_rest.turn()
    assert at_rest.deployment.rollout
    assert at_rest.deployment.rollout.state.candidate == "v2"
    at_rest.wish = None
    at_rest.until(lambda cluster: cluster.deployment.stable == "v3")
    assert [start.by for start in at_rest.starts] == ["mine", "the spec"]


def test_a_wish_is_taken_once(on_trial: SmallCluster) -> None:
    """The annotation stays where it is; only another id is another wish."""
    on_trial.wish = ABORT
    on_trial.until(is_quiet)
    on_trial.wish = replace(ABORT, id="again", kind=WishKind.START, version="v2")
    on_trial.until(lambda cluster: cluster.deployment.stable == "v2")
    on_trial.run(30)
    assert [start.by for start in on_trial.starts] == ["the spec", "again"]
    assert on_trial.record.answered == {"no-more": "", "again": ""}


def test_a_wish_that_was_stored_is_not_taken_again_by_the_next_controller(on_trial: SmallCluster) -> None:
    """Killed right after storing, the controller's successor finds the wish answered."""
    on_trial.wish = Wish(id="hold", kind=WishKind.PAUSE)
    on_trial.turn(dies_before_following=True)
    on_trial.turn()
    assert on_trial.asked.request is None
    assert on_trial.phase is Phase.PAUSED


def test_a_wish_that_was_not_stored_is_taken_by_the_next_controller(on_trial: SmallCluster) -> None:
    """Killed right before storing, it has done nothing: the successor takes the same wish."""
    on_trial.wish = Wish(id="hold", kind=WishKind.PAUSE)
    on_trial.turn(dies_before_storing=True)
    assert not on_trial.record.answered
    on_trial.turn()
    assert on_trial.phase is Phase.PAUSED


@pytest.mark.parametrize("kind", [kind for kind in WishKind if kind is not WishKind.START])
def test_a_wish_without_a_rollout_is_answered(at_rest: SmallCluster, kind: WishKind) -> None:
    """Nothing to steer is an answer, given once."""
    at_rest.wish = Wish(id="x", kind=kind)
    at_rest.run(2)
    assert f"nothing to {kind.value}" in at_rest.record.answered["x"]


def test_a_start_while_another_rollout_is_under_way_is_answered(on_trial: SmallCluster) -> None:
    """The running rollout goes on; the person reads which one it is."""
    on_trial.wish = Wish(id="x", kind=WishKind.START, version="v3", image="fraud:v3")
    on_trial.turn()
    assert "v2 is under way" in on_trial.record.answered["x"]
    assert "v3" not in on_trial.deployment.served


def test_a_start_of_what_answers_already_is_answered(at_rest: SmallCluster) -> None:
    """Nothing begins, and the answer says so."""
    at_rest.wish = Wish(id="x", kind=WishKind.START, version="v1")
    at_rest.turn()
    assert "v1 answers already" in at_rest.record.answered["x"]


def test_a_start_of_an_unknown_version_is_answered_with_the_known_ones(at_rest: SmallCluster) -> None:
    """Without an image nobody can guess what v9 is; the answer lists what is kept."""
    at_rest.wish = Wish(id="x", kind=WishKind.START, version="v9")
    at_rest.turn()
    assert at_rest.record.answered["x"] == "v9 is not kept here, and no image was named; kept: v1"
    assert not at_rest.starts


def test_a_start_with_another_image_of_a_known_version_is_answered(at_rest: SmallCluster) -> None:
    """A version never changes, for people neither."""
    at_rest.wish = Wish(id="x", kind=WishKind.START, version="v1", image="fraud:patched")
    at_rest.turn()
    assert "a version never changes" in at_rest.record.answered["x"]


def test_a_refused_wish_does_not_hold_up_the_spec(at_rest: SmallCluster) -> None:
    """The annotation with the refused wish still stands there; the spec's version is tried all the same."""
    at_rest.wish = Wish(id="x", kind=WishKind.START, version="v9")
    at_rest.edit("v2")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")


def test_a_start_by_hand_follows_the_plan_of_the_spec(at_rest: SmallCluster) -> None:
    """Who names no plan gets the resource's own."""
    at_rest.wish = Wish(id="x", kind=WishKind.START, version="v2", image="fraud:v2")
    at_rest.turn()
    assert at_rest.starts == [Start("v2", "x", PLAN, 0)]


def test_a_new_version_by_hand_is_tried_also_while_the_spec_cannot_be_read(at_rest: SmallCluster) -> None:
    """A broken spec has no plan to lend; a version that nobody knows is still not switched to unseen."""
    at_rest.is_spec_readable = False
    at_rest.wish = Wish(id="x", kind=WishKind.START, version="v2", image="fraud:v2")
    at_rest.turn()
    assert at_rest.starts[-1].plan == default_plan(StrategyKind.CANARY)


def test_a_version_that_answered_before_comes_back_by_hand_also_while_the_spec_cannot_be_read(
    promoted: SmallCluster,
) -> None:
    """The way back needs no readable spec and no plan."""
    promoted.is_spec_readable = False
    promoted.wish = Wish(id="x", kind=WishKind.START, version="v1")
    promoted.until(lambda cluster: cluster.deployment.stable == "v1")
    assert promoted.starts[-1].plan == undo()


def test_a_broken_spec_leaves_a_rollout_as_it_is(on_trial: SmallCluster) -> None:
    """What cannot be read asks for nothing: the canary goes on to its end."""
    on_trial.is_spec_readable = False
    on_trial.until(is_quiet)
    assert on_trial.deployment.stable == "v2"


def test_a_spec_that_names_what_is_on_trial_by_hand_is_content_with_that_trial(at_rest: SmallCluster) -> None:
    """A person has begun v2, then the spec follows: when v2 is thrown back, the spec does not try it a second time."""
    at_rest.wish = Wish(id="x", kind=WishKind.START, version="v2", image="fraud:v2")
    at_rest.until(in_phase(Phase.STEPPING))
    at_rest.edit("v2")
    at_rest.run()
    at_rest.failing.add("v2")
    at_rest.until(is_quiet)
    at_rest.run(50)
    assert [start.by for start in at_rest.starts] == ["x"]


def test_a_spec_that_names_what_only_a_shadow_has_seen_begins_its_own_rollout(at_rest: SmallCluster) -> None:
    """A shadow begun by hand ends with a report; the spec's canary of the same version follows it."""
    shadow = replace(
        default_plan(StrategyKind.SHADOW), steps=(replace(PLAN.steps[0], weight_percent=0.0),), gates=PLAN.gates
    )
    at_rest.wish = Wish(id="x", kind=WishKind.START, version="v2", image="fraud:v2", plan=shadow)
    at_rest.turn()
    at_rest.edit("v2")
    at_rest.run()
    at_rest.wish = Wish(id="y", kind=WishKind.ABORT)
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")
    assert [start.by for start in at_rest.starts] == ["x", "the spec"]


def test_a_rollback_finds_the_version_before(promoted: SmallCluster) -> None:
    """The way back is known from the history, also after a trial that failed since."""
    assert stable_before(promoted.deployment) == "v1"
    promoted.failing.add("v3")
    promoted.edit("v3")
    promoted.until(lambda cluster: len(cluster.deployment.past) == 2)
    assert stable_before(promoted.deployment) == "v1"
    trial = last_trial(promoted.deployment, "v3")
    assert trial
    assert trial.phase is Phase.ROLLED_BACK
