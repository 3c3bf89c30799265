"""A plan that cannot be honoured is refused before anything starts, with the place and a way out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canario.errors import PlanError
from canario.model.card import Label, Task
from canario.model.rollout import Gate, GateKind, OnTimeout, RolloutSpec, Step, StrategyKind
from canario.rollout.decide import begin
from canario.rollout.plan import blue_green, canary, default_plan, fewest_requests, lint, lint_for, shadow, undo

ERRORS = Gate(kind=GateKind.ERRORS)
LAST = Step(weight_percent=100)
NAN = float("nan")


def steps(*weights: float) -> tuple[Step, ...]:
    return tuple(Step(weight_percent=weight) for weight in weights)


def first_step(**fields: Any) -> RolloutSpec:
    return replace(canary(), steps=(Step(**{"weight_percent": 10.0, **fields}), LAST))


def only_gate(**fields: Any) -> RolloutSpec:
    return replace(canary(), gates=(replace(ERRORS, **fields),))


QUERY = Gate(kind=GateKind.QUERY, name="psi", query="psi", pass_at_most=0.1, fail_above=0.2)


def a_query(**fields: Any) -> RolloutSpec:
    return replace(canary(), gates=(ERRORS, replace(QUERY, **fields)))


REFUSED: dict[str, tuple[RolloutSpec, str]] = {
    "no step at all": (replace(canary(), steps=()), "steps"),
    "weights that fall": (canary((50, 10, 100)), "steps[1].weight_percent"),
    "weights that stand still": (canary((10, 10, 100)), "steps[1].weight_percent"),
    "a canary of weight 0": (canary((0, 100)), "steps[0].weight_percent"),
    "a negative weight": (canary((-5, 100)), "steps[0].weight_percent"),
    "a weight above 100": (canary((10, 120)), "steps[1].weight_percent"),
    "a weight that is not a number": (canary((NAN, 100)), "steps[0].weight_percent"),
    "a weight finer than the router deals": (canary((0.125, 100)), "steps[0].weight_percent"),
    "a canary that stops half way": (canary((10, 50)), "steps[1].weight_percent"),
    "a blue-green with rising weights": (replace(blue_green(), steps=steps(10, 100)), "steps"),
    "a blue-green with two previews": (replace(blue_green(), steps=steps(0, 0)), "steps"),
    "a shadow with a weight": (replace(shadow(), steps=steps(10)), "steps"),
    "promotion after a shadow that is none": (replace(canary(), promote_after_shadow=True), "promote_after_shadow"),
    "no minimum of requests": (first_step(minimum_requests=0), "steps[0].minimum_requests"),
    "a negative minimum of seconds": (first_step(minimum_seconds=-1.0), "steps[0].minimum_seconds"),
    "a step that never times out": (first_step(longest_seconds=float("inf")), "steps[0].longest_seconds"),
    "a step without any time": (first_step(longest_seconds=0.0), "steps[0].longest_seconds"),
    "a minimum longer than the longest wait": (first_step(minimum_seconds=700.0), "steps[0].minimum_seconds"),
    "approval with nothing after it": (
        replace(canary(), steps=(*steps(10), replace(LAST, approval=True))),
        "steps[1].approval",
    ),
    "the same gate twice": (replace(canary(), gates=(ERRORS, ERRORS)), "gates"),
    "an alpha of 0, which never fires": (only_gate(alpha=0.0), "gates[0].alpha"),
    "an alpha of 1, which always fires": (only_gate(alpha=1.0), "gates[0].alpha"),
    "an alpha that is not a number": (only_gate(alpha=NAN), "gates[0].alpha"),
    "a confidence of 95 instead of 0.95": (only_gate(confidence=95.0), "gates[0].confidence"),
    "a confidence worse than a coin": (only_gate(confidence=0.4), "gates[0].confidence"),
    "certainty": (only_gate(confidence=1.0), "gates[0].confidence"),
    "a margin of 0, which even an equal version never meets": (
        only_gate(margin_percent=0.0),
        "gates[0].margin_percent",
    ),
    "a margin of 100, which everything meets": (only_gate(margin_percent=100.0), "gates[0].margin_percent"),
    "a margin too small for the longest wait": (only_gate(margin_percent=0.00005), "gates[0].margin_percent"),
    "disagreement without copies": (only_gate(kind=GateKind.DISAGREEMENT), "gates[0].kind"),
    "score distance without copies": (
        replace(blue_green(), gates=(Gate(kind=GateKind.SCORE_DISTANCE),)),
        "gates[0].kind",
    ),
    "labels for answers that nobody saw": (
        replace(shadow(), gates=(Gate(kind=GateKind.WRONG_LABELS),)),
        "gates[0].kind",
    ),
    "recall of answers that nobody saw": (replace(shadow(), gates=(Gate(kind=GateKind.RECALL),)), "gates[0].kind"),
    "a query without a name": (a_query(name=""), "gates[1].name"),
    "a query with a name of several words": (a_query(name="score psi"), "gates[1].name"),
    "a query that asks nothing": (a_query(query=" "), "gates[1].query"),
    "a query about nobody": (a_query(query='psi{version="$canary"}'), "gates[1].query"),
    "a query without bounds": (a_query(pass_at_most=None, fail_above=None), "gates[1].pass_at_most"),
    "a query that never passes and is waited for": (a_query(pass_at_most=None), "gates[1].blocking"),
    "bounds the wrong way round": (a_query(pass_at_most=0.2, fail_above=0.1), "gates[1].pass_at_most"),
    "bounds that nothing lies between": (a_query(pass_at_least=0.15), "gates[1].pass_at_least"),
    "a bound that is not a number": (a_query(fail_above=NAN), "gates[1].fail_above"),
    "a bound that is endless": (a_query(fail_above=float("inf")), "gates[1].fail_above"),
    "a query that holds for less than nothing": (a_query(for_seconds=-1.0), "gates[1].for_seconds"),
    "a query that holds for longer than its step": (a_query(for_seconds=600.0), "gates[1].for_seconds"),
    "two queries of one name": (replace(canary(), gates=(ERRORS, QUERY, QUERY)), "gates"),
    "a bound on errors": (only_gate(pass_at_most=0.1), "gates[0].pass_at_most"),
    "a name on errors": (only_gate(name="mine"), "gates[0].name"),
    "a watch of recall that allows none": (replace(canary(), watch_missed_percent=0.0), "watch_missed_percent"),
    "no gate and no person": (replace(canary(), gates=()), "gates"),
    "gates that hold nothing": (only_gate(blocking=False), "gates"),
    "a negative watch": (replace(canary(), watch_seconds=-1.0), "watch_seconds"),
    "a watch without end": (replace(canary(), watch_seconds=float("inf")), "watch_seconds"),
    "no time to start": (replace(canary(), start_seconds=0.0), "start_seconds"),
    "a watch that allows no error": (replace(canary(), watch_error_percent=0.0), "watch_error_percent"),
    "a watch that allows more than all": (replace(canary(), watch_slow_percent=101.0), "watch_slow_percent"),
    "a watch of labels that allows none": (replace(canary(), watch_wrong_percent=0.0), "watch_wrong_percent"),
    "sticky users of a blue-green": (replace(blue_green(), sticky_header="x-user"), "sticky_header"),
    "sticky users of a shadow": (replace(shadow(), sticky_header="x-user"), "sticky_header"),
    "a header that gRPC cannot carry": (replace(canary(), sticky_header="X-User"), "sticky_header"),
    "a header that is another each time": (replace(canary(), sticky_header="x-request-id"), "sticky_header"),
    "a header that names a version": (replace(canary(), sticky_header="x-canario-version"), "sticky_header"),
    "copies of no request": (replace(shadow(), shadow_percent=0.0), "shadow_percent"),
    "more copies than requests": (replace(shadow(), shadow_percent=150.0), "shadow_percent"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Each of these is refused, naming the field, and what to do about it."""
    spec, at = REFUSED[name]
    with pytest.raises(PlanError) as refusal:
        lint(spec)
    assert refusal.value.at == at
    assert refusal.value.message
    assert refusal.value.hint


@pytest.mark.parametrize(
    "spec",
    [
        *map(default_plan, StrategyKind),
        canary((0.01, 1, 5, 99.99, 100)),
        canary((100,)),
        shadow(promote=True),
        undo(),
        replace(canary(), sticky_header="x-user-id"),
        replace(canary(), gates=(), steps=(Step(weight_percent=10, approval=True), LAST)),
        replace(canary(), on_timeout=OnTimeout.ROLL_BACK, watch_seconds=0.0),
        replace(shadow(), gates=(Gate(kind=GateKind.SCORE_DISTANCE, margin_percent=5000.0),)),
        a_query(),
        a_query(pass_at_least=0.0, fail_below=0.0),
        a_query(pass_at_most=None, blocking=False, for_seconds=0.0),
        replace(canary(), gates=(QUERY, replace(QUERY, name="psi-2")), watch_missed_percent=40.0),
        replace(shadow(), gates=(*shadow().gates, QUERY)),
        only_gate(kind=GateKind.RECALL, margin_percent=10.0),
    ],
)
def test_accepted(spec: RolloutSpec) -> None:
    """The plans that canario makes, and these of people, can be honoured."""
    lint(spec)


def test_a_rollout_cannot_begin_with_a_refused_plan() -> None:
    """Beginning checks the plan, so no platform can forget it."""
    with pytest.raises(PlanError):
        begin(canary((10, 50)), "r1", "v1", "v2", 0.0)


TWO = Label(name="fraud", task=Task.CLASSIFICATION, classes=("no", "yes"))
HOURS = Label(name="hours", task=Task.REGRESSION)


@pytest.mark.parametrize(
    ("spec", "at"),
    [
        (replace(canary(), gates=(ERRORS, Gate(kind=GateKind.RECALL, blocking=False))), "gates[1].kind"),
        (replace(canary(), watch_missed_percent=20.0), "watch_missed_percent"),
    ],
)
def test_recall_is_for_two_classes(spec: RolloutSpec, at: str) -> None:
    """What a number or three words cannot tell is refused where the model's card is known."""
    for label in (HOURS, replace(TWO, classes=("a", "b", "c"))):
        with pytest.raises(PlanError, match="has not two classes") as refusal:
            lint_for(spec, label)
        assert refusal.value.at == at
    lint_for(spec, TWO)
    for strategy in StrategyKind:
        lint_for(default_plan(strategy), HOURS)


def test_a_version_cannot_replace_itself() -> None:
    """Rolling out what answers already is refused."""
    with pytest.raises(PlanError, match="v1 answers already"):
        begin(canary(), "r1", "v1", "v1", 0.0)


def test_late_labels_hold_no_default_plan() -> None:
    """By default wrong labels can throw a candidate back, but a rollout does not wait days for labels."""
    assert [gate.blocking for gate in canary().gates if gate.kind is GateKind.WRONG_LABELS] == [False]


def test_a_person_can_know_what_a_gate_will_take() -> None:
    """The fewest requests that pass a gate are known beforehand: a margin of 1 point takes a little over 500."""
    assert 500 < fewest_requests(ERRORS) < 550
    assert fewest_requests(replace(ERRORS, margin_percent=10.0)) < 60
