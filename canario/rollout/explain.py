"""A recorded decision in plain sentences, for somebody who was not there; how they are shown is for the faces."""

from __future__ import annotations

from collections.abc import Iterator

from canario.model.journal import JournalEntry, OrderKind, OrderRecord
from canario.model.rollout import RolloutSpec, RolloutState
from canario.model.split import Split
from canario.model.verdict import Answer, Method
from canario.rollout.counting import seen, seen_pairs, what_is_lost
from canario.rollout.steering import is_last, runs, step_of
from canario.rollout.words import percent, seconds

_ANSWERS = {Answer.PASS: "Passed", Answer.FAIL: "Failed", Answer.UNKNOWN: "Not known yet"}
_METHODS = {
    Method.SEQUENTIAL: ", by the sequential test",
    Method.RATES: ", by rates",
    Method.MEASURED: ", as measured",
    Method.NONE: "",
}


def explain(entry: JournalEntry) -> tuple[str, ...]:
    """What was known, what was concluded from it, and what was ordered, a sentence each, in that order."""
    return (
        *_standing(entry),
        *_known(entry),
        *_commands(entry),
        *_judged(entry),
        *_changed(entry),
        *map(_ordered, entry.orders),
    )


def _standing(entry: JournalEntry) -> Iterator[str]:
    state = entry.state
    started = seconds(max(0.0, entry.at_seconds - state.started_at_seconds))
    yield (
        f"Rollout {state.rollout} of {state.candidate} over {state.stable} was {state.phase.value} "
        f"{started} after its start, at {_place(entry.spec, state)}."
    )


def _place(spec: RolloutSpec, state: RolloutState) -> str:
    if is_last(spec, state):
        return "the last leg, where the candidate answers everybody"
    return f"step {state.step_index + 1} of {len(spec.steps)}, a weight of {percent(step_of(spec, state).weight_percent / 100)}"


def _known(entry: JournalEntry) -> Iterator[str]:
    """What the evidence showed: the router, the counts that counted, who was ready."""
    evidence = entry.evidence
    state = entry.state if entry.after.step_since_seconds is None else entry.after
    lost = what_is_lost(entry.spec, state, evidence)
    if lost:
        yield f"Evidence was missing: {lost}; nothing is promoted or thrown back for that."
    if evidence.router_split is not None:
        difference = (
            "" if runs(evidence, entry.state.asked) or entry.state.asked is None else ", which was not the asked one"
        )
        yield f"The router ran {_split(evidence.router_split)}{difference}."
    if state.step_since_seconds is not None and not lost:
        for version in (state.candidate, state.stable):
            counts = seen(state, evidence, version)
            yield (
                f"Since this step's counting began {version} answered {counts.requests:,} requests: {counts.errors:,} errors, "
                f"{counts.slow:,} slow, {counts.wrong:,} wrong of {counts.labelled:,} labelled."
            )
            if counts.positives:
                yield f"{version} has {counts.missed:,} missed of {counts.positives:,} of the second class."
        pairs = seen_pairs(state, evidence)
        if pairs.pairs:
            yield f"Of {pairs.pairs:,} compared pairs {pairs.flips:,} had another label."
    for name, value in sorted(evidence.measurements.items()):
        yield f"The query {name} said {value:.4g}."
    for name, why in sorted(evidence.unmeasured.items()):
        yield f"The query {name} said nothing: {why}."
    for version in (entry.state.candidate, entry.state.stable):
        failure = evidence.failures.get(version, "")
        if failure:
            yield f"{version} could not start: {failure}."
        elif not evidence.ready.get(version, 0):
            yield f"{version} had no server that was ready."


def _commands(entry: JournalEntry) -> Iterator[str]:
    for command in entry.evidence.commands:
        if entry.state.last_command < command.number <= entry.after.last_command:
            whole = " the whole" if command.whole else ""
            why = f": {command.reason}" if command.reason else ""
            yield f"{command.actor or 'Somebody'} asked to {command.kind.value}{whole} (command {command.number}){why}."


def _judged(entry: JournalEntry) -> Iterator[str]:
    for gate in entry.verdict.gates:
        yield f"{_ANSWERS[gate.answer]}{_METHODS[gate.method]}: {gate.reason}."
    reason = "" if entry.verdict.gates else f", as {entry.verdict.reason}"
    yield f"The verdict was {entry.verdict.answer.value}{reason}."


def _changed(entry: JournalEntry) -> Iterator[str]:
    before, after = entry.state, entry.after
    why = "" if after.reason == before.reason else f": {after.reason}"
    if (before.phase, before.step_index) != (after.phase, after.step_index):
        yield f"So it went from {before.phase.value} to {after.phase.value}, at {_place(entry.spec, after)}{why}."
    else:
        yield f"It stayed {after.phase.value}{why}."


def _ordered(order: OrderRecord) -> str:
    match order.kind:
        case OrderKind.START if order.servers is not None and order.servers > 1:
            return f"Ordered: have {order.servers:,} servers of {order.version} ready."
        case OrderKind.START:
            return f"Ordered: start {order.version}."
        case OrderKind.ASK_FOR_RETRAINING:
            return f"Ordered: train a new version, as {order.reason}."
        case OrderKind.STOP:
            return f"Ordered: drain and stop {order.version}."
        case OrderKind.SET_SPLIT if order.split is not None:
            return f"Ordered: the router is to run {_split(order.split)}."
        case _:
            ending = order.phase.value if order.phase else "ended"
            return f"Ordered: conclude as {ending}; {order.version} answers by default."


def _split(split: Split) -> str:
    if split.shadow_percent:
        return f"{split.stable} for all, with copies of {percent(split.shadow_percent / 100)} to {split.candidate}"
    if not split.candidate or split.weight_percent == 0:
        return f"{split.stable} for all"
    sticky = f", by {split.sticky_header}" if split.sticky_header else ""
    return f"{percent(split.weight_percent / 100)} {split.candidate} and the rest {split.stable}{sticky}"
