"""What a kernel answers, and the one rule that turns probabilities into a label; no kernel has a rule of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canario.errors import KernelError
from canario.model.card import Card, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The answers to n rows."""

    labels: NDArray[np.object_] | NDArray[np.float64]
    """[n]: the word of the answered class (str), or the value of a regression (float64)."""
    scores: NDArray[np.float64]
    """[n]: two classes: the probability of the second; more: that of the answered one; regression: the value."""
    probabilities: NDArray[np.float64] | None
    """[n, classes], in the order of the card's classes; None for a regression."""


def predictions_of(card: Card, answers: NDArray[np.float64]) -> Predictions:
    """Read a model's raw answers, [n, classes] probabilities or [n] or [n, 1] values, as the card says.

    Raises KernelError when there are more or fewer, or when one is not a finite number.
    """
    width = 1 if card.label.task is Task.REGRESSION else len(card.label.classes)
    if answers.size != len(answers) * width:
        raise KernelError(f"the model answers with {answers.shape[1:]} numbers a row, not with {width}")
    if not np.isfinite(answers).all():
        raise KernelError(
            "the model's answer is not a finite number",
            hint="a missing or very large value may have reached a model that cannot take it",
        )
    if card.label.task is Task.REGRESSION:
        values = answers.reshape(-1)
        return Predictions(labels=values, scores=values, probabilities=None)
    classes = np.array(card.label.classes, dtype=object)
    if len(classes) == 2:
        scores = np.ascontiguousarray(answers[:, 1])
        chosen = (scores >= card.label.threshold).astype(np.intp)
    else:
        chosen = answers.argmax(axis=1)
        scores = answers.max(axis=1)
    return Predictions(labels=classes[chosen], scores=scores, probabilities=answers)
