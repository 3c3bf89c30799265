"""What quality estimated without labels promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.drift.estimated_performance import estimated_performance

REFERENCE, POSITIVES, FIRST = [4000, 800, 100, 100], [4, 16, 20, 90], 2


@given(st.integers(1, 20))
def test_the_same_scores_foretell_the_same_quality(times: int) -> None:
    """While the scores are spread as at the reference, every figure is the reference's own, and lies in its interval."""
    found = {
        each.name: each
        for each in estimated_performance(REFERENCE, POSITIVES, [rows * times for rows in REFERENCE], FIRST)
    }
    assert found["recall"].reference == pytest.approx(110 / 130)
    assert found["precision"].reference == pytest.approx(110 / 200)
    assert found["accuracy"].reference == pytest.approx((110 + 4784 - 4 - 0) / 5000, abs=0.01)
    for each in found.values():
        assert each.value == pytest.approx(each.reference)
        assert each.low <= each.value <= each.high


def test_unsure_scores_foretell_fewer_catches() -> None:
    """When more rows get the scores that a fifth of the missed frauds had, the estimated recall falls, and the interval with it."""
    recall = next(
        each
        for each in estimated_performance(REFERENCE, POSITIVES, [4000, 8000, 100, 100], FIRST)
        if each.name == "recall"
    )
    assert recall.value == pytest.approx(110 / (4 + 160 + 110))
    assert recall.high < recall.reference


@pytest.mark.parametrize("rows", [300, 3_000, 30_000])
def test_the_interval_holds_what_labels_show_later(rows: int) -> None:
    """In at least 90 of 100 trials the 95 % interval holds the recall that the labels of these rows show (seed 11)."""
    random = np.random.default_rng(11)
    chances, spread = np.array([0.001, 0.02, 0.2, 0.9]), np.array([0.75, 0.2, 0.03, 0.02])
    held = trials = 0
    for _ in range(100):
        reference = random.multinomial(5_000, [0.8, 0.16, 0.02, 0.02])
        now = random.multinomial(rows, spread)
        positives = random.binomial(reference, chances)
        estimate = estimated_performance(reference.tolist(), positives.tolist(), now.tolist(), FIRST)[0]
        truth = random.binomial(now, chances)
        if truth.sum():
            trials += 1
            held += estimate.low <= truth[FIRST:].sum() / truth.sum() <= estimate.high
    assert held >= 0.9 * trials


def test_what_cannot_be_told_is_left_out() -> None:
    """Without rows that are answered as positive there is no precision, and bins unknown to the reference say nothing."""
    names = [each.name for each in estimated_performance(REFERENCE, POSITIVES, [10, 10, 0, 0], FIRST)]
    assert names == ["recall", "accuracy"]
    assert estimated_performance([0, 10], [0, 5], [100, 0], 1) == ()
