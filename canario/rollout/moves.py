"""The moves from one phase to another, each in one place; when to make them is for decide and for people's commands."""

from __future__ import annotations

from dataclasses import replace

from canario.model.evidence import Command, CommandKind, Evidence
from canario.model.rollout import OnTimeout, Phase, RolloutSpec, RolloutState, StrategyKind
from canario.rollout.counting import forget_baseline
from canario.rollout.steering import active_phase, is_last, last_index, servers_at, share_of, split_at, step_split
from canario.rollout.words import percent


def enter_step(spec: RolloutSpec, state: RolloutState, index: int, now_seconds: float, why: str) -> RolloutState:
    """The state at the beginning of a step, or of the watch when it is the last; what was earned is carried on."""
    entered = replace(
        forget_baseline(state),
        phase=Phase.WATCHING if index >= last_index(spec) else Phase.STEPPING,
        paused_phase=None,
        step_index=index,
        next_index=None,
        short_since_seconds=None,
        phase_since_seconds=now_seconds,
        approved=False,
        passed=False,
    )
    return replace(entered, reason=f"{why}; {_place(spec, entered)}")


def next_step(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float, why: str) -> RolloutState:
    """The state after the present step; a shadow that is not to be promoted ends there with a report."""
    if spec.strategy is StrategyKind.SHADOW and not spec.promote_after_shadow:
        return settle(state, Phase.COMPLETED, now_seconds, why)
    return go_on(spec, state, evidence, state.step_index + 1, now_seconds, why)


def go_on(
    spec: RolloutSpec, state: RolloutState, evidence: Evidence, index: int, now_seconds: float, why: str
) -> RolloutState:
    """The state at a later step; while the candidate lacks servers for its share there, the present one with that step decided on.

    What waits is judged on. How long it may wait is for decide.
    """
    if not servers_missing(spec, state, evidence, index):
        return enter_step(spec, state, index, now_seconds, why)
    since = now_seconds if state.short_since_seconds is None else state.short_since_seconds
    decided = replace(state, phase=Phase.STEPPING, paused_phase=None, next_index=index, short_since_seconds=since)
    if state.next_index == index:
        return decided
    needed, share = servers_at(spec, state, index), share_of(split_at(spec, state, index)) / 100
    return replace(
        decided,
        reason=f"{why}; {state.candidate} waits for the {_servers(needed)} that {percent(share)} of the requests take",
    )


def servers_missing(spec: RolloutSpec, state: RolloutState, evidence: Evidence, index: int) -> str:
    """What the candidate lacks for its share at a step, in words; empty: nothing."""
    ready, needed = evidence.ready.get(state.candidate, 0), servers_at(spec, state, index)
    if ready >= needed:
        return ""
    share = share_of(split_at(spec, state, index)) / 100
    return f"{state.candidate} has {ready} ready of the {_servers(needed)} that {percent(share)} of the requests take"


def _servers(number: int) -> str:
    return f"{number:,} server{'' if number == 1 else 's'}"


def settle(state: RolloutState, outcome: Phase, now_seconds: float, why: str) -> RolloutState:
    """The state from which only the way to an end is left."""
    return replace(
        forget_baseline(state),
        phase=Phase.RETURNING if outcome is Phase.ROLLED_BACK else Phase.FINISHING,
        paused_phase=None,
        outcome=outcome,
        next_index=None,
        short_since_seconds=None,
        phase_since_seconds=now_seconds,
        lost_since_seconds=None,
        reason=why,
    )


def time_out(spec: RolloutSpec, state: RolloutState, now_seconds: float, why: str) -> RolloutState:
    """What the plan says when a step's longest wait ends without an answer; never promotion."""
    if spec.on_timeout is OnTimeout.ROLL_BACK:
        return settle(state, Phase.ROLLED_BACK, now_seconds, f"rolled back: {why}")
    return _pause(state, f"paused: {why}")


def take_commands(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> RolloutState:
    """The state after the wishes of people that it has not taken yet, in their order; what does not fit its phase changes nothing."""
    for command in sorted(evidence.commands, key=lambda command: command.number):
        if command.number > state.last_command and not state.phase.has_ended:
            state = replace(_obey(spec, state, evidence, command, now_seconds), last_command=command.number)
    return state


def what_stands_against(spec: RolloutSpec, state: RolloutState, kind: CommandKind) -> str:
    """Why a command would change nothing now, in words for who gives it; empty: it may be given.

    An abort may always be: whoever wants stable back gets it, also if that is on its way.
    """
    if kind is CommandKind.ABORT:
        return ""
    if state.outcome is not None:
        return f"the end of {state.candidate}'s rollout has been decided already: {state.reason}"
    if kind is CommandKind.RESUME and state.paused_phase is None:
        return f"{state.candidate} is not paused; it {_stands(spec, state)}"
    if kind is CommandKind.PAUSE and state.paused_phase is not None:
        return f"{state.candidate} is paused already; it {_stands(spec, state)}"
    return ""


def _obey(
    spec: RolloutSpec, state: RolloutState, evidence: Evidence, command: Command, now_seconds: float
) -> RolloutState:
    said = _said(command)
    match command.kind:
        case CommandKind.ABORT if state.phase is not Phase.RETURNING:
            return settle(state, Phase.ROLLED_BACK, now_seconds, f"aborted {said}")
        case CommandKind.PAUSE if state.phase in (Phase.STARTING, Phase.STEPPING, Phase.WATCHING):
            return _pause(state, f"paused {said}; {_place(spec, state)}")
        case CommandKind.RESUME if state.paused_phase is not None:
            return _resume(spec, state, now_seconds, f"resumed {said}")
        case CommandKind.PROMOTE if state.phase not in (Phase.RETURNING, Phase.FINISHING):
            return _promote(spec, state, evidence, command, now_seconds)
    return state


def _promote(
    spec: RolloutSpec, state: RolloutState, evidence: Evidence, command: Command, now_seconds: float
) -> RolloutState:
    """Go on, by the word of a person.

    In the watch it ends the watch. On a paused step it goes on to the next: who promotes what waits has looked. On a running step it
    is the approval that the step may ask for, and the gates still have to pass, unless the whole is promoted: then the last leg
    comes next. Whatever was said, no traffic goes to a candidate that is not ready, and no share to one that lacks servers for it.
    """
    why = f"promoted {_said(command)}"
    anew = replace(state, next_index=None, short_since_seconds=None)
    match active_phase(state):
        case Phase.WATCHING:
            return settle(state, Phase.PROMOTED, now_seconds, why)
        case Phase.STARTING:
            index = last_index(spec) if command.whole else state.step_index
            return replace(_resume(spec, state, now_seconds, why), step_index=index)
        case _ if command.whole:
            return go_on(spec, anew, evidence, last_index(spec), now_seconds, why)
        case _ if state.phase is Phase.PAUSED:
            return next_step(spec, anew, evidence, now_seconds, why)
    return replace(state, approved=True, reason=f"approved {_said(command)}; {_place(spec, state)}")


def _pause(state: RolloutState, why: str) -> RolloutState:
    return replace(state, phase=Phase.PAUSED, paused_phase=state.phase, reason=why)


def _resume(spec: RolloutSpec, state: RolloutState, now_seconds: float, why: str) -> RolloutState:
    """The held phase at work again; its longest wait begins anew, as nobody was waiting for an answer meanwhile."""
    resumed = replace(
        state,
        phase=active_phase(state),
        paused_phase=None,
        phase_since_seconds=now_seconds,
        short_since_seconds=None if state.short_since_seconds is None else now_seconds,
    )
    return replace(resumed, reason=f"{why}; {_place(spec, resumed)}")


def _said(command: Command) -> str:
    by = f"by {command.actor}" if command.actor else "by command"
    return f"{by}: {command.reason}" if command.reason else by


def _place(spec: RolloutSpec, state: RolloutState) -> str:
    """Where the rollout stands, in words."""
    if active_phase(state) is Phase.STARTING:
        return f"{state.candidate} is starting"
    if is_last(spec, state):
        return f"{state.candidate} answers everybody, {state.stable} stays warm"
    split = step_split(spec, state)
    if split.shadow_percent:
        return f"{state.candidate} gets copies of {percent(split.shadow_percent / 100)} of the requests"
    return f"{state.candidate} gets {percent(split.weight_percent / 100)} of the requests"


def _stands(spec: RolloutSpec, state: RolloutState) -> str:
    """How far the candidate has come, in a few words."""
    if active_phase(state) is Phase.STARTING:
        return "is starting"
    if is_last(spec, state):
        return "answers everybody and is watched"
    return f"is at step {state.step_index + 1} of {last_index(spec) + 1}"
