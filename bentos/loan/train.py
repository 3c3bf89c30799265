"""The estimators of this room; splitting, scoring and publishing are the same for all rooms (canario.packaging.training)."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

ESTIMATORS = ("hist-gradient-boosting", "random-forest", "ridge")
"""What `--estimator` may name; the first is the default."""


def build_estimator(name: str, seed: int) -> Any:
    """An unfitted estimator over the card's columns."""
    if name == "random-forest":
        return RandomForestRegressor(n_estimators=60, min_samples_leaf=3, random_state=seed)
    if name == "ridge":
        return Pipeline([("scale", StandardScaler()), ("ridge", Ridge(alpha=1.0))])
    return HistGradientBoostingRegressor(max_iter=200, max_leaf_nodes=31, learning_rate=0.1, random_state=seed)
