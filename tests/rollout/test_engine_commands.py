"""What a person can ask of a running rollout, and what the engine makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from canario.model.evidence import Command, CommandKind
from canario.model.orders import SetSplit, StartVersion
from canario.model.rollout import OnTimeout, Phase, RolloutState
from canario.rollout.moves import take_commands, what_stands_against
from tests.rollout.engine_moments import EVERYBODY, QUICK, STABLE, counting, ended, in_phase

if TYPE_CHECKING:
    from tests.rollout.conftest import Rollout, World


def test_a_paused_step_still_fails(at_ten: Rollout) -> None:
    """A pause stops the climb, not the judge."""
    at_ten.world.command(CommandKind.PAUSE)
    at_ten.until(in_phase(Phase.PAUSED))
    at_ten.world.run(100)
    assert at_ten.look().state.phase is Phase.PAUSED
    at_ten.world.bad["v2"] = 1.0
    at_ten.until(in_phase(Phase.RETURNING), 5)


def test_resume_goes_on_where_it_stood(at_ten: Rollout) -> None:
    """After a resume the step has its whole wait again and goes on by its verdict."""
    at_ten.world.command(CommandKind.PAUSE)
    at_ten.until(in_phase(Phase.PAUSED))
    at_ten.world.run(100)
    at_ten.world.command(CommandKind.RESUME)
    at_ten.look()
    assert (at_ten.state.phase, at_ten.state.step_index) == (Phase.STEPPING, 1)
    assert at_ten.state.last_command == 2


def test_a_step_that_asks_for_a_person_waits_all_night(rollout: type[Rollout], world: type[World]) -> None:
    """A passed step waits for its approval beyond any longest wait, and goes on when it comes."""
    spec = replace(
        QUICK, on_timeout=OnTimeout.ROLL_BACK, steps=(replace(QUICK.steps[0], approval=True), *QUICK.steps[1:])
    )
    running = rollout(spec, world())
    running.until(lambda state: state.passed)
    running.world.now_seconds += 30_000
    assert running.look().state.phase is Phase.STEPPING
    running.world.command(CommandKind.PROMOTE)
    assert running.look().state.step_index == 1
    assert not running.state.approved


def test_approval_alone_does_not_pass_the_gates(rollout: type[Rollout], world: type[World]) -> None:
    """A promote on a running step approves it; the gates still have to pass."""
    running = rollout(QUICK, world(requests_per_second=0.0))
    running.until(counting)
    running.world.command(CommandKind.PROMOTE)
    running.look()
    assert (running.state.phase, running.state.step_index, running.state.approved) == (Phase.STEPPING, 0, True)


def test_promote_on_a_paused_step_goes_on(rollout: type[Rollout], world: type[World]) -> None:
    """Who promotes a step that timed out has looked, and the next step begins."""
    running = rollout(QUICK, world(requests_per_second=0.0))
    running.until(in_phase(Phase.PAUSED), 70)
    running.world.command(CommandKind.PROMOTE)
    running.until(in_phase(Phase.STEPPING, 1))
    assert "promoted by ana" in running.state.reason


def test_promote_the_whole_skips_to_the_watch_but_not_readiness(rollout: type[Rollout], world: type[World]) -> None:
    """Promoting the whole while the candidate starts waits until it is ready, then switches at once."""
    running = rollout(QUICK, world())
    running.world.command(CommandKind.PROMOTE, whole=True)
    assert running.look().orders == (StartVersion(version="v2", servers=2),)
    assert running.look().orders == (SetSplit(split=EVERYBODY),)
    assert running.state.phase is Phase.WATCHING


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STEPPING, Phase.PAUSED, Phase.WATCHING, Phase.FINISHING])
def test_abort_goes_back_from_anywhere(rollout: type[Rollout], world: type[World], phase: Phase) -> None:
    """Until it has ended, a rollout can be aborted, and stable answers everybody again."""
    running = rollout(QUICK, world())
    if phase is Phase.PAUSED:
        running.world.command(CommandKind.PAUSE)
    if phase is not Phase.STARTING:
        running.until(in_phase(phase))
    running.world.command(CommandKind.ABORT)
    running.until(ended)
    assert (running.state.phase, running.world.split) == (Phase.ROLLED_BACK, STABLE)
    assert running.state.reason == "aborted by ana"
    assert set(running.world.ready) == {"v1"}


def test_a_command_is_taken_once(at_ten: Rollout) -> None:
    """A command that is still shown after it was taken changes nothing more."""
    at_ten.world.command(CommandKind.PAUSE)
    at_ten.look()
    at_ten.world.command(CommandKind.RESUME)
    at_ten.look()
    at_ten.world.commands.pop()
    assert at_ten.look().state.phase is Phase.STEPPING
    assert at_ten.state.last_command == 2


@pytest.mark.parametrize("phase", ["starting", "first", "second", "watch"])
@pytest.mark.parametrize("paused", [False, True])
def test_a_command_that_would_change_nothing_is_known(at_ten: Rollout, phase: str, *, paused: bool) -> None:
    """Resume of what is not paused, pause of what is: each is told where the rollout stands; all else may be said."""
    at_work, index, words = {
        "starting": (Phase.STARTING, 0, "it is starting"),
        "first": (Phase.STEPPING, 0, "it is at step 1 of 3"),
        "second": (Phase.STEPPING, 1, "it is at step 2 of 3"),
        "watch": (Phase.WATCHING, 2, "it answers everybody and is watched"),
    }[phase]
    state = replace(at_ten.state, step_index=index, phase=at_work)
    if paused:
        state = replace(state, phase=Phase.PAUSED, paused_phase=at_work)
    said = {kind: what_stands_against(at_ten.spec, state, kind) for kind in CommandKind}
    refused = {kind: against for kind, against in said.items() if against}
    if paused:
        assert refused == {CommandKind.PAUSE: f"v2 is paused already; {words}"}
    else:
        assert refused == {CommandKind.RESUME: f"v2 is not paused; {words}"}


@pytest.mark.parametrize("outcome", [Phase.ROLLED_BACK, Phase.PROMOTED, Phase.COMPLETED])
def test_after_the_decision_only_an_abort_may_be_said(at_ten: Rollout, outcome: Phase) -> None:
    """Whoever is late is told what has been decided; to throw back what goes back already is no mistake."""
    phase = Phase.RETURNING if outcome is Phase.ROLLED_BACK else Phase.FINISHING
    state = replace(at_ten.state, phase=phase, outcome=outcome, reason="rolled back: too many errors")
    said = {kind: what_stands_against(at_ten.spec, state, kind) for kind in CommandKind}
    assert said.pop(CommandKind.ABORT) == ""
    assert set(said.values()) == {"the end of v2's rollout has been decided already: rolled back: too many errors"}


def test_what_is_refused_would_have_changed_nothing(rollout: type[Rollout], world: type[World]) -> None:
    """No command that the engine would act on is turned away, wherever a rollout stands."""
    running, seen = rollout(QUICK, world()), set()

    def look(state: RolloutState) -> bool:
        for kind in CommandKind:
            if what_stands_against(QUICK, state, kind):
                seen.add((state.phase, kind))
                evidence = replace(running.world.evidence(), commands=(Command(number=1, kind=kind),))
                after = take_commands(QUICK, state, evidence, running.world.now_seconds)
                assert after == replace(state, last_command=1 if not state.phase.has_ended else 0)
        return ended(state)

    running.until(look)
    assert {(Phase.STEPPING, CommandKind.RESUME), (Phase.FINISHING, CommandKind.PROMOTE)} <= seen
