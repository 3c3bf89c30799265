"""How many false alarms a model may give, and what each column's part of them says about a limit.

A column is looked at all day, and a model has many columns; so each look at each column may err only with a tiny chance. By
the union bound the chances add up to at most the budget, however the looks hang together: windows that overlap, columns
that move alike.
"""

from __future__ import annotations

from functools import lru_cache
from math import erfc, exp, lgamma, log, sqrt

ALARMS_PER_DAY = 0.001
"""For all columns of a model together: one false alarm in a thousand days."""
LOOKS_PER_DAY = 4 * 4 * 60 * 24
"""Every 15 seconds, at four lengths of window."""


def chance_per_look(
    columns: int, alarms_per_day: float = ALARMS_PER_DAY, looks_per_day: float = LOOKS_PER_DAY
) -> float:
    """The chance with which one look at one column may raise a false alarm."""
    return alarms_per_day / (looks_per_day * max(1, columns))


def quantile(
    bins: int, columns: int, alarms_per_day: float = ALARMS_PER_DAY, looks_per_day: float = LOOKS_PER_DAY
) -> float:
    """The chi-square quantile at a column's part of the budget: (1/n + 1/m) times this is what chance alone may reach.

    `bins` are all that the column has, "other" and "null" included; `columns` all that share the budget.
    """
    return chi_square_quantile(bins - 1, chance_per_look(columns, alarms_per_day, looks_per_day))


@lru_cache
def chi_square_quantile(freedom: int, chance: float) -> float:
    """The value that a chi-square variable of so many degrees of freedom exceeds with this chance; 0 without freedom.

    By bisection: serving images have no scipy, and the tail of a whole number of degrees is a finite sum.
    """
    if freedom < 1:
        return 0.0
    low, high = 0.0, 1.0
    while chi_square_tail(freedom, high) > chance:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chi_square_tail(freedom, middle) > chance else (low, middle)
    return high


def chi_square_tail(freedom: int, value: float) -> float:
    """The chance that a chi-square variable exceeds a value (Abramowitz and Stegun, 26.4.4 and 26.4.5)."""
    if value <= 0:
        return 1.0
    half = value / 2
    is_odd = freedom % 2
    first = 0.5 if is_odd else 0.0
    total = erfc(sqrt(half)) if is_odd else 0.0
    return total + sum(exp((first + i) * log(half) - half - lgamma(first + i + 1)) for i in range(freedom // 2))
