"""What is decided before a training: one wish once, a cool-down, never the same data again, enough labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canario.model.card import Label, Task
from canario.model.retraining import Lesson, Outcome, Retraining, RetrainingRequest, Trigger
from canario.retraining.decide import why_not_from, why_not_now

TWO = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
COST = Label(name="cost", task=Task.REGRESSION)
LESSON = Lesson(
    digest="sha256:1",
    rows=5000,
    positives=75,
    first_at_seconds=0.0,
    last_at_seconds=1.0,
    judged_rows=1000,
    judged_positives=40,
)


def past(outcome: Outcome | None, **changes: Any) -> Retraining:
    """One retraining that began at 1000 s."""
    began = Retraining(
        number=1,
        model="fraud",
        trigger=Trigger.ALERT,
        asked_for="",
        began_at_seconds=1000.0,
        outcome=outcome,
        stable="v1",
        estimator="trees",
        lesson=LESSON,
    )
    return replace(began, **changes)


def test_the_first_may_begin() -> None:
    """Where nothing was trained before, nothing speaks against it."""
    assert why_not_now([], RetrainingRequest(cool_down_seconds=3600), 0.0) == ""


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_OUT, Outcome.PUBLISHED, Outcome.REJECTED, Outcome.FAILED, None])
def test_cool_down_follows_every_training(outcome: Outcome | None) -> None:
    """However the last training ended, killed ones included, the next one waits; and says for how long."""
    request = RetrainingRequest(cool_down_seconds=3600)
    why_not = why_not_now([past(outcome)], request, 1000.0 + 600)
    assert "10 min ago" in why_not
    assert "50 min" in why_not
    assert why_not_now([past(outcome)], request, 1000.0 + 3600) == ""


def test_a_refusal_cools_nothing_down() -> None:
    """What was refused trained nothing, so it keeps nobody waiting."""
    assert why_not_now([past(Outcome.REFUSED)], RetrainingRequest(cool_down_seconds=3600), 1001.0) == ""


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    """A last training in the future does not make the cool-down last for ever."""
    assert why_not_now([past(Outcome.REJECTED)], RetrainingRequest(cool_down_seconds=60), 10.0) == ""


def test_each_wish_is_answered_once() -> None:
    """A rollout's wish that led to a training is not carried out again; one that was refused is."""
    wish = RetrainingRequest(trigger=Trigger.ROLLOUT, wish="fraud-r2")
    assert "fraud-r2" in why_not_now([past(Outcome.REJECTED, wish="fraud-r2")], wish, 1e6)
    assert why_not_now([past(Outcome.REFUSED, wish="fraud-r2")], wish, 1e6) == ""


def test_rejected_candidate_is_remembered() -> None:
    """The same estimator is not tried again on the very same labels; a label more, another estimator or seed may be."""
    rejected = [past(Outcome.REJECTED)]
    assert "retraining 1" in why_not_from(rejected, TWO, LESSON, "v1", "trees", 0)
    assert why_not_from(rejected, TWO, replace(LESSON, digest="sha256:2"), "v1", "trees", 0) == ""
    assert why_not_from(rejected, TWO, LESSON, "v1", "forest", 0) == ""
    assert why_not_from(rejected, TWO, LESSON, "v1", "trees", 1) == ""
    assert why_not_from(rejected, TWO, LESSON, "v2", "trees", 0) == ""


def test_few_labels_are_refused_with_what_is_missing() -> None:
    """Too few rows, or too few frauds among those that judge, are refused in words with the number needed."""
    assert "500 at least" in why_not_from([], TWO, replace(LESSON, rows=499), "v1", "trees", 0)
    few = why_not_from([], TWO, replace(LESSON, judged_positives=29), "v1", "trees", 0)
    assert "29" in few
    assert "fraud" in few
    assert "30 at least" in few
    assert "too few" in why_not_from([], COST, replace(LESSON, judged_rows=5, judged_positives=0), "v1", "trees", 0)
    assert why_not_from([], COST, replace(LESSON, judged_positives=0), "v1", "trees", 0) == ""
