"""What alarms over time and the order of columns promise."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from canario.drift.hysteresis import Alarm, Patience
from canario.drift.ranking import ranked

PATIENCE = Patience(looks_to_ring=2, looks_to_rest=3, rest_share=0.8)


def ringing(distances: list[float]) -> list[bool]:
    alarm, states = Alarm(), []
    for distance in distances:
        alarm = alarm.look(distance, 0.1, PATIENCE)
        states.append(alarm.is_ringing)
    return states


def test_one_look_rings_no_bell() -> None:
    """An alarm takes two looks in a row above the limit, and ends after three in a row well below it."""
    assert ringing([0.2, 0.05, 0.2, 0.2]) == [False, False, False, True]
    assert ringing([0.2, 0.2, 0.01, 0.01, 0.09, 0.01, 0.01, 0.01]) == [False, True, True, True, True, True, True, False]


@given(st.lists(st.floats(0.081, 0.119), min_size=2, max_size=50))
def test_a_distance_near_its_limit_does_not_flutter(distances: list[float]) -> None:
    """Around the limit an alarm changes at most once: it may begin, and then it stays."""
    states = ringing(distances)
    assert sum(before != after for before, after in itertools.pairwise(states)) <= 1


@given(st.dictionaries(st.text(min_size=1), st.floats(-1, 10), min_size=1))
def test_without_importances_the_furthest_moved_comes_first(excess: dict[str, float]) -> None:
    """Every column is ranked once, and an unknown importance leaves the order to the excess."""
    order = list(ranked(excess, {}))
    assert sorted(order) == sorted(excess)
    assert [excess[name] for name in order] == sorted(excess.values(), reverse=True)


def test_a_column_that_moves_the_scores_comes_first() -> None:
    """A column that moved half as far and moves the scores ten times as much stands first."""
    assert list(ranked({"far": 0.4, "felt": 0.2, "still": 0.0}, {"far": 0.05, "felt": 0.5, "still": 0.45})) == [
        "felt",
        "far",
        "still",
    ]
