"""The gate between scikit-learn and a compiled kernel: the same answers on given rows and on rows made to break it."""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray

from canario.errors import KernelError
from canario.kernel.kernel import Columns, Kernel, rows_from, rows_of
from canario.kernel.nodes import NotConvertible
from canario.kernel.predictions import Predictions
from canario.kernel.trials import rows_outside, rows_within
from canario.model.card import Card, Task

TOLERANCE = 1e-9
"""The largest allowed difference: of a probability as it is, of a value as a share of it (or of the median, if larger).

Sums of doubles in another order differ by about 1e-16 times their terms; a single step through float32 shows as 1e-7, and
could differ by more on rows that nobody tried.
"""

BATCHES = (1, 7, 64)
"""The sizes of batches in which a row's answer is compared with its answer among all."""


def prove_equal(card: Card, original: Kernel, compiled: Kernel, given: Columns, splits: NDArray[np.float64]) -> str:
    """Compare two kernels' answers on the given rows and on rows made from them; say in words what was proved.

    Raises NotConvertible when an answer differs, or when the original refuses a row that the card allows.
    """
    made = rows_within(card, given, splits)
    largest = 0.0
    for what, rows in (("given rows", given), ("rows at the edges", made)):
        try:
            expected = original.predict(rows)
        except KernelError as refused:
            raise NotConvertible(f"scikit-learn refuses some {what}, which the card allows: {refused}") from refused
        largest = max(largest, _compare(card, expected, compiled.predict(rows), what))
    for row in rows_outside(card, given):
        with contextlib.suppress(KernelError):
            _compare(card, original.predict(row), compiled.predict(row), "words that training has not seen")
    return (
        f"equal to scikit-learn on {rows_of(given)} given rows and on {rows_of(made)} rows at the edges"
        f" (largest difference {largest:.1g})"
    )


def _compare(card: Card, expected: Predictions, found: Predictions, what: str) -> float:
    """The largest difference. Raises NotConvertible when a label differs, or an answer by more than rounding."""
    if card.label.task is Task.REGRESSION:
        size = np.abs(expected.scores)
        distance = np.abs(found.scores - expected.scores) / np.maximum(size, np.median(size) or 1.0)
        wrong = distance > TOLERANCE
    else:
        distance = np.abs(_answers(found) - _answers(expected)).max(axis=1)
        wrong = (expected.labels != found.labels) | (distance > TOLERANCE)
    if wrong.any():
        raise NotConvertible(
            f"{wrong.sum()} of {len(wrong)} {what} are answered differently, by up to {distance.max():.2g}"
        )
    return float(distance.max())


def depends_on_batch(kernel: Kernel, columns: Columns) -> bool:
    """Whether a row's answers alone, in small batches and among all differ in any bit.

    A part that the model fails on has no answer to compare.
    """
    whole = _bits(kernel.predict(columns))
    for size in BATCHES:
        for start in range(0, rows_of(columns), size):
            with contextlib.suppress(KernelError):
                part = _bits(kernel.predict(rows_from(columns, start, start + size)))
                if part != whole[start : start + size]:
                    return True
    return False


def _bits(predictions: Predictions) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(_answers(predictions))]


def _answers(predictions: Predictions) -> NDArray[np.float64]:
    return predictions.scores if predictions.probabilities is None else predictions.probabilities
