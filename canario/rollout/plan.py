"""Plans: the ones that canario makes by itself, and what a plan must be so that it can be honoured; following one is for decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isclose

from canario.errors import PlanError
from canario.model.card import Label
from canario.model.rollout import Gate, GateKind, RolloutSpec, Step, StrategyKind
from canario.rollout.chance import events_to_prove_below
from canario.rollout.queries import faults_of
from canario.rollout.steering import ROUTER_RESOLUTION_PERCENT
from canario.rollout.words import seconds

LABELLED = (GateKind.WRONG_LABELS, GateKind.RECALL)
"""The gates that look at late truths."""
_COMPARING = (GateKind.DISAGREEMENT, GateKind.SCORE_DISTANCE)
_MOST_REQUESTS_PER_SECOND = 10_000
"""More than a candidate can get: a margin that needs more within a step's longest wait cannot be proved."""
_HEADER_CHARACTERS = set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def default_plan(strategy: StrategyKind) -> RolloutSpec:
    """The plan of somebody who says no more than a strategy."""
    return {StrategyKind.CANARY: canary, StrategyKind.BLUE_GREEN: blue_green, StrategyKind.SHADOW: shadow}[strategy]()


def canary(weights_percent: tuple[float, ...] = (10.0, 50.0, 100.0)) -> RolloutSpec:
    """Rising weights, then a watch. Late labels can fail it at any time and hold it at none."""
    return RolloutSpec(
        strategy=StrategyKind.CANARY,
        steps=tuple(Step(weight_percent=weight) for weight in weights_percent),
        gates=(
            Gate(kind=GateKind.ERRORS, margin_percent=1.0),
            Gate(kind=GateKind.SLOW, margin_percent=2.0),
            Gate(kind=GateKind.WRONG_LABELS, margin_percent=5.0, blocking=False),
        ),
    )


def blue_green() -> RolloutSpec:
    """A preview on its own route, one switch, a watch. A preview sees few requests, so it proves little and the watch the rest."""
    return RolloutSpec(
        strategy=StrategyKind.BLUE_GREEN,
        steps=(Step(weight_percent=0.0, minimum_requests=50, longest_seconds=3600.0),),
        gates=(Gate(kind=GateKind.ERRORS, margin_percent=10.0),),
    )


def shadow(*, promote: bool = False) -> RolloutSpec:
    """Copies whose answers nobody sees, compared in pairs; then a report, or one switch and a watch."""
    return RolloutSpec(
        strategy=StrategyKind.SHADOW,
        steps=(Step(weight_percent=0.0, minimum_requests=500, longest_seconds=3600.0),),
        gates=(
            Gate(kind=GateKind.DISAGREEMENT, margin_percent=5.0),
            Gate(kind=GateKind.ERRORS, margin_percent=1.0, blocking=False),
        ),
        promote_after_shadow=promote,
    )


def undo() -> RolloutSpec:
    """The plan of `rollback VERSION`: start it, wait until it is ready, one switch. No gate: a person has judged already."""
    return RolloutSpec(steps=(Step(weight_percent=100.0),), gates=(), watch_seconds=0.0)


@dataclass(frozen=True, slots=True)
class _Fault:
    message: str
    at: str
    hint: str


def lint(spec: RolloutSpec) -> None:
    """Refuse a plan that cannot be honoured, before anything starts. Raises PlanError with `at` (the field) and `hint`.

    A canary must name its last step, 100, itself: a plan that stops at 50 would otherwise either never end or jump unseen. There a
    canary becomes the watch, so of that step only the weight and the minimum of requests count. Sticky users are honoured: they are
    judged by rates, as their deal is not random.
    """
    for check in _CHECKS:
        for fault in check(spec):
            raise PlanError(fault.message, at=fault.at, hint=fault.hint)


def lint_for(spec: RolloutSpec, label: Label) -> None:
    """Refuse a plan that asks what this label cannot tell, beyond what `lint` refuses. Raises PlanError."""
    if len(label.classes) == 2:
        return
    why = f"{label.name} has not two classes, so no second one can be missed"
    hint = "ask for wrong-labels: whatever the truth contradicts"
    for index, gate in enumerate(spec.gates):
        if gate.kind is GateKind.RECALL:
            raise PlanError(why, at=f"gates[{index}].kind", hint=hint)
    if spec.watch_missed_percent is not None:
        raise PlanError(why, at="watch_missed_percent", hint="set watch_wrong_percent: whatever the truth contradicts")


def _check_strategy(spec: RolloutSpec) -> Iterator[_Fault]:
    weights = [step.weight_percent for step in spec.steps]
    if not weights:
        yield _Fault("a plan needs at least one step", "steps", "a canary's steps are weights such as 10, 50, 100")
    if spec.strategy is StrategyKind.CANARY:
        yield from _check_rising(weights)
    elif weights != [0]:
        what = "preview" if spec.strategy is StrategyKind.BLUE_GREEN else "copies"
        yield _Fault(
            f"a {spec.strategy.value} has one step, of weight 0: the {what}",
            "steps",
            "for rising weights choose `strategy: canary`",
        )
    if spec.strategy is not StrategyKind.SHADOW and spec.promote_after_shadow:
        yield _Fault(
            "promote_after_shadow belongs to a shadow",
            "promote_after_shadow",
            "leave it out, or choose `strategy: shadow`",
        )


def _check_rising(weights: list[float]) -> Iterator[_Fault]:
    for index, weight in enumerate(weights):
        at = f"steps[{index}].weight_percent"
        if not 0 < weight <= 100:
            yield _Fault(
                f"a weight of {weight:g} % is not above 0 and at most 100",
                at,
                "to look before any traffic choose `strategy: blue-green`",
            )
        if not isclose(weight / ROUTER_RESOLUTION_PERCENT, round(weight / ROUTER_RESOLUTION_PERCENT), abs_tol=1e-6):
            yield _Fault(
                f"the router cannot deal {weight} %", at, f"it deals in steps of {ROUTER_RESOLUTION_PERCENT} %"
            )
        if index and weight <= weights[index - 1]:
            yield _Fault(
                f"the weights do not rise: {weights[index - 1]:g} is followed by {weight:g}",
                at,
                "write them from small to large",
            )
    if weights and weights[-1] != 100:
        yield _Fault(
            f"the last weight is {weights[-1]:g}, so the candidate would never answer everybody",
            f"steps[{len(weights) - 1}].weight_percent",
            "end with a step of 100",
        )


def _check_steps(spec: RolloutSpec) -> Iterator[_Fault]:
    for index, step in enumerate(spec.steps):
        at = f"steps[{index}]"
        if step.minimum_requests < 1:
            yield _Fault(
                "a step that needs no request would pass on silence", f"{at}.minimum_requests", "ask for at least 1"
            )
        if not 0 <= step.minimum_seconds < float("inf"):
            yield _Fault(f"{step.minimum_seconds} is no duration", f"{at}.minimum_seconds", "0 or more seconds")
        if not 0 < step.longest_seconds < float("inf"):
            yield _Fault(
                f"{step.longest_seconds} is no longest wait", f"{at}.longest_seconds", "more than 0 seconds, and an end"
            )
        if step.minimum_seconds > step.longest_seconds:
            yield _Fault(
                f"the step would end after {seconds(step.longest_seconds)}, before its minimum of {seconds(step.minimum_seconds)}",
                f"{at}.minimum_seconds",
                "make longest_seconds longer",
            )
        if step.approval and step.weight_percent == 100:
            yield _Fault(
                "nothing follows the last step that could be approved",
                f"{at}.approval",
                "ask for approval on the step before",
            )


def _check_gates(spec: RolloutSpec) -> Iterator[_Fault]:
    for (kind, name), number in Counter((gate.kind, gate.name) for gate in spec.gates).items():
        if number > 1:
            hint = "give each query a name of its own" if name else "keep one of each kind"
            yield _Fault(f"the gate {name or kind.value} is there {number} times", "gates", hint)
    for index, gate in enumerate(spec.gates):
        at = f"gates[{index}]"
        if not 0 < gate.alpha <= 0.5:
            yield _Fault(
                f"an alpha of {gate.alpha} is not a chance of false alarm",
                f"{at}.alpha",
                "above 0 and at most 0.5; 0.001 is usual",
            )
        if not 0.5 <= gate.confidence < 1:
            yield _Fault(
                f"a confidence of {gate.confidence} is out of range",
                f"{at}.confidence",
                "from 0.5 to below 1; 0.95 is usual",
            )
        if not 0 < gate.margin_percent < float("inf") or (
            gate.margin_percent >= 100 and gate.kind is not GateKind.SCORE_DISTANCE
        ):
            yield _Fault(
                f"a margin of {gate.margin_percent} is out of range",
                f"{at}.margin_percent",
                "above 0 and below 100: even an equal version needs some room",
            )
        if gate.kind in _COMPARING and spec.strategy is not StrategyKind.SHADOW:
            yield _Fault(
                f"{gate.kind.value} compares copies, and a {spec.strategy.value} makes none",
                f"{at}.kind",
                "choose `strategy: shadow`, or the gates errors and slow",
            )
        if gate.kind in LABELLED and spec.strategy is StrategyKind.SHADOW:
            yield _Fault(
                "nobody sees the answers of a shadow, so nobody can say that they were wrong",
                f"{at}.kind",
                "use disagreement, or a canary",
            )
        for message, field, hint in faults_of(gate):
            yield _Fault(message, f"{at}.{field}", hint)


def _check_proof(spec: RolloutSpec) -> Iterator[_Fault]:
    """Every leg before the last needs something that can answer: a blocking gate that can be proved in time, or a person."""
    for index, step in enumerate(spec.steps):
        if step.weight_percent == 100:
            continue
        if not step.approval and not any(gate.blocking for gate in spec.gates):
            yield _Fault(
                f"nothing holds step {index + 1}: it would promote on silence",
                "gates",
                "add a blocking gate, or `approval: true` to the step",
            )
        for place, gate in enumerate(spec.gates):
            needed = fewest_requests(gate)
            if gate.kind is GateKind.QUERY and gate.blocking and gate.for_seconds >= step.longest_seconds:
                yield _Fault(
                    f"{gate.name} takes {seconds(gate.for_seconds)} to answer, and the step ends after {seconds(step.longest_seconds)}",
                    f"gates[{place}].for_seconds",
                    f"shorten it, or make steps[{index}].longest_seconds longer",
                )
            if gate.blocking and needed > _MOST_REQUESTS_PER_SECOND * step.longest_seconds:
                yield _Fault(
                    f"a margin of {gate.margin_percent:g} % takes {needed:,} good requests, too many for {seconds(step.longest_seconds)}",
                    f"gates[{place}].margin_percent",
                    f"widen the margin, or make steps[{index}].longest_seconds longer",
                )


def fewest_requests(gate: Gate) -> int:
    """The candidate's requests (or pairs, or labels) without a bad one that it takes to pass this gate."""
    if gate.kind in (GateKind.SCORE_DISTANCE, GateKind.QUERY):
        return 1
    doubt = 1 - gate.confidence if gate.kind is GateKind.DISAGREEMENT else (1 - gate.confidence) / 2
    return events_to_prove_below(0.0, gate.margin_percent / 100, doubt) or 10**12


def _check_watch(spec: RolloutSpec) -> Iterator[_Fault]:
    if not 0 <= spec.watch_seconds < float("inf"):
        yield _Fault(f"{spec.watch_seconds} is no watch", "watch_seconds", "0 or more seconds")
    if not 0 < spec.start_seconds < float("inf"):
        yield _Fault(
            f"{spec.start_seconds} is no time to start in", "start_seconds", "more than 0 seconds; 120 is usual"
        )
    shares = {"watch_error_percent": spec.watch_error_percent, "watch_slow_percent": spec.watch_slow_percent}
    if spec.watch_wrong_percent is not None:
        shares["watch_wrong_percent"] = spec.watch_wrong_percent
    if spec.watch_missed_percent is not None:
        shares["watch_missed_percent"] = spec.watch_missed_percent
    for at, share in shares.items():
        if not 0 < share <= 100:
            yield _Fault(f"a limit of {share} % is out of range", at, "above 0 and at most 100, which never fails")


def _check_routes(spec: RolloutSpec) -> Iterator[_Fault]:
    header = spec.sticky_header
    if header and spec.strategy is not StrategyKind.CANARY:
        yield _Fault(
            f"a {spec.strategy.value} shares no weight that users could stick to",
            "sticky_header",
            "leave it out, or choose `strategy: canary`",
        )
    if not set(header) <= _HEADER_CHARACTERS:
        yield _Fault(
            f"{header!r} is no header that REST and gRPC both carry",
            "sticky_header",
            "lower-case letters, digits, - and _",
        )
    if header == "x-request-id":
        yield _Fault(
            "x-request-id is another for every request, so nobody would stick",
            "sticky_header",
            "a header that names the user",
        )
    if header == "x-canario-version":
        yield _Fault(
            "x-canario-version asks for a version past the split, so nobody would stick to what they were dealt",
            "sticky_header",
            "a header that names the user",
        )
    if not 0 < spec.shadow_percent <= 100:
        yield _Fault(
            f"copies of {spec.shadow_percent:g} % of the requests are out of range",
            "shadow_percent",
            "above 0 and at most 100",
        )


_CHECKS: tuple[Callable[[RolloutSpec], Iterator[_Fault]], ...] = (
    _check_strategy,
    _check_steps,
    _check_gates,
    _check_proof,
    _check_watch,
    _check_routes,
)
