"""Figures of quality: right against a recount, with intervals that keep their promise, from sums that add up in any order."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.model.card import Label, Task
from canario.model.feedback import LabelledPrediction
from canario.model.quality import ScoreBin, Tally
from canario.quality import differs, measure, scores_of_tally, tally_of
from canario.quality.cells import Cell, cell_of, tally_of_cells
from canario.quality.intervals import calibration_error, mean_interval, wilson
from canario.quality.measures import series_name

FRAUD = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
IRIS = Label(name="species", task=Task.CLASSIFICATION, classes=("a", "b", "c"))
RENT = Label(name="rent", task=Task.REGRESSION, unit="EUR", tolerance_percent=20.0)


def labelled(label: str | float, truth: str | float, score: float = 0.5) -> LabelledPrediction:
    """One labelled answer."""
    return LabelledPrediction(
        prediction="v1.r.0",
        version="v1",
        at_seconds=1.0,
        label=label,
        score=score,
        values={},
        truth=truth,
        truth_at_seconds=2.0,
    )


def rows_of(label: Label) -> st.SearchStrategy[list[LabelledPrediction]]:
    """Labelled answers of a label."""
    if label.task is Task.REGRESSION:
        amount = st.floats(0.0, 1e6)
        return st.lists(st.builds(labelled, amount, amount), max_size=60)
    word = st.sampled_from(label.classes)
    return st.lists(st.builds(labelled, word, word, st.floats(0.0, 1.0)), max_size=60)


def test_two_classes_by_hand() -> None:
    """Of ten frauds eight were caught, two alarms were false: recall 0.8, precision 0.8, accuracy 0.96."""
    rows = (
        [labelled("fraud", "fraud", 0.9)] * 8
        + [labelled("clean", "fraud", 0.1)] * 2
        + [labelled("fraud", "clean", 0.9)] * 2
        + [labelled("clean", "clean", 0.1)] * 88
    )
    scores = {score.name: score for score in measure(FRAUD, rows)}
    assert (scores["recall"].value, scores["recall"].rows) == (0.8, 10)
    assert (scores["precision"].value, scores["precision"].rows) == (0.8, 10)
    assert (scores["accuracy"].value, scores["accuracy"].rows) == (0.96, 100)
    # In the bin of 0.9 8 of 10 were frauds, in that of 0.1 2 of 90.
    assert scores["calibration error"].value == pytest.approx((10 * 0.1 + 90 * (0.1 - 2 / 90)) / 100)


def test_what_cannot_be_said_is_left_out() -> None:
    """Without frauds there is no recall, without alarms no precision, and without labels nothing: never a made-up 0 or 1."""
    assert measure(FRAUD, []) == ()
    assert [score.name for score in measure(FRAUD, [labelled("clean", "clean")])] == ["accuracy", "calibration error"]
    assert [score.name for score in measure(IRIS, [labelled("a", "b")])] == ["accuracy"]
    assert [score.name for score in measure(RENT, [labelled(1.0, 2.0)])] == ["mean absolute error", "within 20 %"]


@pytest.mark.parametrize("label", [FRAUD, IRIS, RENT])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_sums_add_up_in_any_order(label: Label, data: st.DataObject) -> None:
    """Cohorts taken together say what their rows say together, however they were parted and mixed."""
    rows = data.draw(rows_of(label))
    cut = data.draw(st.integers(0, len(rows)))
    mixed = list(rows)
    random.Random(data.draw(st.integers(0, 99))).shuffle(mixed)
    together = tally_of(label, mixed[:cut]) + tally_of(label, mixed[cut:])
    whole = tally_of(label, rows)
    assert (together.labelled, together.right, together.positives, together.alarms, together.caught) == (
        whole.labelled,
        whole.right,
        whole.positives,
        whole.alarms,
        whole.caught,
    )
    assert together.error_sum == pytest.approx(whole.error_sum)
    assert [each.rows for each in together.bins] == [each.rows for each in whole.bins]
    assert Tally() + whole == whole


@pytest.mark.parametrize("label", [FRAUD, IRIS, RENT])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_figures_are_those_of_a_recount(label: Label, data: st.DataObject) -> None:
    """Every figure is what numpy says over the rows, and lies within its own interval."""
    rows = data.draw(rows_of(label))
    scores = {score.name: score for score in measure(label, rows)}
    for score in scores.values():
        assert score.low <= score.value <= score.high
    if not rows:
        return
    wrong = np.array([differs(label, row.label, row.truth) for row in rows])
    if label is RENT:
        errors = np.array([abs(float(row.label) - float(row.truth)) for row in rows])
        assert scores["mean absolute error"].value == pytest.approx(errors.mean())
        assert scores["within 20 %"].value == pytest.approx(1 - wrong.mean())
        return
    assert scores["accuracy"].value == pytest.approx(1 - wrong.mean())
    if label is FRAUD and "recall" in scores:
        truth = np.array([row.truth == "fraud" for row in rows])
        assert scores["recall"].value == pytest.approx(1 - wrong[truth].mean())


@given(rows=rows_of(FRAUD), number=st.integers(0, 59), truth=st.sampled_from(FRAUD.classes))
@settings(max_examples=60, deadline=None)
def test_a_truth_can_be_taken_back(rows: list[LabelledPrediction], number: int, truth: str) -> None:
    """After a correction the sums are as if the first truth had never been there."""
    if not rows:
        return
    corrected = rows[number % len(rows)]
    cells = [cell_of(FRAUD, row.label, row.score, row.truth) for row in rows]
    cells += [
        cell_of(FRAUD, corrected.label, corrected.score, corrected.truth).taken_back(),
        cell_of(FRAUD, corrected.label, corrected.score, truth),
    ]
    after = [row for row in rows if row is not corrected] if rows.count(corrected) == 1 else None
    found = tally_of_cells(FRAUD, cells)
    assert found.labelled == len(rows)
    if after is not None:
        expected = tally_of(FRAUD, [*after, labelled(corrected.label, truth, corrected.score)])
        assert (found.right, found.positives, found.caught) == (expected.right, expected.positives, expected.caught)


@pytest.mark.parametrize(("share", "rows"), [(0.75, 60), (0.02, 200), (0.5, 20)])
def test_wilson_keeps_its_promise(share: float, rows: int) -> None:
    """About 95 of 100 intervals hold the share that the rows were drawn with, near 0 as well."""
    chance = np.random.default_rng(1)
    held = 0
    for hits in chance.binomial(rows, share, 2000):
        low, high = wilson(int(hits), rows)
        held += low <= share <= high
    assert 0.93 <= held / 2000 <= 0.985
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_interval_of_a_mean_keeps_its_promise() -> None:
    """The same for a mean absolute error, though errors are skewed."""
    chance = np.random.default_rng(2)
    held = 0
    for _ in range(2000):
        errors = chance.exponential(40.0, 100)
        low, high = mean_interval(float(errors.sum()), float((errors**2).sum()), 100)
        held += low <= 40.0 <= high
    assert 0.92 <= held / 2000 <= 0.97
    assert mean_interval(3.0, 9.0, 1) == (0.0, math.inf)


def test_the_calibration_error_of_a_miscalibrated_model_is_found() -> None:
    """A model that says 0.3 where it should say 0.5 is 0.2 off, and the interval says so; a calibrated one is near 0."""
    chance = np.random.default_rng(3)
    for offset, low, high in ((0.2, 0.15, 0.25), (0.0, 0.0, 0.05)):
        bins = []
        for place in range(10):
            scores = chance.uniform(place / 10, (place + 1) / 10, 500)
            truths = chance.random(500) < np.clip(scores + offset * (scores < 0.8), 0, 1)
            bins.append(ScoreBin(500, float(scores.sum()), int(truths.sum())))
        error, lower, upper = calibration_error(bins)
        assert low <= error <= high
        assert lower <= error <= upper


def test_scores_at_the_edges_have_a_bin() -> None:
    """A score of exactly 0 or 1 is counted like every other."""
    cells = [cell_of(FRAUD, "fraud", score, "fraud") for score in (0.0, 1.0, 0.999999)]
    assert [cell.cell // 4 for cell in cells] == [0, 9, 9]
    assert scores_of_tally(FRAUD, tally_of_cells(FRAUD, [Cell(3, 0)])) == ()
    assert series_name("mean absolute error") == "mean-absolute-error"
