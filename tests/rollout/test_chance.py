"""The arithmetic behind the judge is the textbook's, at every size, and keeps its promise when it is read after every event."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from canario.rollout.chance import events_to_prove_below, log_e_above, log_e_below, lower_bound, upper_bound

SHARES = st.floats(0.001, 0.999)
EVENTS = st.integers(0, 3000)


def exact_e_above(bad: int, good: int, share: Fraction) -> Fraction:
    """The e-value in whole numbers: the incomplete beta function of whole numbers is a binomial sum."""
    n = bad + good + 1
    tail = sum((math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(bad + 1)), Fraction(0))
    beta = Fraction(math.factorial(bad) * math.factorial(good), math.factorial(n))
    return beta * tail / (1 - share) / (share**bad * (1 - share) ** good)


@pytest.mark.parametrize("share", [Fraction(1, 100), Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
@pytest.mark.parametrize(
    ("bad", "good"), [(0, 0), (1, 0), (0, 1), (4, 0), (3, 17), (0, 400), (60, 400), (400, 3), (150, 700)]
)
def test_e_values_are_exact(bad: int, good: int, share: Fraction) -> None:
    """The e-value agrees with exact arithmetic to nine digits, where the tail is tiny too."""
    exact = exact_e_above(bad, good, share)
    expected = math.log(exact.numerator) - math.log(exact.denominator)
    assert log_e_above(bad, good, float(share)) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert log_e_below(good, bad, float(1 - share)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(bad=EVENTS, good=EVENTS, share=SHARES)
@settings(deadline=None)
def test_e_values_agree_with_scipy(bad: int, good: int, share: float) -> None:
    """The e-value is the ratio of scipy's incomplete beta function to the likelihood, wherever scipy has the digits."""
    tail = stats.beta.sf(share, bad + 1, good + 1)
    if tail > 1e-200:
        expected = special.betaln(bad + 1, good + 1) + math.log(tail) - math.log1p(-share)
        expected -= bad * math.log(share) + good * math.log1p(-share)
        assert log_e_above(bad, good, share) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_millions_of_events_are_no_trouble() -> None:
    """Ten million events give a finite e-value, at either side of the share and right on it."""
    for bad in (0, 10_000, 100_000, 9_000_000):
        good = 10_000_000 - bad
        for share in (0.001, 0.01, 0.5):
            assert math.isfinite(log_e_above(bad, good, share))
            assert math.isfinite(log_e_below(bad, good, share))


def test_four_bad_events_of_the_candidate_alone_are_enough() -> None:
    """At a weight of 10 % and alpha 0.001 the fourth bad event decides when stable has none, as the research computed."""
    assert log_e_above(3, 0, 0.1) < math.log(1000) <= log_e_above(4, 0, 0.1)


@given(bad=st.integers(0, 200), good=st.integers(0, 5000), doubt=st.sampled_from([0.001, 0.025, 0.05, 0.3]))
@settings(deadline=None, max_examples=60)
def test_bounds_enclose_what_was_seen(bad: int, good: int, doubt: float) -> None:
    """The share that was seen always lies between the bounds, and a smaller doubt never brings them closer."""
    seen = bad / (bad + good) if bad + good else 0.0
    low, high = lower_bound(bad, good, doubt), upper_bound(bad, good, doubt)
    assert 0 <= low <= seen <= high <= 1
    assert lower_bound(bad, good, doubt / 10) <= low + 1e-6
    assert upper_bound(bad, good, doubt / 10) >= high - 1e-6


@given(bad=st.integers(0, 50), good=st.integers(0, 2000), low=SHARES, high=SHARES)
@settings(deadline=None)
def test_a_higher_allowance_is_harder_to_exceed(bad: int, good: int, low: float, high: float) -> None:
    """Evidence of more than a share never grows with the share, which is why a limit that is only bounded may be used."""
    low, high = min(low, high), max(low, high)
    assert log_e_above(bad, good, high) <= log_e_above(bad, good, low) + 1e-7


def test_no_events_bound_nothing() -> None:
    """Without events the share may be anything from 0 to 1."""
    assert (lower_bound(0, 0, 0.05), upper_bound(0, 0, 0.05)) == (0.0, 1.0)
    assert upper_bound(5, 0, 0.05) == 1.0


def test_bounds_hold_at_every_moment_at_once() -> None:
    """Looked at after each of 2,000 events, in 2,000 sequences, the bounds leave out the truth in no more than the doubt (seed 7)."""
    dice, doubt, share, outside = random.Random(7), 0.1, 0.05, 0
    for _ in range(2000):
        bad = 0
        for n in range(1, 2001):
            is_bad = dice.random() < share
            bad += is_bad
            # Evidence that the share is higher peaks after a bad event, evidence that it is lower before one.
            if is_bad and max(log_e_above(bad, n - bad, share), log_e_below(bad - 1, n - bad, share)) >= -math.log(
                doubt / 2
            ):
                outside += 1
                break
    assert outside <= stats.binom.ppf(0.99, 2000, doubt)
    assert outside > 20, "a test that never fires has no sight"


@pytest.mark.parametrize(
    ("rate", "share", "doubt"), [(0.0, 0.01, 0.025), (0.001, 0.011, 0.025), (0.05, 0.06, 0.025), (0.0, 0.5, 0.05)]
)
def test_the_forecast_of_a_proof_is_right(rate: float, share: float, doubt: float) -> None:
    """So many events as are forecast do prove the share, and three quarters of them do not."""
    needed = events_to_prove_below(rate, share, doubt)
    assert needed is not None
    assert upper_bound(needed * rate, needed * (1 - rate), doubt) <= share
    fewer = 0.75 * needed
    assert upper_bound(fewer * rate, fewer * (1 - rate), doubt) > share


def test_what_cannot_be_proved_has_no_forecast() -> None:
    """A rate at or above the share is never proved to lie below it."""
    assert events_to_prove_below(0.02, 0.01, 0.05) is None
    assert events_to_prove_below(0.01, 0.01, 0.05) is None
    assert events_to_prove_below(0.0, 1e-15, 0.05) is None


@pytest.mark.parametrize(
    ("bad", "good", "share"),
    [(-1, 0, 0.1), (0, -1, 0.1), (0, 0, 0.0), (0, 0, 1.0), (0, 0, math.nan), (math.inf, 0, 0.5)],
)
def test_nonsense_is_refused(bad: float, good: float, share: float) -> None:
    """Negative counts, and shares that leave no room on one side, are a ValueError instead of a figure."""
    with pytest.raises(ValueError, match="no e-value"):
        log_e_above(bad, good, share)
