"""Values on and beside the thresholds of trees, where a rounded threshold or a rounded input sends a row the other way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier

from canario.kernel.columns import frame_from_columns
from canario.kernel.compiled import OnnxKernel
from canario.kernel.estimator import EstimatorKernel
from canario.kernel.export import export
from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.model.version import KernelChoice, KernelKind

CHOICE = KernelChoice(kind=KernelKind.ONNX, reason="")
NAMES = ("a", "b", "c")
NUMERIC = Card(
    name="numeric",
    title="Numeric",
    columns=tuple(Column(name=name, kind=ColumnKind.NUMBER, nullable=True) for name in NAMES),
    label=Label(name="y", task=Task.CLASSIFICATION, classes=("0", "1")),
)


def columns_of(matrix: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(matrix[:, place]) for place, name in enumerate(NAMES)}


def training(rows: int, *, missing: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values so close that most thresholds between them are no float32."""
    random = np.random.default_rng(5)
    steps = random.integers(0, 40, (rows, 3))
    matrix = (np.float32(100) + steps * np.spacing(np.float32(100))).astype(np.float64)
    matrix[:, 2] = random.normal(size=rows)
    truth = ((steps[:, 0] + steps[:, 1]) % 7 + matrix[:, 2] > 3).astype(np.int64)
    if missing:
        matrix[random.random((rows, 3)) < 0.15] = np.nan
    return matrix, truth


def thresholds_of(model: Any) -> list[tuple[int, float]]:
    """The feature and the threshold of each node of each tree."""
    if isinstance(model, HistGradientBoostingClassifier):
        nodes = np.concatenate([tree.nodes for iteration in model._predictors for tree in iteration])
        inner = nodes[nodes["is_leaf"] == 0]
        return list(zip(inner["feature_idx"].tolist(), inner["num_threshold"].tolist(), strict=True))
    trees = [tree.tree_ for tree in np.ravel(model.estimators_)]
    pairs = [pair for tree in trees for pair in zip(tree.feature.tolist(), tree.threshold.tolist(), strict=True)]
    return [(feature, threshold) for feature, threshold in pairs if feature >= 0]


def rows_at(model: Any, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Training rows with one value on a threshold, or beside it among doubles or among floats."""
    rows = []
    for place, (feature, threshold) in enumerate(thresholds_of(model)):
        narrow = np.float32(threshold)
        beside = [threshold, float(narrow)]
        beside += [float(np.nextafter(threshold, end)) for end in (-np.inf, np.inf)]
        beside += [float(np.nextafter(narrow, np.float32(end))) for end in (-np.inf, np.inf)]
        for value in beside:
            row = matrix[place % len(matrix)].copy()
            row[feature] = value
            rows.append(row)
    return np.array(rows)


MODELS = [
    RandomForestClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=20, random_state=0),
    HistGradientBoostingClassifier(max_iter=20, random_state=0),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_value_at_a_threshold_takes_scikit_learns_branch(model: Any) -> None:
    """On every threshold of every tree, and one step beside it, the score is scikit-learn's."""
    matrix, truth = training(1200, missing=False)
    columns = columns_of(matrix)
    model.fit(frame_from_columns(NUMERIC, columns), truth)
    rows = columns_of(rows_at(model, matrix))
    expected = EstimatorKernel(model, NUMERIC, CHOICE).predict(rows)
    found = OnnxKernel(export(model, NUMERIC).SerializeToString(), NUMERIC, CHOICE).predict(rows)
    assert len(rows["a"]) > 300
    assert np.abs(found.scores - expected.scores).max() < 1e-15
    assert found.labels.tolist() == expected.labels.tolist()


@pytest.mark.parametrize("model", [MODELS[0], MODELS[2]], ids=lambda model: type(model).__name__)
def test_a_missing_value_goes_where_training_sent_it(model: Any) -> None:
    """A null takes the side that each split learnt for nulls, also at a split that has seen none."""
    matrix, truth = training(1200, missing=True)
    model.fit(frame_from_columns(NUMERIC, columns_of(matrix)), truth)
    nothing = np.array(np.meshgrid(*[[np.nan, 100.0, 100.0001]] * 3)).reshape(3, -1).T
    rows = columns_of(np.concatenate([nothing, matrix]))
    expected = EstimatorKernel(model, NUMERIC, CHOICE).predict(rows)
    found = OnnxKernel(export(model, NUMERIC).SerializeToString(), NUMERIC, CHOICE).predict(rows)
    assert np.abs(found.scores - expected.scores).max() < 1e-15


def test_a_category_goes_where_training_sent_it() -> None:
    """Known, unknown, negative and missing categories of histogram boosting take scikit-learn's branch."""
    random = np.random.default_rng(3)
    matrix = np.stack([random.integers(0, 60, 2000), random.normal(size=2000), random.integers(0, 5, 2000)], axis=1)
    truth = ((matrix[:, 0] % 3 == 0) ^ (matrix[:, 2] > 2)).astype(np.int64)
    matrix[random.random(2000) < 0.1, 0] = np.nan
    model = HistGradientBoostingClassifier(max_iter=30, categorical_features=[0, 2], random_state=0)
    model.fit(frame_from_columns(NUMERIC, columns_of(matrix)), truth)
    first = np.concatenate([np.arange(-3, 80), [np.nan]])
    some = np.array(np.meshgrid(first, [0.0, 1.0], [-1.0, 0, 1, 2, 3, 4, 5, 200, np.nan])).reshape(3, -1).T
    rows = columns_of(some)
    expected = EstimatorKernel(model, NUMERIC, CHOICE).predict(rows)
    found = OnnxKernel(export(model, NUMERIC).SerializeToString(), NUMERIC, CHOICE).predict(rows)
    assert np.abs(found.scores - expected.scores).max() < 1e-15
