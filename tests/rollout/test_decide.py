"""The engine follows its plan, repeats what has not happened, and goes back when it must: orders in, world out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from canario.model.evidence import CommandKind, Counts
from canario.model.orders import Conclude, SetSplit, StartVersion, StopVersion
from canario.model.rollout import OnTimeout, Phase, RolloutSpec
from canario.model.split import Split
from canario.rollout.decide import decide
from canario.rollout.plan import blue_green, shadow, undo
from tests.rollout.engine_moments import AT_FIFTY, AT_TEN, EVERYBODY, NOBODY, QUICK, STABLE, counting, ended, in_phase

if TYPE_CHECKING:
    from tests.rollout.conftest import Rollout, World


def test_a_good_candidate_climbs_and_is_promoted(rollout: type[Rollout], world: type[World]) -> None:
    """Every order of a good release, once each, in this order."""
    running = rollout(QUICK, world(bad={"v1": 0.001, "v2": 0.001}))
    running.until(ended)
    assert [order for decision in running.decisions for order in decision.orders][:-1] == [
        StartVersion(version="v2", servers=1),
        SetSplit(split=AT_TEN),
        SetSplit(split=AT_FIFTY),
        SetSplit(split=EVERYBODY),
        SetSplit(split=Split(stable="v2")),
        StopVersion(version="v1"),
    ]
    (conclude,) = running.world.concluded
    assert (conclude.phase, conclude.stable) == (Phase.PROMOTED, "v2")


def test_a_bad_candidate_is_thrown_back_and_stopped(rollout: type[Rollout], world: type[World]) -> None:
    """On a failure traffic goes back first, then the candidate is stopped, and the end says why."""
    running = rollout(QUICK, world(bad={"v2": 0.5}))
    running.until(ended, poll_seconds=0.1)
    assert [order for decision in running.decisions for order in decision.orders][2:-1] == [
        SetSplit(split=STABLE),
        StopVersion(version="v2"),
    ]
    (conclude,) = running.world.concluded
    assert (conclude.phase, conclude.stable) == (Phase.ROLLED_BACK, "v1")
    assert "more than its share at a weight of 10 %" in conclude.reason
    assert running.world.counts["v2"].errors <= 10


def test_an_end_is_told_until_it_is_heard(rollout: type[Rollout], world: type[World]) -> None:
    """A process that died between storing the end and telling it finds the same end told again, and nothing else changes."""
    running = rollout(QUICK, world(bad={"v2": 1.0}))
    state = running.until(ended, poll_seconds=0.1)
    again = running.look()
    assert again.state == state
    assert [type(order) for order in again.orders] == [Conclude]


def test_no_traffic_before_the_candidate_is_ready(rollout: type[Rollout], world: type[World]) -> None:
    """While the candidate starts it is only asked to start, however long its first servers take."""
    running = rollout(QUICK, world())
    for ready in ({}, {"v2": 0}, {"v2": 1}):
        running.world.ready = {"v1": 2, **ready}
        decision = decide(running.spec, running.state, running.world.evidence(), 1010.0)
        assert decision.state.phase is Phase.STARTING
        assert decision.orders == (() if ready.get("v2") else (StartVersion(version="v2", servers=1),))


def test_fewer_servers_than_stable_are_waited_for_but_not_for_ever(rollout: type[Rollout], world: type[World]) -> None:
    """A candidate with one of two servers ready goes on with one once the longest start is over."""
    running = rollout(QUICK, world())
    running.world.ready = {"v1": 2, "v2": 1}
    decision = decide(running.spec, running.state, running.world.evidence(), 1121.0)
    assert decision.orders == (SetSplit(split=AT_TEN),)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"failures": {"v2": "no module named lightgbm"}}, "cannot start: no module named lightgbm"),
        ({"sleepers": {"v2"}}, "no ready server after 2 min"),
    ],
)
def test_a_candidate_that_does_not_start_is_given_up(
    rollout: type[Rollout], world: type[World], trouble: dict[str, Any], words: str
) -> None:
    """A start that fails, or takes longer than the plan allows, ends the rollout; no request ever went to the candidate."""
    running = rollout(QUICK, world(**trouble))
    state = running.until(ended, 130, 5.0)
    assert state.phase is Phase.ROLLED_BACK
    assert words in state.reason
    assert "v2" not in {**running.world.counts, **running.world.ready}


def test_counting_begins_when_the_router_is_seen_to_run_the_split(rollout: type[Rollout], world: type[World]) -> None:
    """An asked split that has not happened is asked again, and nothing counts until it is read back."""
    running = rollout(QUICK, world())
    running.until(in_phase(Phase.STEPPING))
    running.world.split = STABLE
    for _ in range(3):
        running.world.now_seconds += 1
        decision = decide(running.spec, running.state, running.world.evidence(), running.world.now_seconds)
        running.state = decision.state
        assert decision.orders == (SetSplit(split=AT_TEN),)
        assert decision.state.step_since_seconds is None
    running.world.split = AT_TEN
    running.look()
    assert running.state.baseline == running.world.counts


def test_a_split_that_changed_by_itself_is_put_right(at_ten: Rollout) -> None:
    """A router that is seen with another split is asked again, what was earned is kept, and counting begins anew."""
    at_ten.world.counts["v2"] = Counts(requests=20, errors=2)
    at_ten.look()
    earned = at_ten.state.step_log_e_values["errors"]
    assert earned > 0
    at_ten.world.split = STABLE
    decision = at_ten.look()
    assert decision.orders == (SetSplit(split=AT_TEN),)
    assert decision.state.step_since_seconds is None
    assert decision.state.log_e_values["errors"] == earned
    assert at_ten.look().state.baseline["v2"] == Counts(requests=20, errors=2)


def test_a_candidate_that_died_loses_its_traffic_at_once_and_gets_it_back(at_ten: Rollout) -> None:
    """One look after its last server died nobody is sent there; when it is ready again the step goes on, with a new count."""
    at_ten.world.ready["v2"] = 0
    decision = decide(at_ten.spec, at_ten.state, at_ten.world.evidence(), at_ten.world.now_seconds)
    assert decision.orders == (StartVersion(version="v2", servers=1), SetSplit(split=NOBODY))
    at_ten.look()
    assert at_ten.look().orders == (SetSplit(split=AT_TEN),)
    at_ten.until(counting)


def test_a_candidate_that_stays_dead_is_rolled_back(at_ten: Rollout) -> None:
    """After as long as it may take to start, a candidate that does not come back is given up."""
    at_ten.world.sleepers.add("v2")
    at_ten.world.ready["v2"] = 0
    at_ten.until(in_phase(Phase.RETURNING), 130)
    assert "no ready server" in at_ten.state.reason


def test_an_outage_of_both_is_not_the_candidates_fault(at_ten: Rollout) -> None:
    """When no server is ready, as after a restart of the machine, nothing is moved or given up, and both are started."""
    at_ten.world.ready = {}
    at_ten.world.now_seconds += 1000
    decision = at_ten.look()
    assert decision.orders == (StartVersion(version="v1", servers=2), StartVersion(version="v2", servers=1))
    assert decision.state.unready_since_seconds is None
    assert decision.state.phase in (Phase.STEPPING, Phase.PAUSED)


def test_a_dead_stable_hands_over_to_a_candidate_that_already_answers(at_ten: Rollout) -> None:
    """Some answer is better than none: the candidate steps in while stable starts again, and nothing is judged meanwhile."""
    at_ten.world.ready["v1"] = 0
    decision = at_ten.look()
    assert decision.orders == (StartVersion(version="v1", servers=2), SetSplit(split=EVERYBODY))
    assert decision.state.step_since_seconds is None
    assert at_ten.look().orders == (SetSplit(split=AT_TEN),)


@pytest.mark.parametrize("spec", [blue_green(), shadow()])
def test_a_preview_does_not_step_in(rollout: type[Rollout], world: type[World], spec: RolloutSpec) -> None:
    """A candidate that nobody chose to answer people yet gets no traffic when stable dies."""
    running = rollout(spec, world())
    running.until(counting)
    running.world.ready["v1"] = 0
    assert running.look().orders == (StartVersion(version="v1", servers=2),)


def test_lost_evidence_holds_and_does_not_time_out(at_ten: Rollout) -> None:
    """An hour without counts neither promotes nor rolls back nor pauses, and the step then has all of its time left."""
    at_ten.world.is_blind = True
    at_ten.until(lambda state: state.lost_since_seconds is not None)
    at_ten.world.now_seconds += 3600
    assert at_ten.look().state.phase is Phase.STEPPING
    at_ten.world.is_blind = False
    at_ten.look()
    assert at_ten.state.phase is Phase.STEPPING
    assert at_ten.world.now_seconds - at_ten.state.phase_since_seconds < 10
    at_ten.until(in_phase(Phase.STEPPING, 1))


@pytest.mark.parametrize(
    ("on_timeout", "phase"), [(OnTimeout.PAUSE, Phase.PAUSED), (OnTimeout.ROLL_BACK, Phase.RETURNING)]
)
def test_a_step_without_an_answer_never_promotes(
    rollout: type[Rollout], world: type[World], on_timeout: OnTimeout, phase: Phase
) -> None:
    """Without traffic there is no answer; after the longest wait the plan's own choice follows, with the reason."""
    running = rollout(replace(QUICK, on_timeout=on_timeout), world(requests_per_second=0.0))
    state = running.until(lambda state: state.phase is phase, 70)
    assert state.step_index == 0
    assert "no answer after 60 s" in state.reason


def test_a_router_that_never_obeys_times_out(rollout: type[Rollout], world: type[World]) -> None:
    """A split that is never read back ends the step like any other missing answer."""
    running = rollout(QUICK, world())
    running.until(in_phase(Phase.STEPPING))
    for _ in range(13):
        running.world.split = STABLE
        running.world.now_seconds += 5
        running.look()
    assert running.state.phase is Phase.PAUSED


def test_the_watch_goes_back_to_the_old_version_when_it_is_ready(rollout: type[Rollout], world: type[World]) -> None:
    """A promoted version that degrades is taken back; an old version that has died is started first and gets nobody before."""
    running = rollout(QUICK, world())
    running.until(lambda state: state.phase is Phase.WATCHING and state.step_since_seconds is not None)
    running.world.bad["v2"] = 0.2
    running.world.run(5)
    running.world.ready["v1"] = 0
    first = running.look()
    assert first.state.phase is Phase.RETURNING
    assert first.orders == (StartVersion(version="v1", servers=2),)
    assert running.look().orders == (SetSplit(split=STABLE),)
    assert running.until(ended).phase is Phase.ROLLED_BACK


def test_the_watch_keeps_the_old_version_warm(rollout: type[Rollout], world: type[World]) -> None:
    """An old version that stops in the watch is started again, and the split stays."""
    running = rollout(QUICK, world())
    running.until(in_phase(Phase.WATCHING))
    running.look()
    running.world.ready.pop("v1")
    assert running.look().orders == (StartVersion(version="v1", servers=2),)


def test_a_watch_that_saw_nobody_is_not_over(rollout: type[Rollout], world: type[World]) -> None:
    """Without requests the watch holds, with the old version warm; a person may end it."""
    running = rollout(QUICK, world())
    running.until(lambda state: state.phase is Phase.WATCHING and state.step_since_seconds is not None)
    running.world.now_seconds += 10_000
    assert running.look().state.phase is Phase.WATCHING
    running.world.command(CommandKind.PROMOTE)
    assert running.until(ended).phase is Phase.PROMOTED


def test_the_old_version_is_not_stopped_while_it_may_be_asked(rollout: type[Rollout], world: type[World]) -> None:
    """At the end of the watch the router lets go of the old version first, and if the new one dies then, the old takes over."""
    running = rollout(QUICK, world())
    running.until(in_phase(Phase.FINISHING))
    assert running.world.split == Split(stable="v2")
    running.world.ready["v2"] = 0
    running.world.sleepers.add("v2")
    assert running.look().orders == (StartVersion(version="v2", servers=2), SetSplit(split=NOBODY))
    assert running.look().orders == (StartVersion(version="v2", servers=2),)
    assert running.world.ready["v1"]


def test_undo_is_one_switch(rollout: type[Rollout], world: type[World]) -> None:
    """Going back to a version starts it, switches once and stops the other, without counts to read or a gate to pass."""
    running = rollout(undo(), world(is_blind=True))
    running.until(ended, 5)
    assert [order for decision in running.decisions for order in decision.orders][:-1] == [
        StartVersion(version="v2", servers=2),
        SetSplit(split=EVERYBODY),
        SetSplit(split=Split(stable="v2")),
        StopVersion(version="v1"),
    ]


def test_blue_green_switches_once_after_its_preview(rollout: type[Rollout], world: type[World]) -> None:
    """The preview gets only who asks for it; good answers there bring one switch and a watch."""
    running = rollout(replace(blue_green(), watch_seconds=20.0), world())
    running.until(counting)
    assert running.world.split == NOBODY
    for _ in range(60):
        running.world.answer("v2")
    assert running.look().orders == (SetSplit(split=EVERYBODY),)
    assert running.until(ended).phase is Phase.PROMOTED


@pytest.mark.parametrize(
    ("promote", "flips", "phase"),
    [(False, 0.0, Phase.COMPLETED), (True, 0.0, Phase.PROMOTED), (True, 0.3, Phase.ROLLED_BACK)],
)
def test_a_shadow_ends_with_a_report_a_switch_or_not_at_all(
    rollout: type[Rollout],
    world: type[World],
    promote: bool,  # noqa: FBT001 - a case
    flips: float,
    phase: Phase,
) -> None:
    """A shadow that agrees is reported, or promoted if the plan says so; one that disagrees is not promoted."""
    running = rollout(replace(shadow(promote=promote), watch_seconds=20.0), world(flips=flips))
    assert running.until(ended).phase is phase
    stays = "v2" if phase is Phase.PROMOTED else "v1"
    assert running.world.split == Split(stable=stays)
    assert set(running.world.ready) == {stays}


def test_counters_that_restart_lose_nothing_that_was_earned(at_ten: Rollout) -> None:
    """When the counts begin again at 0, the e-value earned so far is kept and counting goes on from there."""
    at_ten.world.counts["v2"] = Counts(requests=20, errors=3)
    at_ten.look()
    earned = at_ten.state.step_log_e_values["errors"]
    at_ten.world.counts = {"v1": Counts(requests=10), "v2": Counts(requests=1)}
    restarted = at_ten.look()
    assert restarted.state.log_e_values["errors"] == earned
    assert restarted.state.baseline == at_ten.world.counts
    at_ten.world.counts = {"v1": Counts(requests=60), "v2": Counts(requests=10, errors=2)}
    assert at_ten.look().state.phase is Phase.RETURNING


def test_a_clock_that_jumps_back_only_delays(at_ten: Rollout) -> None:
    """After a jump back of a year the step still times out, its longest wait later."""
    at_ten.world.requests_per_second = 0.0
    at_ten.world.now_seconds -= 365 * 86_400
    at_ten.look()
    at_ten.until(in_phase(Phase.PAUSED), 65)


def test_a_clock_that_jumps_forward_never_promotes(at_ten: Rollout) -> None:
    """After a jump of a year ahead a step without an answer times out as its plan says."""
    at_ten.world.now_seconds += 365 * 86_400
    assert at_ten.look().state.phase is Phase.PAUSED
