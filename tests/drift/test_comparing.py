"""What comparing counted rows with a reference promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.drift.comparing import FEWEST_ROWS, Span, compare, rows_needed
from canario.drift.counting import RowCounter
from canario.drift.psi import MATERIAL, chance_limit
from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.model.drift import DriftReport, DriftVerdict
from canario.model.reference import Reference, Spread
from canario.model.version import VersionName

CARD = Card(
    name="toy",
    title="",
    columns=(
        Column(name="amount", kind=ColumnKind.NUMBER),
        Column(name="country", kind=ColumnKind.CATEGORY, categories=("PT", "ES")),
        Column(name="text", kind=ColumnKind.TEXT),
    ),
    label=Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"), threshold=0.5),
)
REFERENCE = Reference(
    columns={
        "amount": Spread(edges=(10.0, 20.0), counts=(7000, 7000, 6000)),
        "country": Spread(words=("PT", "ES"), counts=(16_000, 4_000)),
        "text": Spread(edges=(6.0,), counts=(10_000, 10_000), vocabulary=("shop", "market"), judged_rows=20_000),
    },
    scores=Spread(edges=(0.1, 0.5), counts=(4500, 400, 100)),
    positives=(5, 20, 90),
    importances={"amount": 0.2, "country": 0.7, "text": 0.1},
)


def report(rows: int, seed: int = 0, *, dearer_from: int | None = None, strange: int = 0) -> DriftReport:
    """The report on rows of the reference's kind, a second apart; from one on amounts are higher."""
    random = np.random.default_rng(seed)
    counter = RowCounter(CARD, REFERENCE, 10.0)
    for place in range(rows):
        cheap = dearer_from is None or place < dearer_from
        amount = float(random.choice([5, 15, 25], p=(0.35, 0.35, 0.3) if cheap else (0.1, 0.3, 0.6)))
        word = "novel" if place < strange else ("market" if random.random() < 0.5 else "shop")
        score = float(random.choice([0.05, 0.2, 0.9], p=(0.9, 0.08, 0.02)))
        country = "PT" if random.random() < 0.8 else "ES"
        counter.add(float(place), {"amount": amount, "country": country, "text": word}, score)
    return compare(VersionName(model="toy", tag="v1"), CARD, REFERENCE, counter, Span(0.0, float(rows)))


def test_rows_like_the_reference_have_not_drifted() -> None:
    """Rows of the same kind are as before, in every column, and the estimated recall is about the reference's."""
    found = report(3_000)
    assert {each.verdict for each in (*found.columns, found.scores)} == {DriftVerdict.NONE}
    assert sum(found.scores.rows) == found.rows == 3_000
    recall = found.estimated[0]
    assert recall.reference == pytest.approx(90 / 115)
    assert recall.low <= recall.reference <= recall.high


def test_a_shift_is_told_with_its_beginning_and_stands_first() -> None:
    """Amounts that rise after 3,000 of 6,000 rows stand first, though the countries weigh more, with the time when it began."""
    found = report(6_000, dearer_from=3_000)
    first = found.columns[0]
    assert (first.name, first.verdict) == ("amount", DriftVerdict.DRIFT)
    assert first.drifting_since_seconds == pytest.approx(3_000, abs=310)
    assert [each.name for each in found.columns if each.verdict is DriftVerdict.DRIFT] == ["amount"]


def test_a_shift_that_a_long_time_hides_is_told_by_its_last_rows() -> None:
    """A tenth of the rows have moved: over all of them too little to matter, over the last ones a clear drift."""
    found = report(10_000, dearer_from=9_000)
    amount = found.columns[0]
    assert amount.psi is not None
    assert amount.psi < MATERIAL
    assert amount.verdict is DriftVerdict.DRIFT


def test_new_words_are_drift() -> None:
    """Twenty texts with a new word among 3,000 are told, with the evidence and its limit."""
    text = next(each for each in report(3_000, strange=20).columns if each.name == "text")
    assert text.verdict is DriftVerdict.DRIFT
    assert text.new_words is not None
    assert text.new_words.rows == 20
    assert text.new_words.evidence > text.new_words.evidence_limit


def test_too_few_rows_say_how_many_more() -> None:
    """With 100 rows nothing is said of any column but how many more it takes, and with so many more it is said."""
    few = report(100)
    assert {each.verdict for each in few.columns} == {DriftVerdict.NOT_ENOUGH_ROWS}
    more = max(each.more_rows or 0 for each in (*few.columns, few.scores))
    enough = report(100 + more)
    assert {each.verdict for each in (*enough.columns, enough.scores)} == {DriftVerdict.NONE}
    nothing = report(0)
    assert all(each.psi is None and each.more_rows and each.more_rows >= FEWEST_ROWS for each in nothing.columns)


@given(st.floats(1, 200), st.integers(10, 10**6))
def test_the_rows_that_are_needed_are_enough(quantile: float, reference_rows: int) -> None:
    """With so many rows chance explains no more than what matters, or than twice what a small reference leaves to chance."""
    rows = rows_needed(quantile, reference_rows)
    limit = max(MATERIAL, 2 * quantile / reference_rows)
    assert chance_limit(reference_rows, rows, quantile) <= limit * (1 + 1e-9)


@given(st.lists(st.floats(0, 1000), max_size=200), st.integers(1, 50), st.integers(1, 10))
def test_slices_hold_rows_in_order_and_none_twice(times: list[float], fewest: int, most: int) -> None:
    """Slices follow each other, have rows enough, and hold all rows when there are enough for one."""
    counter = RowCounter(CARD, REFERENCE, 7.0)
    for at in times:
        counter.add(at, {"amount": 1.0, "country": "PT", "text": "shop"}, 0.2)
    slices = counter.slices(fewest, most)
    assert all(each.rows >= fewest for each in slices)
    assert [each.begins_at_seconds for each in slices] == sorted(each.begins_at_seconds for each in slices)
    assert sum(each.rows for each in slices) == (len(times) if len(times) >= fewest else 0)
    assert len(slices) <= most + 1
