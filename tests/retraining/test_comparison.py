"""What a comparison of two versions on the same rows promises: paired intervals, and no verdict without them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.model.card import Label, Task
from canario.retraining.comparison import Answered, compare, paired_share

TWO = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
THREE = Label(name="kind", task=Task.CLASSIFICATION, classes=("a", "b", "c"))
COST = Label(name="cost", task=Task.REGRESSION, unit="EUR")


def rows(*groups: tuple[int, str, str, str]) -> list[Answered]:
    """So many rows of each (count, truth, stable's answer, candidate's answer)."""
    return [Answered(truth, stable, candidate) for count, truth, stable, candidate in groups for _ in range(count)]


def frauds(*, both: int, only_new: int, only_old: int, neither: int) -> Sequence[Answered]:
    """Frauds by who caught them, among a thousand clean payments that both let pass and four that both stop."""
    return rows(
        (both, "fraud", "fraud", "fraud"),
        (only_new, "fraud", "clean", "fraud"),
        (only_old, "fraud", "fraud", "clean"),
        (neither, "fraud", "clean", "clean"),
        (1000, "clean", "clean", "clean"),
        (4, "clean", "fraud", "fraud"),
    )


def test_more_frauds_caught_is_better() -> None:
    """A candidate that catches 22 frauds more and misses 4 that stable caught is better, and the reason says by how much."""
    judgement = compare(TWO, frauds(both=38, only_new=22, only_old=4, neither=10))
    assert judgement.is_better
    assert "recall 81.1 % against 56.8 %" in judgement.reason
    recall, precision = judgement.figures
    assert (recall.name, recall.rows) == ("recall", 74)
    assert 0 < recall.low < recall.gain < recall.high
    assert precision.low <= precision.gain <= precision.high


def test_a_gain_that_may_be_chance_is_none() -> None:
    """Four frauds more against two is chance: the candidate is not better."""
    judgement = compare(TWO, frauds(both=38, only_new=4, only_old=2, neither=30))
    assert not judgement.is_better
    assert judgement.reason.startswith("not shown to be better")


def test_recall_is_not_bought_with_precision() -> None:
    """A candidate that catches more because it stops every tenth customer is rejected, and the reason names precision."""
    bought = [*frauds(both=40, only_new=30, only_old=0, neither=4), *rows((100, "clean", "clean", "fraud"))]
    judgement = compare(TWO, bought)
    assert not judgement.is_better
    assert "precision may have fallen" in judgement.reason


def test_fewer_false_alarms_are_better_too() -> None:
    """A candidate that catches the same frauds with far fewer false alarms is better."""
    quieter = [*frauds(both=100, only_new=0, only_old=0, neither=10), *rows((80, "clean", "fraud", "clean"))]
    assert compare(TWO, quieter).is_better


def test_a_version_that_never_speaks_up_is_not_better() -> None:
    """Without a single alarm there is no precision, and no praise."""
    assert not compare(TWO, rows((50, "fraud", "fraud", "clean"), (500, "clean", "clean", "clean"))).is_better


def test_a_stable_version_that_has_fallen_silent_can_be_bettered() -> None:
    """It stops nobody any more: a candidate that catches frauds is better, and one that stops everybody is not."""
    missed = rows((60, "fraud", "clean", "fraud"), (20, "fraud", "clean", "clean"), (2000, "clean", "clean", "clean"))
    judgement = compare(TWO, [*missed, *rows((10, "clean", "clean", "fraud"))])
    assert judgement.is_better
    assert [figure.name for figure in judgement.figures] == ["recall", "accuracy"]
    judgement = compare(TWO, [*missed, *rows((2000, "clean", "clean", "fraud"))])
    assert not judgement.is_better
    assert "accuracy may have fallen" in judgement.reason


def test_no_rows_show_nothing() -> None:
    """No rows, no verdict, for every kind of label."""
    for label in (TWO, THREE, COST):
        assert not compare(label, []).is_better


def test_more_classes_are_judged_by_accuracy() -> None:
    """With three classes the share of right answers decides."""
    judgement = compare(THREE, rows((30, "a", "b", "a"), (5, "c", "c", "a"), (60, "b", "b", "b")))
    assert judgement.is_better
    assert judgement.figures[0].name == "accuracy"


def test_numbers_are_judged_by_their_errors() -> None:
    """A regression is better when its error, row by row, is smaller; the gain is in the label's unit."""
    dice = random.Random(1)
    truths = [dice.uniform(100, 900) for _ in range(200)]
    better = [Answered(truth, truth + dice.gauss(0, 40), truth + dice.gauss(0, 20)) for truth in truths]
    judgement = compare(COST, better)
    assert judgement.is_better
    assert "EUR" in judgement.reason
    assert not compare(COST, [Answered(row.truth, row.candidate, row.stable) for row in better]).is_better


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_interval_holds_the_gain_and_turns_with_the_versions(hits: list[tuple[bool, bool]]) -> None:
    """For any answers the interval holds the gain, and swapping the two versions mirrors it."""
    figure, mirrored = (paired_share("recall", each) for each in (hits, [(old, new) for new, old in hits]))
    assert -1 - 1e-9 <= figure.low <= figure.gain <= figure.high <= 1 + 1e-9
    assert figure.low == pytest.approx(-mirrored.high, abs=1e-9)
    assert figure.high == pytest.approx(-mirrored.low, abs=1e-9)


def test_equal_versions_are_seldom_called_better() -> None:
    """Of 2,000 pairs of equally good versions about 1 in 40 is called better in recall, as a 95 % interval promises."""
    dice = random.Random(7)
    called = 0
    for _ in range(2000):
        hits = []
        for _ in range(80):
            hard = dice.random() < 0.5
            hits.append((dice.random() < (0.3 if hard else 0.95), dice.random() < (0.3 if hard else 0.95)))
        called += paired_share("recall", hits).low > 0
    assert called / 2000 < 0.035
