"""The gate between scikit-learn and a compiled kernel: the same answers on given rows and on rows made to break it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from canario.kernel.kernel import Columns, Kernel, rows_from, rows_of
from canario.kernel.predictions import Predictions
from canario.model.card import Card, Task

PROBABILITY_TOLERANCE = 1e-6
"""The largest allowed difference of a probability: far below what moves a decision, far above rounding (1e-15)."""

RELATIVE_TOLERANCE = 1e-9
"""The largest allowed difference of a value, as a share of it or of the median value if that is larger.

Sums of doubles in another order differ by about 1e-16 times their terms; a single step through float32 shows as 1e-7.
"""

BATCHES = (7, 64)
"""The sizes of batches in which a row's answer is compared with its answer alone."""


def differences(card: Card, expected: Predictions, found: Predictions) -> str:
    """In words, how answers differ from the expected ones by more than rounding; empty when they do not."""
    labels = expected.labels != found.labels
    if card.label.task is Task.REGRESSION:
        size = np.abs(expected.scores)
        distance = np.abs(found.scores - expected.scores) / np.maximum(size, np.median(size) or 1.0)
        wrong = distance > RELATIVE_TOLERANCE
    else:
        distance = np.abs(_answers(found) - _answers(expected)).max(axis=1)
        wrong = labels | (distance > PROBABILITY_TOLERANCE)
    if not wrong.any():
        return ""
    return f"{wrong.sum()} of {len(wrong)} rows are answered differently, by up to {distance.max():.2g}"


def depends_on_batch(kernel: Kernel, columns: Columns) -> bool:
    """Whether a row's answer alone and in a batch differ in any bit."""
    whole = _bits(kernel.predict(columns))
    for size in (1, *BATCHES):
        for start in range(0, rows_of(columns), size):
            part = rows_from(columns, start, start + size)
            if _bits(kernel.predict(part)) != whole[start : start + size]:
                return True
    return False


def _bits(predictions: Predictions) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(_answers(predictions))]


def _answers(predictions: Predictions) -> NDArray[np.float64]:
    return predictions.scores if predictions.probabilities is None else predictions.probabilities
