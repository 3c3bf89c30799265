"""The engine: decide(spec, state, evidence, now) -> (state, orders), with no clock and no memory of its own.

It is level-triggered: an order is given as long as the evidence does not show that it has happened, so an order that was lost, or
carried out by a process that died before it could say so, does no harm. The same three arguments always give the same answer; the
state is stored before the orders are carried out, and is all that a restarted engine needs.

    STARTING -> STEPPING (a weight, evidence, a verdict, servers, the next weight) -> WATCHING -> FINISHING -> PROMOTED or COMPLETED
        any of these, also PAUSED -> RETURNING -> ROLLED_BACK

Promotion needs a verdict or a person, never a clock. A clock can only delay, or end a wait as the plan says; one that jumps back
begins the running waits anew. Time without evidence does not count, so a lost source of evidence neither promotes nor rolls back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from canario.errors import PlanError
from canario.model.evidence import Evidence
from canario.model.orders import AskForRetraining, Conclude, Order, SetSplit, StartVersion, StopVersion
from canario.model.rollout import Phase, RolloutSpec, RolloutState
from canario.model.split import Split
from canario.model.verdict import Answer, Method, Verdict
from canario.rollout.capacity import mark_servers, servers_needed
from canario.rollout.counting import ask, count, seen
from canario.rollout.degradation import fails_by_labels_alone, why_neither_will_do
from canario.rollout.judge import judge
from canario.rollout.moves import enter_step, go_on, next_step, servers_missing, settle, take_commands, time_out
from canario.rollout.plan import lint
from canario.rollout.queries import mark_answers
from canario.rollout.steering import (
    active_phase,
    runs,
    servers_at,
    step_of,
    step_split,
    waits_for_its_share,
    wanted_split,
)
from canario.rollout.words import seconds

_NOT_JUDGED = Verdict(answer=Answer.UNKNOWN, reason="there is nothing to judge in this phase")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from one look at the world: the state to store, then the orders to carry out, in this order."""

    state: RolloutState
    orders: tuple[Order, ...]
    verdict: Verdict


def begin(spec: RolloutSpec, rollout: str, stable: str, candidate: str, now_seconds: float) -> RolloutState:
    """The first state of a rollout. Raises PlanError for a plan that cannot be honoured, or a candidate that is stable already."""
    lint(spec)
    if stable == candidate:
        raise PlanError(
            f"{candidate} answers already", at="candidate", hint="name another version: `canario list` shows them"
        )
    return RolloutState(
        rollout=rollout,
        stable=stable,
        candidate=candidate,
        started_at_seconds=now_seconds,
        phase_since_seconds=now_seconds,
        reason=f"{candidate} is starting",
    )


def decide(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> Decision:
    """Look once: the state that follows, the orders that are open, and the verdict that led there.

    A state that has ended answers with its Conclude for ever, as nothing in the evidence shows that it was carried out.
    """
    verdict = _NOT_JUDGED
    if not state.phase.has_ended:
        state = _remember_start(mark_servers(_no_later_than(state, now_seconds), evidence), evidence)
        state = take_commands(spec, state, evidence, now_seconds)
    if state.phase in (Phase.RETURNING, Phase.FINISHING):
        state = _settle(state, evidence, now_seconds)
    elif active_phase(state) is Phase.STARTING:
        state = _start(spec, state, evidence, now_seconds)
    elif not state.phase.has_ended:
        state, verdict = _proceed(spec, state, evidence, now_seconds)
    split = _split_to_ask(spec, state, evidence)
    if split is not None:
        state = ask(state, split)
    return Decision(state=state, orders=_orders(spec, state, evidence, split), verdict=verdict)


def _no_later_than(state: RolloutState, now_seconds: float) -> RolloutState:
    """The state on a clock that may have jumped back: no wait began in the future."""
    beginnings = (
        *state.passing_since_seconds.values(),
        *state.failing_since_seconds.values(),
        state.step_since_seconds,
        state.lost_since_seconds,
        state.unready_since_seconds,
        state.short_since_seconds,
    )
    if max(state.phase_since_seconds, *(moment or 0.0 for moment in beginnings)) <= now_seconds:
        return state

    def past(moment: float | None) -> float | None:
        return None if moment is None else min(moment, now_seconds)

    return replace(
        state,
        phase_since_seconds=min(state.phase_since_seconds, now_seconds),
        step_since_seconds=past(state.step_since_seconds),
        lost_since_seconds=past(state.lost_since_seconds),
        unready_since_seconds=past(state.unready_since_seconds),
        short_since_seconds=past(state.short_since_seconds),
        passing_since_seconds={name: min(at, now_seconds) for name, at in state.passing_since_seconds.items()},
        failing_since_seconds={name: min(at, now_seconds) for name, at in state.failing_since_seconds.items()},
    )


def _start(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> RolloutState:
    """Wait until all of the candidate's servers are ready, or after the longest start those that its share takes.

    All are as many as stable has, or as the platform begins with where their number can change. A candidate with no server at the
    end of the wait is given up; with too few it is held or given up as the plan says of a wait without an answer.
    """
    failure = evidence.failures.get(state.candidate, "")
    ready, needed = evidence.ready.get(state.candidate, 0), servers_at(spec, state, state.step_index)
    stable_ready = evidence.ready.get(state.stable, 0)
    enough = max(needed, min(stable_ready, evidence.replicas.get(state.candidate, stable_ready)))
    waited_seconds = now_seconds - state.phase_since_seconds
    if failure:
        return settle(state, Phase.ROLLED_BACK, now_seconds, f"rolled back: {state.candidate} cannot start: {failure}")
    if state.phase is Phase.PAUSED:
        return state
    is_late = waited_seconds > spec.start_seconds
    if ready >= enough or (ready >= needed and is_late):
        return enter_step(
            spec, state, state.step_index, now_seconds, f"{state.candidate} is ready ({ready} of {enough} servers)"
        )
    if is_late and not ready:
        why = f"rolled back: {state.candidate} has no ready server after {seconds(waited_seconds)}"
        return settle(state, Phase.ROLLED_BACK, now_seconds, why)
    if is_late:
        missing = servers_missing(spec, state, evidence, state.step_index)
        return time_out(spec, state, now_seconds, f"{missing}, after {seconds(waited_seconds)}")
    return state


def _proceed(
    spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float
) -> tuple[RolloutState, Verdict]:
    """Count, judge and go on, back, or nowhere: a step, the watch, or one of them held."""
    state = count(spec, state, evidence, wanted_split(spec, state, evidence), now_seconds)
    state = mark_answers(spec, state, evidence, now_seconds)
    verdict = judge(spec, state, evidence, now_seconds)
    state = _remember_earned(state, verdict)
    if fails_by_labels_alone(state, verdict):
        state = _ask_for_retraining(spec, state, evidence, verdict)
    if verdict.answer is Answer.FAIL and not (state.retraining_reason and fails_by_labels_alone(state, verdict)):
        return settle(state, Phase.ROLLED_BACK, now_seconds, f"rolled back: {verdict.reason}"), verdict
    state = _mark_readiness(spec, state, evidence, now_seconds)
    absence = _absence(spec, state, evidence, now_seconds)
    if absence:
        return settle(state, Phase.ROLLED_BACK, now_seconds, f"rolled back: {absence}"), verdict
    if state.phase is Phase.STEPPING:
        return _step(spec, state, evidence, verdict, now_seconds), verdict
    if state.phase is Phase.WATCHING and _watch_is_over(spec, state, evidence, now_seconds):
        why = verdict.reason if spec.watch_seconds else f"{state.candidate} answers everybody, and no watch is planned"
        if state.retraining_reason:
            why = f"a retraining was asked for, as {state.retraining_reason}"
        return settle(state, Phase.PROMOTED, now_seconds, f"promoted: {why}"), verdict
    return state, verdict


def _remember_earned(state: RolloutState, verdict: Verdict) -> RolloutState:
    """The state with what each gate has earned since the baseline, so that it outlives the counters."""
    earned = {
        gate.gate.value: gate.log_e_value - state.log_e_values.get(gate.gate.value, 0.0)
        for gate in verdict.gates
        if gate.method not in (Method.NONE, Method.MEASURED)
    }
    return replace(state, step_log_e_values=earned) if earned and earned != state.step_log_e_values else state


def _ask_for_retraining(spec: RolloutSpec, state: RolloutState, evidence: Evidence, verdict: Verdict) -> RolloutState:
    """The state that asks for a new version where the old one is no better; once asked, labels alone throw nobody back any more."""
    why = "" if state.retraining_reason else why_neither_will_do(spec, state, evidence, verdict)
    return replace(state, retraining_reason=why, reason=f"a retraining is asked for: {why}") if why else state


def _remember_start(state: RolloutState, evidence: Evidence) -> RolloutState:
    """The state that knows both versions' counts at the rollout's beginning."""
    if state.counts_at_start is not None or evidence.counts is None:
        return state
    both = (state.stable, state.candidate)
    return replace(
        state, counts_at_start={version: counts for version, counts in evidence.counts.items() if version in both}
    )


def _mark_readiness(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> RolloutState:
    """Since when the candidate alone has no ready server, or too few to get back the share that it lost; an outage of both is not its fault."""
    is_away = not evidence.ready.get(state.candidate, 0) or waits_for_its_share(spec, state, evidence)
    is_alone = bool(evidence.ready.get(state.stable, 0)) and is_away
    if is_alone == (state.unready_since_seconds is not None):
        return state
    return replace(state, unready_since_seconds=now_seconds if is_alone else None)


def _absence(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> str:
    """Why a candidate that is not ready will not be waited for any longer, in words; empty: wait."""
    if state.unready_since_seconds is None:
        return ""
    failure = evidence.failures.get(state.candidate, "")
    if failure:
        return f"{state.candidate} cannot start again: {failure}"
    absent_seconds = now_seconds - state.unready_since_seconds
    if absent_seconds <= spec.start_seconds:
        return ""
    if evidence.ready.get(state.candidate, 0):
        return f"{servers_missing(spec, state, evidence, state.step_index)}, for {seconds(absent_seconds)}"
    return f"{state.candidate} has no ready server for {seconds(absent_seconds)}"


def _step(
    spec: RolloutSpec, state: RolloutState, evidence: Evidence, verdict: Verdict, now_seconds: float
) -> RolloutState:
    """The next step once the gates have passed; otherwise hold, and after the longest wait do as the plan says."""
    step = step_of(spec, state)
    if verdict.answer is Answer.PASS and not state.passed:
        state = replace(state, passed=True, reason=f"{state.candidate} passed {verdict.reason}")
    if state.lost_since_seconds is not None:
        return state
    if state.next_index is not None:
        return _wait_for_servers(spec, state, evidence, now_seconds)
    if state.passed:
        # From here only a minimum or a person is waited for. A person who sleeps is no reason to throw a good release back.
        counted_seconds = -1.0 if state.step_since_seconds is None else now_seconds - state.step_since_seconds
        may_go_on = counted_seconds >= step.minimum_seconds and (state.approved or not step.approval)
        return next_step(spec, state, evidence, now_seconds, state.reason) if may_go_on else state
    waited_seconds = now_seconds - state.phase_since_seconds
    if waited_seconds > step.longest_seconds:
        return time_out(spec, state, now_seconds, f"no answer after {seconds(waited_seconds)}: {verdict.reason}")
    return state


def _wait_for_servers(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> RolloutState:
    """The step that has been decided on once its servers are there; they may take as long as a start, then it is as the plan says."""
    index = state.step_index if state.next_index is None else state.next_index
    missing = servers_missing(spec, state, evidence, index)
    if not missing:
        return enter_step(spec, state, index, now_seconds, f"{state.candidate} has the servers for it")
    state = go_on(spec, state, evidence, index, now_seconds, state.reason)
    waited_seconds = now_seconds - (state.short_since_seconds or now_seconds)
    if waited_seconds > spec.start_seconds:
        return time_out(spec, state, now_seconds, f"{missing}, after {seconds(waited_seconds)}")
    return state


def _watch_is_over(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> bool:
    """Whether the promoted version was watched for long enough, and was seen to answer while it was."""
    if spec.watch_seconds == 0:
        return runs(evidence, state.asked) and state.asked == step_split(spec, state)
    if state.step_since_seconds is None or state.lost_since_seconds is not None:
        return False
    answered = seen(state, evidence, state.candidate).requests
    return (
        now_seconds - state.step_since_seconds >= spec.watch_seconds
        and answered >= step_of(spec, state).minimum_requests
    )


def _kept_and_dropped(state: RolloutState) -> tuple[str, str]:
    """The version that stays and the one that goes, once the outcome is decided."""
    both = (state.stable, state.candidate)
    return both[::-1] if Phase.PROMOTED in (state.outcome, state.phase) else both


def _settle(state: RolloutState, evidence: Evidence, now_seconds: float) -> RolloutState:
    """The end, once the router runs one version for all and the other has stopped."""
    kept, dropped = _kept_and_dropped(state)
    if state.outcome is None or not runs(evidence, Split(stable=kept)):
        return state
    if dropped in evidence.running or evidence.ready.get(dropped, 0):
        return state
    return replace(state, phase=state.outcome, ended_at_seconds=now_seconds)


def _split_to_ask(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> Split | None:
    """The split that the router should run now; None: leave it as it is."""
    if state.phase.has_ended or active_phase(state) is Phase.STARTING:
        return None
    if state.outcome is None:
        return wanted_split(spec, state, evidence)
    kept, dropped = _kept_and_dropped(state)
    if evidence.ready.get(kept, 0):
        return Split(stable=kept)
    if state.outcome is Phase.PROMOTED and evidence.ready.get(dropped, 0):
        return Split(stable=state.stable, candidate=state.candidate)
    return None


def _orders(spec: RolloutSpec, state: RolloutState, evidence: Evidence, split: Split | None) -> tuple[Order, ...]:
    """What the evidence does not show to have happened yet."""
    kept, dropped = _kept_and_dropped(state)
    asks: list[Order] = [AskForRetraining(rollout=state.rollout, reason=state.retraining_reason)]
    if not state.retraining_reason:
        asks = []
    if state.phase.has_ended:
        return (*asks, Conclude(phase=state.phase, stable=kept, reason=state.reason))
    needed = servers_needed(spec, state)
    orders: list[Order] = [
        StartVersion(version=version, servers=needed[version])
        for version in ((kept,) if state.outcome else (state.stable, state.candidate))
        if evidence.ready.get(version, 0) < needed[version]
    ]
    if split is not None and not runs(evidence, split):
        orders.append(SetSplit(split=split))
    if state.outcome and split == Split(stable=kept) and runs(evidence, split) and dropped in evidence.running:
        orders.append(StopVersion(version=dropped))
    return (*orders, *asks)
