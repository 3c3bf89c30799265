"""The scikit-learn kernel: the fitted estimator itself, made to answer small requests on one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

from canario.errors import KernelError, SignatureMismatch, UsageError
from canario.kernel.columns import frame_from_columns
from canario.kernel.kernel import Columns, row_of, rows_of
from canario.kernel.predictions import Predictions, predictions_of
from canario.model.card import Card, Task
from canario.model.version import KernelChoice

LONGEST_REASON_CHARACTERS = 200


class EstimatorKernel:
    """Answers by `predict_proba` or `predict`."""

    def __init__(self, estimator: Any, card: Card, choice: KernelChoice) -> None:
        """Take over a fitted estimator: its `n_jobs` become 1, and so do the threads of the process's linear algebra.

        Raises UsageError when it cannot answer as the card says, SignatureMismatch when its classes are others.
        """
        self.choice = choice
        self._card = card
        pools = ThreadpoolController()
        pools.limit(limits=1, user_api="blas")  # of the process: set once and for all
        self._threads = pools.select(user_api="openmp")  # of the calling thread: set at each call
        # Serving lets no NaN through where the card has no null; where it has, scikit-learn must keep looking itself.
        self._settings = {
            "assume_finite": not any(column.nullable for column in card.columns),
            "skip_parameter_validation": True,
        }
        if card.label.task is Task.REGRESSION:
            self._answer = estimator.predict
        else:
            _check_classes(estimator, card)
            self._answer = estimator.predict_proba
        _use_one_thread(estimator, seen=set())

    def predict(self, columns: Columns) -> Predictions:
        """Answer one row or more. Raises KernelError with a short reason whatever the estimator raises."""
        if not self.choice.row_by_row or rows_of(columns) == 1:
            return predictions_of(self._card, self._run(columns))
        rows = [self._run(row_of(columns, row)) for row in range(rows_of(columns))]
        return predictions_of(self._card, np.concatenate(rows))

    def _run(self, columns: Columns) -> NDArray[np.float64]:
        try:
            with sklearn.config_context(**self._settings), self._threads.limit(limits=1):
                answers = np.asarray(self._answer(frame_from_columns(self._card, columns)), dtype=np.float64)
        except Exception as failed:
            reason = f"{type(failed).__name__}: {failed}".splitlines()[0]
            raise KernelError(f"the model failed: {reason[:LONGEST_REASON_CHARACTERS]}") from failed
        return answers


def load_estimator_kernel(path: Path, card: Card, choice: KernelChoice) -> EstimatorKernel:
    """Unpickle an estimator, which runs whatever code its file holds. Raises KernelError when it cannot be loaded."""
    try:
        estimator = joblib.load(path)
    except Exception as failed:
        reason = f"{type(failed).__name__}: {failed}".splitlines()[0]
        raise KernelError(
            f"the estimator cannot be loaded: {reason[:LONGEST_REASON_CHARACTERS]}",
            at=str(path),
            hint="the code and the libraries that it was trained with must be installed",
        ) from failed
    return EstimatorKernel(estimator, card, choice)


def _check_classes(estimator: Any, card: Card) -> None:
    if not hasattr(estimator, "predict_proba"):
        raise UsageError(
            f"{type(estimator).__name__} gives no probabilities",
            hint="wrap it in sklearn.calibration.CalibratedClassifierCV and fit again",
        )
    classes = tuple(str(word) for word in estimator.classes_)
    if classes != card.label.classes:
        raise SignatureMismatch(
            f"the model answers {', '.join(classes)}; the card says {', '.join(card.label.classes)}",
            at="label.classes",
            hint="the card must list the model's classes in the model's order",
        )


def _use_one_thread(part: Any, seen: set[int]) -> None:
    """Set `n_jobs` to 1 in an estimator and in everything fitted inside it: a pool costs more than a small request."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, dict):
        inner = list(part.values())
    elif isinstance(part, list | tuple):
        inner = list(part)
    elif isinstance(part, np.ndarray) and part.dtype == object:
        inner = list(part.flat)
    elif isinstance(part, sklearn.base.BaseEstimator):
        if getattr(part, "n_jobs", None) not in (None, 1):
            part.n_jobs = 1
        inner = list(vars(part).values())
    else:
        return
    for each in inner:
        _use_one_thread(each, seen)
