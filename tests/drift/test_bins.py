"""What the bins of drift promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.drift.bins import (
    NULL,
    OTHER,
    column_bins,
    count,
    placer,
    places,
    reference_rows,
    score_bins,
    score_place,
    score_places,
)
from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.model.reference import Reference, Spread

edges = st.lists(st.floats(-1e6, 1e6), max_size=9, unique=True).map(lambda found: tuple(sorted(found)))
WORDS = Spread(words=("PT", "ES"), counts=(3, 2), nulls=1)


def numbers(inner: tuple[float, ...]) -> Spread:
    return Spread(edges=inner, counts=(1,) * (len(inner) + 1))


@given(edges, st.lists(st.one_of(st.none(), st.floats(-1e7, 1e7)), min_size=1))
def test_one_number_and_many_fall_in_the_same_bins(inner: tuple[float, ...], cells: list[float | None]) -> None:
    """A server, which bins cell by cell, and a report, which bins whole columns, count alike."""
    spread = numbers(inner)
    one_by_one = [placer(ColumnKind.NUMBER, spread)(cell) for cell in cells]
    together = places(ColumnKind.NUMBER, spread, np.array([np.nan if cell is None else cell for cell in cells]))
    assert one_by_one == together.tolist()
    assert placer(ColumnKind.NUMBER, spread)(float("nan")) == column_bins(spread).index(NULL)


@given(edges, st.data())
def test_an_edge_belongs_to_the_bin_above_it(inner: tuple[float, ...], data: st.DataObject) -> None:
    """A value on an edge is in the bin that begins there, as a score at the threshold gets the second class."""
    if inner:
        place = data.draw(st.integers(0, len(inner) - 1))
        assert placer(ColumnKind.NUMBER, numbers(inner))(inner[place]) == place + 1


@given(st.lists(st.sampled_from(["PT", "ES", "XX", ""])))
def test_words_have_bins_of_their_names(cells: list[str]) -> None:
    """Each word of the card has its bin, all others share one, and a missing value is counted apart."""
    assert column_bins(WORDS) == ("PT", "ES", OTHER, NULL)
    assert reference_rows(WORDS) == (3, 2, 0, 1)
    values = np.array(cells, dtype=object)
    counted = count(ColumnKind.CATEGORY, WORDS, values)
    assert counted.tolist() == [cells.count(word) for word in ("PT", "ES", "XX", "")]
    assert [placer(ColumnKind.CATEGORY, WORDS)(cell) for cell in cells] == places(
        ColumnKind.CATEGORY, WORDS, values
    ).tolist()
    assert placer(ColumnKind.CATEGORY, WORDS)(None) == 3


@given(edges, st.lists(st.text(max_size=30)))
def test_texts_are_binned_by_their_length(inner: tuple[float, ...], cells: list[str]) -> None:
    """A text counts by its length in characters; an empty one is missing."""
    spread = numbers(inner)
    found = places(ColumnKind.TEXT, spread, np.array([*cells, ""], dtype=object))[:-1]
    assert found.tolist() == [placer(ColumnKind.TEXT, spread)(cell) for cell in cells]
    assert all((cell == "") == (place == len(inner) + 1) for cell, place in zip(cells, found, strict=True))


def test_booleans_are_numbers() -> None:
    """False and true are 0 and 1."""
    spread = numbers((1.0,))
    assert [placer(ColumnKind.BOOLEAN, spread)(cell) for cell in (False, True, None)] == [0, 1, 2]
    assert places(ColumnKind.BOOLEAN, spread, np.array([False, True])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("inner", "answers"),
    [((0.01, 0.3, 0.9), ["negative", "negative", "positive", "positive"]), ((0.01, 0.9), ["", "", ""])],
)
def test_rows_of_a_bin_of_scores_got_one_answer(inner: tuple[float, ...], answers: list[str]) -> None:
    """With the threshold among the edges each bin of scores has its answer; an old reference without it has none."""
    label = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"), threshold=0.3)
    card = Card(name="fraud", title="", columns=(Column(name="amount", kind=ColumnKind.NUMBER),), label=label)
    reference = Reference(columns={}, scores=numbers(inner))
    assert score_bins(card, reference) == tuple((str(place), answer) for place, answer in enumerate(answers))
    scores = [0.0, 0.01, 0.299, 0.3, 0.95]
    assert score_places(reference, scores).tolist() == [score_place(reference, score) for score in scores]
    if answers[0]:
        assert [answers[place] for place in score_places(reference, scores)] == ["negative"] * 3 + ["positive"] * 2


def test_no_two_bins_of_a_column_have_one_name() -> None:
    """A card may have the words "other" and "null" of its own: "other" takes the strangers in, "null" gets quotes."""
    spread = Spread(words=("other", "null"), counts=(3, 2), nulls=1)
    assert column_bins(spread) == ("other", '"null"', NULL)
    assert reference_rows(spread) == (3, 2, 1)
    values = np.array(["null", "other", "XX", ""], dtype=object)
    assert places(ColumnKind.CATEGORY, spread, values).tolist() == [1, 0, 0, 2]
    assert [placer(ColumnKind.CATEGORY, spread)(cell) for cell in values.tolist()] == [1, 0, 0, 2]
