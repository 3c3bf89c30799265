"""The Wasserstein distance on bins: how far a row has moved on average, as a share of the reference's rows that it has passed (0 to 1).

Distances are counted in the reference's own rows, not in the column's unit, so that columns can be compared and a long tail
counts no more than it holds: 0.1 means that the values have moved by a tenth of the reference on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from canario.drift.detector import counts_of
from canario.drift.kolmogorov_smirnov import KolmogorovSmirnov


@dataclass(frozen=True, slots=True)
class Wasserstein:
    """The normed distance as a detector."""

    name: str = "Wasserstein"
    needs_order: bool = True

    def distance(self, reference: Sequence[int], now: Sequence[int]) -> float:
        """The area between the cumulative shares, each step as wide as the rows of both in the two bins beside it."""
        before, after = counts_of(reference, now)
        before, after = before / before.sum(), after / after.sum()
        between = np.abs(np.cumsum(after) - np.cumsum(before))[:-1]
        weights = (before + after) / 2
        return float((between * (weights[:-1] + weights[1:]) / 2).sum())

    def chance_limit(self, reference: Sequence[int], rows: int, chance: float) -> float:
        """That of Kolmogorov-Smirnov: all steps together are at most 1 wide, so this distance is never the larger one."""
        return KolmogorovSmirnov().chance_limit(reference, rows, chance)
