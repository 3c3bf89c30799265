"""Query gates: what a rollout asks of Prometheus, and what a number answers; asking is for platforms, the verdict for the judge.

A query gives one number a look, and one odd scrape must neither promote nor throw back. So an answer counts once the query has said
the same for the gate's `for_seconds`, without a break and at the present split, as an alert's `for` does; a look without a number is
a break. There is no arm to compare with and no chance to reckon with here: what the bounds are worth is for whoever writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf, isfinite
from string import Template

from canario.model.evidence import Evidence
from canario.model.rollout import Gate, GateKind, RolloutSpec, RolloutState
from canario.model.verdict import Answer, GateVerdict, Method
from canario.rollout.words import seconds

_WORDS = ("model", "stable", "candidate", "namespace")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_BOUNDS = ("fail_below", "pass_at_least", "pass_at_most", "fail_above")
"""From low to high, as they must lie."""


def queries(spec: RolloutSpec, state: RolloutState, model: str, namespace: str = "") -> Mapping[str, str]:
    """By gate's name: what to ask for this rollout, with the names of its versions filled in."""
    names = {"model": model, "stable": state.stable, "candidate": state.candidate, "namespace": namespace}
    return {gate.name: Template(gate.query).safe_substitute(names) for gate in _queries_of(spec)}


def mark_answers(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> RolloutState:
    """The state that knows since when each query passes or fails; nothing counts before the router runs the step's split."""
    passing, failing = {}, {}
    for gate in _queries_of(spec) if state.step_since_seconds is not None else ():
        answer = answer_to(gate, evidence)
        if answer is Answer.PASS:
            passing[gate.name] = state.passing_since_seconds.get(gate.name, now_seconds)
        elif answer is Answer.FAIL:
            failing[gate.name] = state.failing_since_seconds.get(gate.name, now_seconds)
    return replace(state, passing_since_seconds=passing, failing_since_seconds=failing)


def answer_to(gate: Gate, evidence: Evidence) -> Answer:
    """What the number of this look alone would answer."""
    value = evidence.measurements.get(gate.name)
    if value is None or not isfinite(value):
        return Answer.UNKNOWN
    if value > _or(gate.fail_above, inf) or value < _or(gate.fail_below, -inf):
        return Answer.FAIL
    may_pass = gate.pass_at_most is not None or gate.pass_at_least is not None
    is_within = _or(gate.pass_at_least, -inf) <= value <= _or(gate.pass_at_most, inf)
    return Answer.PASS if may_pass and is_within else Answer.UNKNOWN


def judge_query(gate: Gate, state: RolloutState, evidence: Evidence, now_seconds: float) -> GateVerdict:
    """The gate's answer, once its query has said so for long enough."""
    answer = answer_to(gate, evidence)
    value = evidence.measurements.get(gate.name)
    if value is None or not isfinite(value):
        why = evidence.unmeasured.get(gate.name, "it has not been answered yet")
        return _verdict(gate, Answer.UNKNOWN, f"no number: {why}", Method.NONE)
    words = f"{value:.4g}, and {_bounds_in_words(gate)}"
    if answer is Answer.UNKNOWN:
        return _verdict(gate, answer, f"{words}: neither")
    begun = state.passing_since_seconds if answer is Answer.PASS else state.failing_since_seconds
    held_seconds = max(0.0, now_seconds - begun.get(gate.name, now_seconds))
    if held_seconds < gate.for_seconds:
        told = f"{words}: {'passes' if answer is Answer.PASS else 'fails'} for {seconds(held_seconds)}"
        return _verdict(gate, Answer.UNKNOWN, f"{told} of the {seconds(gate.for_seconds)} that it takes")
    return _verdict(gate, answer, f"{words}: for {seconds(held_seconds)}")


def faults_of(gate: Gate) -> Iterator[tuple[str, str, str]]:
    """What keeps a gate from being honoured, as far as queries go: the message, the field, and what to do."""
    bounds = {name: value for name in _BOUNDS if (value := getattr(gate, name)) is not None}
    if gate.kind is not GateKind.QUERY:
        for name in ("name", "query", *bounds):
            if getattr(gate, name) not in ("", None):
                yield f"{name} belongs to a query", name, "leave it out, or choose `kind: query`"
        return
    if not _NAME.fullmatch(gate.name):
        what = f"{gate.name!r} is no name" if gate.name else "a query needs a name, which a verdict calls it by"
        yield what, "name", "lower-case letters, digits and -, at most 63"
    yield from _faults_of_text(gate.query)
    if not 0 <= gate.for_seconds < inf:
        yield f"{gate.for_seconds} is no time to hold", "for_seconds", "0 or more seconds; 30 is usual"
    for name, value in bounds.items():
        if not isfinite(value):
            yield f"{value} is no bound", name, "a number"
    if not bounds:
        hint = "`pass_at_most` and `fail_above`, or `pass_at_least` and `fail_below`"
        yield "without a bound a query can neither pass nor fail", "pass_at_most", hint
    elif list(bounds.values()) != sorted(bounds.values()):
        order = " <= ".join(bounds)
        yield "the bounds contradict each other", next(iter(bounds)), f"they lie so: {order}"
    if gate.blocking and not {"pass_at_most", "pass_at_least"} & bounds.keys():
        yield (
            "nothing passes this gate, so it would hold every rollout",
            "blocking",
            "give `pass_at_most` or `pass_at_least`, or set `blocking: false`",
        )


def _faults_of_text(query: str) -> Iterator[tuple[str, str, str]]:
    if not query.strip():
        yield "nothing is asked", "query", "write the PromQL here, or choose another kind"
    for word in Template(query).get_identifiers():
        if word not in _WORDS:
            known = ", ".join(f"${each}" for each in _WORDS)
            yield f"${word} stands for nothing", "query", f"known are {known}; a $ of your own is written $$"


def _queries_of(spec: RolloutSpec) -> tuple[Gate, ...]:
    return tuple(gate for gate in spec.gates if gate.kind is GateKind.QUERY)


def _or(bound: float | None, otherwise: float) -> float:
    return otherwise if bound is None else bound


def _bounds_in_words(gate: Gate) -> str:
    words = {
        "pass_at_least": "passes from {:.4g}",
        "pass_at_most": "passes up to {:.4g}",
        "fail_below": "fails below {:.4g}",
        "fail_above": "fails above {:.4g}",
    }
    told = [text.format(getattr(gate, name)) for name, text in words.items() if getattr(gate, name) is not None]
    return "it " + ", ".join(told)


def _verdict(gate: Gate, answer: Answer, words: str, method: Method = Method.MEASURED) -> GateVerdict:
    return GateVerdict(gate=gate.kind, name=gate.name, answer=answer, method=method, reason=f"{gate.name}: {words}")
