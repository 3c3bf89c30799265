"""Whether a candidate is like stable: three answers, and limits that mean what they say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.errors import UsageError
from canario.model.preflight import ClassCount, Comparison, PreflightLimits
from canario.model.verdict import Answer
from canario.quality.preflight import check_limits, judge_preflight


def found(compared: int, changed: int = 0, **more: Any) -> Comparison:
    usual = {"rows": compared, "equal": compared - changed, "mean_distance": 0.0, "largest_distance": 0.0}
    failed = {"only_stable_failed": 0, "only_candidate_failed": 0, "both_failed": 0}
    return Comparison(compared=compared, changed=changed, **{**usual, **failed, **more})


def answer(comparison: Comparison, **limits: float) -> Answer:
    return judge_preflight(comparison, PreflightLimits(**limits)).answer


def test_many_rows_with_few_changes_pass() -> None:
    """A file of thousands of rows of which few change puts the candidate on trial."""
    verdict = judge_preflight(found(10_000, 40), PreflightLimits())
    assert verdict.answer is Answer.PASS
    assert all(gate.reason for gate in verdict.gates)


def test_many_changes_fail() -> None:
    """More changed answers than the limit allows, by more than chance, keep the candidate away."""
    verdict = judge_preflight(found(10_000, 700), PreflightLimits())
    assert verdict.answer is Answer.FAIL
    assert "700 of 10,000 answers changed: 7 %" in verdict.reason


@given(changed=st.integers(0, 4), limit=st.floats(1.0, 20.0))
def test_few_rows_say_nothing_and_how_many_would(changed: int, limit: float) -> None:
    """Neither pass nor fail: a handful of rows says how many more it takes, and so many more are enough."""
    comparison = found(12, changed)
    verdict = judge_preflight(comparison, PreflightLimits(disagreement_percent=limit))
    gate = verdict.gates[1]
    if gate.answer is Answer.UNKNOWN and gate.rows_needed:
        rows = 12 + round(1.1 * gate.rows_needed) + 20
        more = found(rows, round(changed / 12 * rows))
        assert answer(more, disagreement_percent=limit) is not Answer.UNKNOWN


def test_nothing_compared_is_not_known() -> None:
    """A file of which no row could be answered by both puts nothing on trial."""
    assert answer(found(0)) is Answer.UNKNOWN
    assert answer(found(0, rows=50, both_failed=50)) is Answer.UNKNOWN


def test_one_row_that_only_the_candidate_fails_is_enough() -> None:
    """A row that stable answers and the candidate does not is a failed request to come; a limit may allow some."""
    comparison = found(10_000, only_candidate_failed=1)
    assert answer(comparison) is Answer.FAIL
    assert answer(comparison, failed_percent=0.1) is Answer.PASS
    assert answer(found(10_000, only_stable_failed=100)) is Answer.PASS


@pytest.mark.parametrize(
    ("stable", "candidate", "expected"),
    [(200, 190, Answer.PASS), (200, 0, Answer.FAIL), (200, 900, Answer.FAIL), (4, 0, Answer.PASS), (0, 0, Answer.PASS)],
)
def test_a_rare_class_that_vanishes_fails(stable: int, candidate: int, expected: Answer) -> None:
    """A model that no longer finds any fraud changes one answer in a hundred, and is kept away all the same."""
    classes = (
        ClassCount(name="clean", stable=20_000 - stable, candidate=20_000 - candidate),
        ClassCount(name="fraud", stable=stable, candidate=candidate),
    )
    comparison = found(20_000, abs(stable - candidate), classes=classes)
    assert answer(comparison) is expected


def test_scores_may_be_held_together() -> None:
    """Where a limit for the scores is set, their mean distance is held against it."""
    comparison = found(10_000, mean_distance=0.02)
    assert answer(comparison) is Answer.PASS
    assert answer(comparison, score_distance=0.01) is Answer.FAIL
    assert answer(comparison, score_distance=0.03) is Answer.PASS


def test_nothing_may_change_or_anything() -> None:
    """0 and 100 percent mean what they say, for any number of rows."""
    assert answer(found(3, 0), disagreement_percent=0) is Answer.PASS
    assert answer(found(10_000, 1), disagreement_percent=0) is Answer.FAIL
    assert answer(found(3, 3), disagreement_percent=100) is Answer.PASS


@pytest.mark.parametrize(
    "limits",
    [{"disagreement_percent": 101}, {"failed_percent": -1}, {"class_factor": 0.5}, {"score_distance": float("nan")}],
)
def test_limits_that_mean_nothing_are_refused(limits: dict[str, float]) -> None:
    """A limit outside of its range is refused with the option's name."""
    with pytest.raises(UsageError) as refused:
        check_limits(PreflightLimits(**limits))
    assert refused.value.at == f"--preflight-{next(iter(limits)).replace('_', '-')}"
