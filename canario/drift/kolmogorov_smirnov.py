"""The Kolmogorov-Smirnov distance on bins: the largest difference between the two shares of rows below any edge (0 to 1).

On bins it is at most what it would be on the values themselves, so a limit for values holds for it as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from canario.drift.detector import counts_of


@dataclass(frozen=True, slots=True)
class KolmogorovSmirnov:
    """The distance as a detector."""

    name: str = "Kolmogorov-Smirnov"
    needs_order: bool = True

    def distance(self, reference: Sequence[int], now: Sequence[int]) -> float:
        """The largest difference of the cumulative shares."""
        before, after = counts_of(reference, now)
        difference = np.cumsum(after / after.sum()) - np.cumsum(before / before.sum())
        return float(np.abs(difference).max())

    def chance_limit(self, reference: Sequence[int], rows: int, chance: float) -> float:
        """By Dvoretzky, Kiefer and Wolfowitz for two samples, with the constant e, which is safe for few rows too (Wei, Dudley 2012)."""
        return sqrt((1 - log(chance)) / 2 * (1 / rows + 1 / sum(reference)))
