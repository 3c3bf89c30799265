"""Figures of quality with 95 % intervals, on rows whose truth is known; what is good enough is not said here.

Shares (recall, precision, accuracy, within tolerance): Wilson's score interval (Wilson 1927), which holds for few rows too.
Everything else: the percentile bootstrap over rows (Efron 1979), 200 resamples, seeded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.kernel.predictions import Predictions
from canario.model.card import Card, Task
from canario.model.version import Score
from canario.quality.intervals import wilson

RESAMPLES = 200

Numbers = NDArray[np.float64]


def scores_of(card: Card, truth: NDArray[Any], predictions: Predictions) -> tuple[Score, ...]:
    """The scores that fit the card's task; empty when there are no rows.

    Two classes: recall and precision at the threshold, average precision, ROC AUC, Brier, of the second class.
    More classes: accuracy. Regression: share within the tolerance, mean absolute error.
    """
    if not len(truth):
        return ()
    if card.label.task is Task.REGRESSION:
        return _regression(card, truth.astype(np.float64), predictions.scores)
    if len(card.label.classes) > 2:
        return (_share("accuracy", truth == predictions.labels),)
    return _two_classes(truth == card.label.classes[1], predictions.labels == card.label.classes[1], predictions.scores)


def _two_classes(truth: NDArray[np.bool_], answered: NDArray[np.bool_], scores: Numbers) -> tuple[Score, ...]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    figures = [
        _share("recall", answered[truth]),
        _share("precision", truth[answered]),
    ]
    if truth.any() and not truth.all():
        figures += [
            _bootstrap("average precision", average_precision_score, truth, scores),
            _bootstrap("ROC AUC", roc_auc_score, truth, scores),
        ]
    return (
        *figures,
        _bootstrap("Brier", lambda happened, said: float(np.square(happened - said).mean()), truth, scores),
    )


def _regression(card: Card, truth: Numbers, values: Numbers) -> tuple[Score, ...]:
    tolerance = np.abs(truth) * card.label.tolerance_percent / 100
    within = _share(f"within {card.label.tolerance_percent:g} %", np.abs(values - truth) <= tolerance)
    error = _bootstrap("mean absolute error", lambda a, b: float(np.abs(a - b).mean()), truth, values, card.label.unit)
    return within, error


def _share(name: str, hits: Any) -> Score:
    rows = len(hits)
    low, high = wilson(int(np.sum(hits)), rows)
    return Score(name=name, value=float(np.mean(hits)) if rows else 0.0, low=low, high=high, rows=rows)


def _bootstrap(name: str, figure: Callable[[Any, Any], float], truth: Any, scores: Any, unit: str = "") -> Score:
    random = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(truth), len(truth))
        if truth.dtype != np.bool_ or truth[rows].any():
            resampled.append(figure(truth[rows], scores[rows]))
    low, high = np.quantile(resampled or [0.0], (0.025, 0.975))
    value = float(figure(truth, scores))
    return Score(name=name, value=value, low=float(low), high=float(high), rows=len(truth), unit=unit)
