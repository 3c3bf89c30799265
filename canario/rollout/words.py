"""Figures as people read them at night: shares, points and durations; sentences are made by who knows the case."""

from __future__ import annotations

from math import exp


def percent(share: float) -> str:
    """A share (0 to 1) in percent: 0.0327 is `3.27 %`."""
    return f"{_three_digits(share * 100)} %"


def points(difference: float) -> str:
    """A difference of shares (-1 to 1) in percentage points: 0.008 is `0.8 points`."""
    figure = _three_digits(difference * 100)
    return f"{figure} {'point' if figure == '1' else 'points'}"


def seconds(duration_seconds: float) -> str:
    """A duration: `0.4 s`, `12 s`, `7 min`, `2 h 5 min`."""
    if duration_seconds < 10:
        return f"{_three_digits(round(duration_seconds, 1))} s"
    if duration_seconds < 120:
        return f"{duration_seconds:.0f} s"
    hours, minutes = divmod(round(duration_seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def odds(log_e_value: float) -> str:
    """How rare an e-value is at most, as the N of `once in N`."""
    return f"{exp(log_e_value):,.0f}" if log_e_value < 27 else "more than 10^11"


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.10g}"
