"""When answers may be judged: never on the labels of those who answer fast."""

from __future__ import annotations

import numpy as np
import pytest

from canario.model.card import Label, Task
from canario.model.quality import DELAY_BOUNDS_SECONDS, Cohort, Delays, Tally
from canario.quality.maturity import delay_bin, delay_quantile, is_mature, maturity_seconds
from canario.quality.report import Span, report_of

FRAUD = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))


def delays_of(seconds: np.ndarray) -> Delays:
    """What is known of some delays."""
    counts = np.bincount([delay_bin(each) for each in seconds], minlength=len(DELAY_BOUNDS_SECONDS) + 1)
    return Delays(tuple(counts.tolist()), float(seconds.sum()))


@pytest.mark.parametrize("mean", [5.0, 3600.0, 86400.0])
def test_a_percentile_is_near_the_true_one(mean: float) -> None:
    """From bins alone the delay that nearly all labels stay within is known to about a third of itself."""
    seconds = np.random.default_rng(1).exponential(mean, 20_000)
    found = delay_quantile(delays_of(seconds), 0.95)
    assert found == pytest.approx(float(np.quantile(seconds, 0.95)), rel=0.35)


def test_nothing_is_mature_before_delays_are_known() -> None:
    """Few labels, or a history that is not much longer than the delays: nobody knows what is still to come."""
    few = delays_of(np.full(19, 5.0))
    assert maturity_seconds(few, 1e6) is None
    many = delays_of(np.full(100, 4.0))
    assert maturity_seconds(many, 5.0) is None
    assert maturity_seconds(many, 100.0) == pytest.approx(4.85, abs=0.2)
    assert maturity_seconds(delays_of(np.full(100, 1e8)), 1e9) is None


@pytest.mark.parametrize("history_days", [0.2, 0.5, 1.0, 2.0])
def test_a_young_history_is_not_mistaken_for_quick_labels(history_days: float) -> None:
    """Labels take a day on average; while there is less than some days of history, the delays that were seen prove nothing."""
    chance = np.random.default_rng(2)
    ages = chance.uniform(0, history_days * 86400, 20_000)
    delays = chance.exponential(86400, 20_000)
    seen = delays[delays <= ages]
    found = maturity_seconds(delays_of(seen), history_days * 86400)
    assert found is None


def test_fast_labels_do_not_flatter() -> None:
    """Frauds are told after a day, others at once: judged young, recall would be of nothing; judged mature, it is the true one."""
    day = 86400.0
    young = Cohort(
        version="v1", begins_at_seconds=9 * day, seconds=day, predictions=1000, tally=Tally(labelled=300, right=300)
    )
    old = Cohort(
        version="v1",
        begins_at_seconds=day,
        seconds=day,
        predictions=1000,
        tally=Tally(labelled=900, right=850, positives=100, caught=55, alarms=60),
    )
    report = report_of("fraud", FRAUD, [old, young], Span(0.0, 10 * day, day, 10 * day), 2 * day)
    (version,) = report.versions
    assert {score.name: score.value for score in version.scores}["recall"] == 0.55
    assert (version.predictions, version.labelled, version.coverage) == (1000, 900, 0.9)
    assert [(each.is_mature, each.scores != ()) for each in version.cohorts] == [(True, True), (False, False)]


def test_without_a_known_age_nothing_is_judged() -> None:
    """Cohorts are shown with their labels, and no figure is given."""
    cohort = Cohort(version="v1", begins_at_seconds=0.0, seconds=10.0, predictions=5, tally=Tally(labelled=5, right=5))
    report = report_of("fraud", FRAUD, [cohort], Span(0.0, 1e9, 10.0, 1e9), None, 3)
    assert report.versions[0].scores == ()
    assert report.versions[0].coverage is None
    assert report.unknown_labels == 3
    assert not is_mature(cohort, None, 1e9)


def test_a_cohort_is_as_old_as_its_last_answer() -> None:
    """The hour from 1 to 2 is judged an age after 2, not after 1."""
    cohort = Cohort(version="v1", begins_at_seconds=3600.0, seconds=3600.0, predictions=1, tally=Tally())
    assert not is_mature(cohort, 60.0, 7259.0)
    assert is_mature(cohort, 60.0, 7260.0)
