"""The judge gives three answers, says how it judged, and never takes silence or a broken source for an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.model.evidence import Comparison, Counts, Evidence
from canario.model.rollout import Gate, GateKind, Phase, RolloutSpec, RolloutState, Step
from canario.model.split import Split
from canario.model.verdict import Answer, GateVerdict, Method, Verdict
from canario.rollout.judge import judge
from canario.rollout.plan import blue_green, canary, shadow

ONE_GATE = replace(canary(), gates=(Gate(kind=GateKind.ERRORS),))
AT_TEN = Split(stable="v1", candidate="v2", weight_percent=10.0)
EVERYBODY = Split(stable="v1", candidate="v2", weight_percent=100.0)


def state(split: Split = AT_TEN, **fields: Any) -> RolloutState:
    begun = RolloutState(
        rollout="r1",
        stable="v1",
        candidate="v2",
        phase=Phase.STEPPING,
        asked=split,
        step_since_seconds=1000.0,
        baseline={"v1": Counts(requests=5000, errors=50, slow=50), "v2": Counts()},
        baselines=1,
    )
    return replace(begun, **fields)


def look(
    candidate: Counts | None,
    stable: Counts | None,
    spec: RolloutSpec = ONE_GATE,
    before: RolloutState | None = None,
    comparison: Comparison | None = None,
    **evidence: Any,
) -> Verdict:
    """Judge after a minute what was counted since the baseline."""
    before = before or state()
    counts = {}
    if stable is not None:
        old = before.baseline["v1"]
        counts["v1"] = Counts(**{name: getattr(old, name) + getattr(stable, name) for name in Counts.__slots__})
    if candidate is not None:
        counts["v2"] = candidate
    shown = Evidence(**{"counts": counts, "router_split": before.asked, "comparison": comparison, **evidence})
    return judge(spec, before, shown, 1060.0)


def only(verdict: Verdict) -> GateVerdict:
    (gate,) = verdict.gates
    assert gate.answer is verdict.answer
    return gate


def test_a_worse_candidate_fails_with_the_figures_in_the_reason() -> None:
    """Four errors of the candidate and none of stable fail at 10 %, and the sentence says so."""
    gate = only(look(Counts(requests=19, errors=4), Counts(requests=301)))
    assert gate.answer is Answer.FAIL
    assert gate.method is Method.SEQUENTIAL
    assert gate.reason == (
        "errors: v2 4 of 19 (21.1 %), v1 0 of 301 (0 %): more than its share at a weight of 10 %; "
        "by chance at most once in 2,222 rollouts, and once in 1,000 is the limit"
    )


def test_an_equal_candidate_passes_when_enough_is_known() -> None:
    """With few errors among enough requests the difference is bounded below the margin."""
    gate = only(look(Counts(requests=1000, errors=1), Counts(requests=9000, errors=9)))
    assert gate.answer is Answer.PASS
    assert gate.upper_bound_percent is not None
    assert gate.upper_bound_percent < 1.0


def test_too_little_is_unknown_and_says_how_much_more() -> None:
    """A hundred good requests are no proof of a margin of 1 point; some 440 more are needed."""
    gate = only(look(Counts(requests=100), Counts(requests=900)))
    assert gate.answer is Answer.UNKNOWN
    assert gate.requests_needed == 436
    assert "about 436 more requests needed" in gate.reason


def test_the_requests_needed_are_enough() -> None:
    """Given as many more good requests as were asked for, the gate passes."""
    needed = only(look(Counts(requests=100), Counts(requests=900))).requests_needed
    assert needed is not None
    assert look(Counts(requests=100 + needed), Counts(requests=900)).answer is Answer.PASS


def test_a_candidate_beyond_the_margin_gets_no_forecast() -> None:
    """While the candidate looks worse than the margin allows, nobody can say how many requests would prove it good."""
    gate = only(look(Counts(requests=100, errors=2), Counts(requests=900, errors=3)))
    assert (gate.answer, gate.requests_needed) == (Answer.UNKNOWN, None)


def test_a_minimum_of_requests_holds_whatever_the_margin() -> None:
    """A wide margin is soon proved, but the step's minimum of requests is waited for."""
    spec = replace(
        ONE_GATE,
        gates=(replace(ONE_GATE.gates[0], margin_percent=50.0),),
        steps=(Step(weight_percent=10, minimum_requests=200), Step(weight_percent=100)),
    )
    gate = only(look(Counts(requests=150), Counts(requests=1350), spec))
    assert (gate.answer, gate.requests_needed) == (Answer.UNKNOWN, 50)
    assert look(Counts(requests=200), Counts(requests=1800), spec).answer is Answer.PASS


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({"counts": None}, "the router's counts cannot be read"),
        ({"router_split": None}, "the router's split cannot be read"),
        ({"router_split": Split(stable="v1")}, "the router does not run the step's split yet"),
        ({"counts": {"v2": Counts(requests=50, errors=50)}}, "the counts of v1 cannot be read"),
    ],
)
def test_what_cannot_be_read_is_unknown(evidence: dict[str, Any], words: str) -> None:
    """A source that is lost gives neither good nor bad, and the verdict says which it is."""
    verdict = look(Counts(requests=50, errors=50), Counts(requests=950), **evidence)
    assert verdict.answer is Answer.UNKNOWN
    assert [gate.method for gate in verdict.gates] == [Method.NONE]
    assert words in verdict.reason


def test_nothing_counts_before_the_split_is_seen() -> None:
    """Without a baseline there is no verdict, however bad the counts look."""
    before = state(step_since_seconds=None, baseline={"v1": Counts()})
    assert look(Counts(requests=50, errors=50), Counts(requests=950), before=before).answer is Answer.UNKNOWN


def test_what_lies_before_the_baseline_does_not_count() -> None:
    """Errors of a former rollout of the same version are no evidence in this one."""
    before = state(baseline={"v1": Counts(requests=5000), "v2": Counts(requests=100, errors=100)})
    verdict = look(Counts(requests=1100, errors=101), Counts(requests=9000, errors=9), before=before)
    assert verdict.answer is Answer.PASS


def test_a_stable_without_requests_is_no_comparison() -> None:
    """When stable had no request, errors of the candidate are not held against it by comparison."""
    gate = only(look(Counts(requests=5, errors=5), Counts()))
    assert gate.answer is Answer.UNKNOWN


def test_earlier_steps_count() -> None:
    """What earlier steps earned is multiplied on: two errors more are then enough."""
    earned = state(log_e_values={"errors": 4.5})
    assert look(Counts(requests=19, errors=2), Counts(requests=301)).answer is Answer.UNKNOWN
    assert look(Counts(requests=19, errors=2), Counts(requests=301), before=earned).answer is Answer.FAIL


@pytest.mark.parametrize(
    "bad", [{"errors": 9}, {"slow": 9}, {"labelled": 50, "wrong": 20}, {"labelled": 50, "positives": 30, "missed": 20}]
)
def test_errors_slow_answers_wrong_labels_and_missed_positives_are_one_test(bad: dict[str, int]) -> None:
    """Each kind of bad event throws a candidate back that has too many of them."""
    spec = replace(canary(), gates=(*canary().gates, Gate(kind=GateKind.RECALL, blocking=False)))
    stable = Counts(requests=900, labelled=400, positives=200)
    assert look(Counts(requests=90, **bad), stable, spec).answer is Answer.FAIL


def test_recall_passes_with_positives_enough() -> None:
    """Requests are no proof of recall: it takes truths of the second class, and few missed among them."""
    spec = replace(canary(), gates=(Gate(kind=GateKind.RECALL, margin_percent=10.0),))
    stable = Counts(requests=90_000, labelled=90_000, positives=900, missed=225)
    few = Counts(requests=10_000, labelled=10_000, positives=100, missed=24)
    many = Counts(requests=20_000, labelled=20_000, positives=2000, missed=480)
    assert only(look(few, stable, spec)).requests_needed
    assert only(look(many, replace(stable, positives=9000, missed=2250), spec)).answer is Answer.PASS


def test_missing_labels_do_not_hold() -> None:
    """A gate that does not block stays unknown, and the rollout passes without it."""
    verdict = look(Counts(requests=2000), Counts(requests=18000), canary())
    assert verdict.answer is Answer.PASS
    assert [gate.answer for gate in verdict.gates] == [Answer.PASS, Answer.PASS, Answer.UNKNOWN]


def test_no_gate_never_passes_on_silence() -> None:
    """Where a person approves and no gate is planned, a candidate without requests still has not passed."""
    spec = replace(canary(), gates=(), steps=(Step(weight_percent=10, approval=True), Step(weight_percent=100)))
    assert look(Counts(), Counts(requests=900), spec).answer is Answer.UNKNOWN
    assert look(Counts(requests=100), Counts(requests=900), spec).answer is Answer.PASS


def test_sticky_users_are_judged_by_rates() -> None:
    """Users who stick are not dealt at random, so the rates are compared, and the verdict says so."""
    spec = replace(ONE_GATE, sticky_header="x-user")
    before = state(replace(AT_TEN, sticky_header="x-user"))
    gate = only(look(Counts(requests=400, errors=40), Counts(requests=3600, errors=4), spec, before))
    assert (gate.answer, gate.method) == (Answer.FAIL, Method.RATES)
    assert "sticky users are not dealt at random" in gate.reason
    assert only(look(Counts(requests=19, errors=1), Counts(requests=301), spec, before)).answer is Answer.UNKNOWN


def test_a_preview_is_judged_by_rates() -> None:
    """Requests that ask for the preview are compared with stable's, and can fail and pass it."""
    before = state(Split(stable="v1", candidate="v2"))
    failed = only(look(Counts(requests=40, errors=20), Counts(requests=900, errors=1), blue_green(), before))
    assert (failed.answer, failed.method) == (Answer.FAIL, Method.RATES)
    assert look(Counts(requests=60), Counts(requests=900, errors=1), blue_green(), before).answer is Answer.PASS


def test_a_candidate_that_gets_too_much_is_not_dealt_at_random() -> None:
    """When its header brings the candidate far more than its weight, the comparison by share is given up."""
    gate = only(look(Counts(requests=500, errors=6), Counts(requests=900, errors=1)))
    assert (gate.answer, gate.method) == (Answer.UNKNOWN, Method.RATES)


def watching(spec: RolloutSpec = ONE_GATE) -> RolloutState:
    return state(EVERYBODY, phase=Phase.WATCHING, step_index=len(spec.steps) - 1)


def test_the_watch_judges_against_the_plans_limit() -> None:
    """With everybody on the candidate its share of errors is held against the limit of the plan."""
    failed = look(Counts(requests=1000, errors=40), Counts(), before=watching())
    assert failed.answer is Answer.FAIL
    assert "more than the limit of 1 %" in failed.reason
    assert look(Counts(requests=5000, errors=5), Counts(), before=watching()).answer is Answer.PASS


def test_the_watch_asks_for_errors_and_slow_answers_always() -> None:
    """Whatever gates the steps had, the watch looks at errors and slow answers, and at labels when it has a limit for them."""
    verdict = look(Counts(requests=1000), Counts(), before=watching())
    assert [gate.gate for gate in verdict.gates] == [GateKind.ERRORS, GateKind.SLOW]
    spec = replace(ONE_GATE, watch_wrong_percent=10.0)
    verdict = look(Counts(requests=1000, labelled=300, wrong=90), Counts(), spec, watching())
    assert [gate.answer for gate in verdict.gates] == [Answer.PASS, Answer.PASS, Answer.FAIL]
    spec = replace(ONE_GATE, watch_missed_percent=30.0)
    verdict = look(Counts(requests=1000, labelled=300, positives=100, missed=60), Counts(), spec, watching())
    assert [gate.gate for gate in verdict.gates] == [GateKind.ERRORS, GateKind.SLOW, GateKind.RECALL]
    assert [gate.answer for gate in verdict.gates] == [Answer.PASS, Answer.PASS, Answer.FAIL]


COPIES = Split(stable="v1", candidate="v2", shadow_percent=100.0)


@pytest.mark.parametrize(
    ("pairs", "flips", "answer"),
    [
        (1000, 10, Answer.PASS),
        (1000, 100, Answer.FAIL),
        (1000, 48, Answer.UNKNOWN),
        (100, 0, Answer.UNKNOWN),
        (20, 20, Answer.FAIL),
    ],
)
def test_copies_are_compared(pairs: int, flips: int, answer: Answer) -> None:
    """A shadow passes or fails by the share of pairs with another label, and otherwise says that it does not know."""
    spec = replace(shadow(), gates=shadow().gates[:1])
    before = state(COPIES, baseline_comparison=Comparison(pairs=50, flips=50))
    comparison = Comparison(pairs=50 + pairs, flips=50 + flips)
    assert look(Counts(), Counts(requests=pairs), spec, before, comparison).answer is answer


@pytest.mark.parametrize(("mean", "answer"), [(0.5, Answer.PASS), (2.0, Answer.FAIL)])
def test_scores_are_compared_by_their_mean_distance(mean: float, answer: Answer) -> None:
    """The mean distance of the scores is held against the margin, in the score's own unit, once there are enough pairs."""
    spec = replace(shadow(), gates=(Gate(kind=GateKind.SCORE_DISTANCE, margin_percent=1.0),))
    enough = Comparison(pairs=500, distance_sum=500 * mean)
    few = Comparison(pairs=400, distance_sum=400 * mean)
    assert look(Counts(), Counts(), spec, state(COPIES), enough).answer is answer
    assert look(Counts(), Counts(), spec, state(COPIES), few).answer is Answer.UNKNOWN


def test_a_lost_comparison_is_unknown() -> None:
    """A shadow whose comparison cannot be read is not judged."""
    assert look(Counts(), Counts(requests=10), shadow(), state(COPIES), None).answer is Answer.UNKNOWN


@given(
    candidate=st.builds(Counts, requests=st.integers(0, 3000), errors=st.integers(0, 60), slow=st.integers(0, 60)),
    stable=st.builds(Counts, requests=st.integers(0, 30000), errors=st.integers(0, 60), slow=st.integers(0, 60)),
    weight=st.sampled_from([0.01, 10.0, 50.0, 99.99]),
)
@settings(deadline=None, max_examples=150)
def test_the_judge_always_answers(candidate: Counts, stable: Counts, weight: float) -> None:
    """Any counts at all, read a moment apart or not, give a verdict with a reason; and fewer errors never turn a pass around."""
    before = state(replace(AT_TEN, weight_percent=weight))
    verdict = look(candidate, stable, canary(), before)
    assert verdict.reason
    assert all(gate.reason for gate in verdict.gates)
    if verdict.answer is Answer.PASS:
        assert candidate.requests >= 100
        assert look(replace(candidate, errors=0), stable, canary(), before).answer is Answer.PASS
