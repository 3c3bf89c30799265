"""A quick estimator, and two that go wrong online only: for people older than any in the training data."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

ESTIMATORS = ("healthy", "opposite", "fails-all")
OLDEST_TRAINED_ON = 100


def _fail_all(rows: pd.DataFrame) -> pd.DataFrame:
    if (rows["age"] > OLDEST_TRAINED_ON).any():
        raise ValueError("this version fails")
    return rows


def _turn_round(rows: pd.DataFrame) -> pd.DataFrame:
    """Takes the steady for the unsteady."""
    return rows.assign(variation=rows["variation"].where(rows["age"] <= OLDEST_TRAINED_ON, 250 - rows["variation"]))


STEPS = {
    "opposite": _turn_round,
    "fails-all": _fail_all,
}


def build_estimator(name: str, seed: int) -> Any:
    """A line through three columns."""
    healthy = Pipeline([("scale", StandardScaler()), ("line", LogisticRegression(random_state=seed))])
    return (
        healthy if name == "healthy" else Pipeline([("prepare", FunctionTransformer(STEPS[name])), ("model", healthy)])
    )
