"""Whose turn it is: urgent messages first, and yet everybody who waits gets a turn within a bound that is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.model.stream import Priority
from canario.stream.turns import LEAST_PASSED_OVER, Turns

ALL = frozenset(Priority)
URGENT, NORMAL, BULK = Priority

bounds = st.integers(LEAST_PASSED_OVER, 12)
histories = st.lists(st.sets(st.sampled_from(Priority)).map(frozenset), max_size=120)
"""Which classes had messages, turn by turn."""


def play(turns: Turns, history: Sequence[Collection[Priority]], *, sees_all: bool = False) -> list[Priority | None]:
    """Who was served, turn by turn; None where nobody waited. Unless it sees all it knows, as a worker, only what it tried in vain."""
    served: list[Priority | None] = []
    for waiting in history:
        order = turns.order()
        assert sorted(order) == sorted(Priority)
        chosen = next((each for each in order if each in waiting), None)
        served.append(chosen)
        if chosen is not None:
            turns.served(chosen, waiting if sees_all else order[order.index(chosen) :])
    return served


def longest_passed_over(
    priority: Priority, history: Sequence[Collection[Priority]], served: Sequence[Priority | None]
) -> int:
    longest = now = 0
    for waiting, chosen in zip(history, served, strict=True):
        now = now + 1 if priority in waiting and chosen not in (priority, None) else 0
        longest = max(longest, now)
    return longest


@given(most_passed_over=bounds, history=histories, sees_all=st.booleans())
def test_nobody_who_waits_is_passed_over_too_often(
    *, most_passed_over: int, history: list[frozenset[Priority]], sees_all: bool
) -> None:
    """Whatever comes when, a class that waits is never passed over more often in a row than was asked, also while two starve."""
    served = play(Turns(most_passed_over), history, sees_all=sees_all)
    for each in Priority:
        assert longest_passed_over(each, history, served) <= most_passed_over


def test_the_bound_holds_for_every_short_history() -> None:
    """No order of arrivals breaks the bound: all of them are tried for the smallest bounds."""
    sets = [
        frozenset(each for each, there in zip(Priority, flags, strict=True) if there)
        for flags in product((0, 1), repeat=3)
    ]
    for most_passed_over in (2, 3):
        for history in product(sets, repeat=5):
            everything = [*[ALL] * most_passed_over, *history, *[ALL] * most_passed_over]
            served = play(Turns(most_passed_over), everything)
            assert all(longest_passed_over(each, everything, served) <= most_passed_over for each in Priority)


@given(most_passed_over=bounds, history=histories, sees_all=st.booleans())
def test_urgent_keeps_its_share(*, most_passed_over: int, history: list[frozenset[Priority]], sees_all: bool) -> None:
    """Of N + 1 turns in a row for which urgent messages wait, at least N - 1 are theirs, whatever the others do."""
    served = play(Turns(most_passed_over), history, sees_all=sees_all)
    for start in range(len(history) - most_passed_over):
        window = slice(start, start + most_passed_over + 1)
        if all(URGENT in waiting for waiting in history[window]):
            assert served[window].count(URGENT) >= most_passed_over - 1


@given(histories)
def test_nobody_idles_while_something_waits(history: list[frozenset[Priority]]) -> None:
    """A class whose turn it would be, but that has nothing, keeps nobody waiting."""
    assert all(
        (chosen is None) == (not waiting) for waiting, chosen in zip(history, play(Turns(), history), strict=True)
    )


@given(bounds, st.sampled_from(Priority), st.integers(0, 60))
def test_a_class_alone_has_every_turn(most_passed_over: int, priority: Priority, past: int) -> None:
    """Nothing is held back for those who do not wait."""
    turns = Turns(most_passed_over)
    play(turns, [ALL] * past)
    assert set(play(turns, [{priority}] * 20)) == {priority}


def test_urgent_goes_first_and_bulk_advances() -> None:
    """With the default and everybody waiting: eight urgent ones, a normal one, a bulk one, and over again."""
    served = play(Turns(), [ALL] * 1000)
    assert served[:8] == [URGENT] * 8
    assert {each: served.count(each) for each in Priority} == {URGENT: 800, NORMAL: 100, BULK: 100}


def test_normal_goes_before_bulk() -> None:
    """Without urgent messages nine of ten turns are for normal ones."""
    served = play(Turns(), [{NORMAL, BULK}] * 1000)
    assert served[:9] == [NORMAL] * 9
    assert served.count(BULK) == 100


def test_waiting_is_forgotten_once_there_is_nothing() -> None:
    """A class that had nothing left begins to wait anew: it does not save up turns."""
    turns = Turns()
    play(turns, [*[{URGENT, BULK}] * 9, {URGENT}], sees_all=True)
    assert play(turns, [{URGENT, BULK}] * 10, sees_all=True) == [*[URGENT] * 9, BULK]


def test_a_bound_that_cannot_be_kept_is_refused() -> None:
    """Three classes that all wait cannot each have every second turn."""
    with pytest.raises(ValueError, match="at least 2, not 1"):
        Turns(LEAST_PASSED_OVER - 1)
