"""The population stability index: how far the shares of the bins have moved, on a scale that credit risk has used for decades.

    PSI = sum over bins of (p - q) * ln(p / q),    share = (rows in the bin + 0.5) / (rows + 0.5 * bins)

Half a row in each bin keeps an empty one finite. Without drift PSI is about (1/n + 1/m) times a chi-square variable of one
degree less than there are bins (Yurdakul 2018), for n rows now and m of the reference; so the fixed 0.1 of the textbooks
cries for a few hundred rows and sleeps over a million. The same is computed by Prometheus from the servers' counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canario.drift.budget import chi_square_quantile
from canario.drift.detector import counts_of

MATERIAL = 0.1
"""Less does not matter to anybody, however many rows prove it: the lower of the textbooks' two marks."""
ADDED_TO_EACH_BIN = 0.5


@dataclass(frozen=True, slots=True)
class PopulationStability:
    """PSI as a detector."""

    name: str = "PSI"
    needs_order: bool = False

    def distance(self, reference: Sequence[int], now: Sequence[int]) -> float:
        """The PSI."""
        before, after = counts_of(reference, now)
        return float(psi(before, after))

    def chance_limit(self, reference: Sequence[int], rows: int, chance: float) -> float:
        """The chi-square quantile at this chance, for these numbers of rows."""
        return chance_limit(sum(reference), rows, chi_square_quantile(len(reference) - 1, chance))


def psi(reference: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """The PSI of counts whose last axis is the bins; other axes are computed side by side."""
    before, after = _shares(reference), _shares(now)
    return np.asarray(((after - before) * np.log(after / before)).sum(axis=-1), dtype=np.float64)


def chance_limit(reference_rows: float, rows: float, quantile: float) -> float:
    """What chance alone explains, given the quantile of the alarm budget (budget.quantile)."""
    return (1 / rows + 1 / reference_rows) * quantile


def excess(value: float, reference_rows: float, rows: float, bins: int) -> float:
    """A PSI less what is expected without drift, so that columns with many bins or few rows do not look worse than others."""
    return value - (bins - 1) * (1 / rows + 1 / reference_rows)


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    bins = counts.shape[-1]
    rows = counts.sum(axis=-1, keepdims=True)
    return np.asarray((counts + ADDED_TO_EACH_BIN) / (rows + ADDED_TO_EACH_BIN * bins), dtype=np.float64)
