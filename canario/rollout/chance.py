"""The arithmetic of chance behind the judge: e-values and bounds that stay true however often one looks; what they mean is for the judge.

Every figure here comes from one ratio. Say that each of n events is bad with an unknown chance. Compare the chance `share`,
just allowed, with every worse chance at once, a flat mixture over (share, 1]:

    e = (average over q in (share, 1] of q^bad (1-q)^good)  /  (share^bad (1-share)^good)

If the true chance is at most `share`, whatever it is and however it moves, e is a test supermartingale: it starts at 1 and by Ville's
inequality reaches 1/alpha with a chance of at most alpha over the whole, endless sequence. So it may be read after every event.
(Robbins 1970; Lindon and Malek, NeurIPS 2022; Ramdas, Gruenwald, Vovk and Shafer, Statistical Science 2023.) The same below `share`
tests the other side, and the chances that a test does not refuse make up a confidence sequence.

The average is the incomplete beta function, so bad and good may be any real numbers >= 0: for values in [0, 1] instead of events
the sum of the values takes the place of bad, and e stays a supermartingale (q^x (1-q)^(1-x) is convex in x).
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf, lgamma, log, log1p, sqrt

_TINY = 1e-300
"""Stands for a divisor that came out as exactly 0."""
_BISECTIONS = 20
"""Leaves a millionth of uncertainty, which the bounds take to the safe side."""


@lru_cache(maxsize=1 << 18)
def log_e_above(bad: float, good: float, share: float) -> float:
    """The logarithm of the e-value against "an event is bad with a chance of at most `share`" (0 < share < 1)."""
    _check(bad, good, share)
    mixture = _log_beta(bad + 1, good + 1) + _log_tail_above(bad + 1, good + 1, share) - log1p(-share)
    return mixture - bad * log(share) - good * log1p(-share)


@lru_cache(maxsize=1 << 18)
def log_e_below(bad: float, good: float, share: float) -> float:
    """The logarithm of the e-value against "an event is bad with a chance of at least `share`" (0 < share < 1)."""
    _check(bad, good, share)
    mixture = _log_beta(bad + 1, good + 1) + _log_tail_above(good + 1, bad + 1, 1 - share) - log(share)
    return mixture - bad * log(share) - good * log1p(-share)


def upper_bound(bad: float, good: float, doubt: float) -> float:
    """The upper end of the confidence sequence for the chance of bad (0 to 1).

    The truth lies above it, at any moment at all, with a chance of at most `doubt` (0 < doubt < 1). No events: 1.
    """
    if good <= 0:
        return 1.0
    low, high = bad / (bad + good), 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if log_e_below(bad, good, middle) >= -log(doubt):
            high = middle
        else:
            low = middle
    return high


def lower_bound(bad: float, good: float, doubt: float) -> float:
    """The lower end of the confidence sequence for the chance of bad (0 to 1); the truth lies below it with at most `doubt`."""
    if bad <= 0:
        return 0.0
    low, high = 0.0, bad / (bad + good)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle < 1 and log_e_above(bad, good, middle) >= -log(doubt):
            low = middle
        else:
            high = middle
    return low


def events_to_prove_below(rate: float, share: float, doubt: float) -> int | None:
    """About how many events with a bad share of `rate` it takes until the upper bound lies below `share`.

    None when it never will (rate >= share) or only after more than 10^12.
    """
    if not 0 <= rate < share < 1:
        return None
    few, many = 0, 1
    while log_e_below(many * rate, many * (1 - rate), share) < -log(doubt):
        few, many = many, many * 2
        if many > 10**12:
            return None
    while many - few > max(1, many // 256):
        middle = (few + many) // 2
        if log_e_below(middle * rate, middle * (1 - rate), share) >= -log(doubt):
            many = middle
        else:
            few = middle
    return many


def _check(bad: float, good: float, share: float) -> None:
    if not (bad >= 0 and good >= 0 and 0 < share < 1 and bad + good < inf):
        raise ValueError(f"no e-value for {bad} bad and {good} good events at a share of {share}")


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _log_tail_above(a: float, b: float, x: float) -> float:
    """The logarithm of the part of a Beta(a, b) that lies above x, exact where that part is very small too."""
    if x > (a + 1) / (a + b + 2):
        return _log_tail_by_fraction(b, a, 1 - x)
    return log1p(-exp(_log_tail_by_fraction(a, b, x)))


def _log_tail_by_fraction(a: float, b: float, x: float) -> float:
    """The logarithm of the part of a Beta(a, b) that lies below x < (a+1)/(a+b+2), by the continued fraction.

    Modified Lentz, as in Numerical Recipes, third edition, section 6.4; it takes about sqrt(max(a, b)) rounds.
    """
    numerator, denominator = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or _TINY)
    fraction = denominator
    for m in range(1, 200 + int(20 * sqrt(max(a, b)))):
        at = a + 2 * m
        even = m * (b - m) * x / ((at - 1) * at)
        denominator = 1 / ((1 + even * denominator) or _TINY)
        numerator = (1 + even / numerator) or _TINY
        fraction *= numerator * denominator
        odd = -(a + m) * (a + b + m) * x / (at * (at + 1))
        denominator = 1 / ((1 + odd * denominator) or _TINY)
        numerator = (1 + odd / numerator) or _TINY
        change = numerator * denominator
        fraction *= change
        if abs(change - 1) < 1e-15:
            break
    return a * log(x) + b * log1p(-x) - log(a) - _log_beta(a, b) + log(fraction)
