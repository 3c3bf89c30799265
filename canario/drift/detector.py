"""What every detector of drift on bins is: a distance between two counts, and how much of it chance alone explains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Detector(Protocol):
    """Compares the rows of now with the reference's, in the same bins.

    All promise: a distance is finite and at least 0; 0 when both hold the same rows; the same whichever comes first; and
    the counts of several servers, added up, are as good as one server's.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def needs_order(self) -> bool:
        """Whether it takes only bins that lie in an order, as those of numbers do and those of words do not."""

    def distance(self, reference: Sequence[int], now: Sequence[int]) -> float:
        """How far the two lie apart. Raises ValueError when the bins differ in number or there are no rows."""

    def chance_limit(self, reference: Sequence[int], rows: int, chance: float) -> float:
        """What so many rows exceed with at most this chance when nothing has changed; falls as rows come."""


def counts_of(reference: Sequence[int], now: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as arrays. Raises ValueError when they cannot be compared."""
    before, after = np.asarray(reference, dtype=np.float64), np.asarray(now, dtype=np.float64)
    if before.shape != after.shape or not before.sum() or not after.sum():
        raise ValueError(
            f"cannot compare {after.sum():g} rows in {after.size} bins with {before.sum():g} in {before.size}"
        )
    return before, after
