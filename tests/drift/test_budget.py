"""What the budget of false alarms promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from canario.drift.budget import chance_per_look, chi_square_quantile, chi_square_tail, quantile


@given(st.integers(1, 120), st.floats(1e-12, 0.5))
def test_the_quantile_is_the_one_of_the_tables(freedom: int, chance: float) -> None:
    """A limit computed without scipy, as in a lean image, is the one that scipy gives."""
    assert chi_square_quantile(freedom, chance) == pytest.approx(chi2.isf(chance, freedom), rel=1e-9)
    assert chi_square_tail(freedom, chi_square_quantile(freedom, chance)) == pytest.approx(chance, rel=1e-6)


@given(st.integers(1, 1000), st.floats(1e-6, 1), st.integers(1, 100_000))
def test_all_columns_share_one_budget(columns: int, alarms_per_day: float, looks_per_day: int) -> None:
    """However many columns and looks there are, the chances of all looks of a day add up to the budget."""
    chance = chance_per_look(columns, alarms_per_day, looks_per_day)
    assert chance * columns * looks_per_day == pytest.approx(alarms_per_day)


def test_more_columns_make_a_limit_stricter_by_little() -> None:
    """Ten times as many columns raise the limit of each by less than a tenth: a budget over all columns is cheap."""
    assert quantile(11, 10) < quantile(11, 100) < 1.1 * quantile(11, 10)
    assert quantile(1, 10) == 0
