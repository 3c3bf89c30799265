"""What every detector promises, one contract for all, and what each says of cases with a known answer."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.drift.budget import quantile
from canario.drift.detector import Detector
from canario.drift.kolmogorov_smirnov import KolmogorovSmirnov
from canario.drift.psi import MATERIAL, PopulationStability, chance_limit, excess, psi
from canario.drift.wasserstein import Wasserstein

DETECTORS: list[Detector] = [PopulationStability(), KolmogorovSmirnov(), Wasserstein()]
every = pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)


@st.composite
def two_counts(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    bins = draw(st.integers(1, 12))
    counts = st.lists(st.integers(0, 10**9), min_size=bins, max_size=bins).filter(any)
    return draw(counts), draw(counts)


@every
@given(two_counts())
def test_a_distance_is_finite_and_looks_both_ways(detector: Detector, counts: tuple[list[int], list[int]]) -> None:
    """A distance is finite, at least 0, and the same whichever of the two comes first."""
    there, back = detector.distance(*counts), detector.distance(*counts[::-1])
    assert np.isfinite(there)
    assert there >= 0
    assert there == pytest.approx(back, abs=1e-12)


@every
@given(two_counts())
def test_nothing_has_moved_when_the_rows_are_the_same(detector: Detector, counts: tuple[list[int], list[int]]) -> None:
    """The same rows twice have no distance."""
    assert detector.distance(counts[0], counts[0]) == pytest.approx(0, abs=1e-12)


@every
@given(st.lists(st.integers(50, 10**6), min_size=2, max_size=12), st.integers(1, 9))
def test_the_further_the_rows_move_the_larger_the_distance(
    detector: Detector, reference: list[int], tenths: int
) -> None:
    """Moving more of the first bin's rows into the last one is a larger distance."""

    def moved(share: int) -> list[int]:
        rows = reference[0] * share // 10
        return [reference[0] - rows, *reference[1:-1], reference[-1] + rows]

    nearer = detector.distance(reference, moved(tenths))
    further = detector.distance(reference, moved(tenths + 1))
    assert nearer < further


@every
@given(st.lists(st.integers(1, 10**5), min_size=2, max_size=12), st.integers(10, 10**6), st.floats(1e-10, 0.01))
def test_chance_explains_less_when_there_are_more_rows(
    detector: Detector, reference: list[int], rows: int, chance: float
) -> None:
    """The limit of chance falls with every row, of now or of the reference, and rises as the chance gets smaller."""
    limit = detector.chance_limit(reference, rows, chance)
    assert 0 < detector.chance_limit(reference, rows + 1, chance) < limit
    assert detector.chance_limit([count * 2 for count in reference], rows, chance) < limit
    assert detector.chance_limit(reference, rows, chance / 2) > limit


@every
def test_equal_rows_pass_the_limit_as_rarely_as_promised(detector: Detector) -> None:
    """Of 20,000 samples from one distribution at most about 1 in 100 passes a limit for a chance of 0.01 (seed 7)."""
    random = np.random.default_rng(7)
    shares = random.dirichlet(np.full(10, 20.0))
    passed, samples = 0, 20_000
    for now, reference in zip(
        random.multinomial(800, shares, samples), random.multinomial(5_000, shares, samples), strict=True
    ):
        passed += detector.distance(reference, now) > detector.chance_limit(reference, 800, 0.01)
    assert passed / samples < 0.0115


@every
def test_what_cannot_be_compared_is_refused(detector: Detector) -> None:
    """Other bins, or no rows, are an error and never a figure."""
    with pytest.raises(ValueError, match="cannot compare"):
        detector.distance([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="cannot compare"):
        detector.distance([1, 2], [0, 0])


def test_psi_is_the_one_of_the_textbooks() -> None:
    """PSI is the sum of (p - q) ln(p / q), with half a row in each bin."""
    p, q = (60.5 / 101, 40.5 / 101), (20.5 / 101, 80.5 / 101)
    expected = sum((here - there) * log(here / there) for here, there in zip(p, q, strict=True))
    assert PopulationStability().distance([20, 80], [60, 40]) == pytest.approx(expected)
    side_by_side = psi(np.array([[20.0, 80.0], [1.0, 1.0]]), np.array([[60.0, 40.0], [1.0, 1.0]]))
    assert side_by_side == pytest.approx([expected, 0])


def test_ordered_distances_are_those_of_the_cumulative_shares() -> None:
    """Kolmogorov-Smirnov is the largest difference of the cumulative shares; Wasserstein, how far a row went on average."""
    reference, now = [25, 25, 25, 25], [0, 25, 25, 50]
    assert KolmogorovSmirnov().distance(reference, now) == pytest.approx(0.25)
    assert Wasserstein().distance(reference, now) == pytest.approx(0.25 * (0.1875 + 0.25 + 0.3125))
    everything_by_one_bin = Wasserstein().distance([0, 100, 0], [0, 0, 100])
    assert everything_by_one_bin == pytest.approx(0.5)


def test_the_limit_knows_the_rows_where_the_textbooks_do_not() -> None:
    """For 100 rows chance alone reaches more than 0.1; for 10,000 far less, and what matters decides."""
    limit = quantile(11, 12)
    assert chance_limit(20_000, 100, limit) > 0.5
    assert chance_limit(20_000, 10_000, limit) < MATERIAL / 5
    expected_by_chance = (1 / 100 + 1 / 20_000) * 10
    assert excess(expected_by_chance, 20_000, 100, 11) == pytest.approx(0)
    assert sqrt(expected_by_chance) > 0.3  # the textbooks' 0.1 would be passed by chance alone
