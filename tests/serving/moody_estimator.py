"""An estimator that takes as long as a row asks for, and fails when a row asks for that."""

from __future__ import annotations

import time
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin


class Moody(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Answers half and half, after `seconds`, unless `mood` is broken."""

    def fit(self, _: pd.DataFrame, truth: NDArray[Any]) -> Self:
        """Remember the classes."""
        self.classes_ = np.unique(truth)
        return self

    def predict_proba(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """The same for every row."""
        time.sleep(float(rows["seconds"].max()))
        if (rows["mood"] == "broken").any():
            raise RuntimeError("the mood was broken")
        return np.full((len(rows), 2), 0.5)
