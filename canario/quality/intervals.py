"""95 % intervals of figures that are counted or averaged; each names where it is from.

Shares: Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22:209), which holds for few rows and near 0 and 1 too.
Means: the normal interval of the central limit theorem, from the sum and the sum of squares; it is for 30 rows or more.
Calibration error: the delta method over its bins, whose shares are taken as independent binomials (each smoothed with half
a row, so that a bin without positives is not certain). The error itself is a sum of absolute values and so reads a little
high on few rows (Kumar, Liang, Ma 2019, "Verified uncertainty calibration").
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

from canario.model.quality import ScoreBin

Z_95 = 1.959964
"""The 97.5 % quantile of the normal distribution."""


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share, each end from 0 to 1; (0, 1) when there are no rows."""
    if rows == 0:
        return 0.0, 1.0
    share = hits / rows
    scale = 1 + Z_95**2 / rows
    middle = (share + Z_95**2 / (2 * rows)) / scale
    reach = Z_95 / scale * sqrt(share * (1 - share) / rows + Z_95**2 / (4 * rows**2))
    # Rounding must not put the share itself outside.
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))


def mean_interval(total: float, squares: float, rows: int) -> tuple[float, float]:
    """The 95 % interval of the mean of figures of at least 0, from their sum and the sum of their squares."""
    if rows < 2:
        return 0.0, inf
    mean = total / rows
    variance = max(0.0, (squares - rows * mean * mean) / (rows - 1))
    reach = Z_95 * sqrt(variance / rows)
    return max(0.0, mean - reach), mean + reach


def calibration_error(bins: Sequence[ScoreBin]) -> tuple[float, float, float]:
    """The expected calibration error and its 95 % interval; (0, 0, 1) when there are no rows.

    By how much, over all rows on average, the share of the second class in a bin differs from the mean score there.
    """
    rows = sum(each.rows for each in bins)
    if rows == 0:
        return 0.0, 0.0, 1.0
    error = sum(abs(each.score_sum - each.positives) for each in bins) / rows
    variance = 0.0
    for each in bins:
        if each.rows:
            share = (each.positives + 0.5) / (each.rows + 1)
            variance += (each.rows / rows) ** 2 * share * (1 - share) / each.rows
    reach = Z_95 * sqrt(variance)
    return error, max(0.0, error - reach), min(1.0, error + reach)
