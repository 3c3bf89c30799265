"""A quick estimator, and some that go wrong online only: for people older than any in the training data."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

ESTIMATORS = ("healthy", "opposite", "fails-all", "fails-some", "cannot-start")
OLDEST_TRAINED_ON = 100


def _fail_all(rows: pd.DataFrame) -> pd.DataFrame:
    if (rows["age"] > OLDEST_TRAINED_ON).any():
        raise ValueError("this version fails")
    return rows


def _fail_some(rows: pd.DataFrame) -> pd.DataFrame:
    """One request in ten."""
    if ((rows["age"] > OLDEST_TRAINED_ON) & ((rows["rate"] * 10).round() % 10 == 7)).any():
        raise ValueError("this version fails sometimes")
    return rows


def _fail_in_servers(rows: pd.DataFrame) -> pd.DataFrame:
    if "CANARIO_PROCESS" in os.environ:
        raise ValueError("this version cannot even warm up")
    return rows


def _turn_round(rows: pd.DataFrame) -> pd.DataFrame:
    """Takes the steady for the unsteady."""
    return rows.assign(variation=rows["variation"].where(rows["age"] <= OLDEST_TRAINED_ON, 250 - rows["variation"]))


STEPS = {
    "opposite": _turn_round,
    "fails-all": _fail_all,
    "fails-some": _fail_some,
    "cannot-start": _fail_in_servers,
}


def build_estimator(name: str, seed: int) -> Any:
    """A line through three columns."""
    healthy = Pipeline([("scale", StandardScaler()), ("line", LogisticRegression(random_state=seed))])
    return (
        healthy if name == "healthy" else Pipeline([("prepare", FunctionTransformer(STEPS[name])), ("model", healthy)])
    )
