"""A compiled kernel answers as scikit-learn does, for every kind of model that is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from canario.kernel.columns import columns_from_frame
from canario.kernel.compile import compile_estimator
from canario.kernel.compiled import OnnxKernel
from canario.kernel.estimator import EstimatorKernel
from canario.kernel.trials import rows_within
from canario.model.version import KernelChoice, KernelKind

PLAIN = KernelChoice(kind=KernelKind.SKLEARN, reason="asked for")

CLASSIFIERS = [
    HistGradientBoostingClassifier(max_iter=20),
    RandomForestClassifier(15),
    ExtraTreesClassifier(10, min_samples_leaf=3, class_weight="balanced"),
    DecisionTreeClassifier(max_depth=6),
    GradientBoostingClassifier(n_estimators=15),
    LogisticRegression(max_iter=500),
    CalibratedClassifierCV(RandomForestClassifier(5), cv=2),
]
REGRESSORS = [
    HistGradientBoostingRegressor(max_iter=20),
    RandomForestRegressor(10),
    ExtraTreesRegressor(5),
    DecisionTreeRegressor(max_depth=6),
    GradientBoostingRegressor(n_estimators=15, loss="huber"),
    LinearRegression(),
    Ridge(),
    ElasticNet(alpha=0.01),
]
CLASSES: list[tuple[Any, ...]] = [("clean", "fraud"), (0, 1), (False, True), ("high", "low", "middle"), (3, 5, 7, 9)]


def name_of(value: Any) -> str:
    return type(value).__name__ if hasattr(value, "fit") else str(value)


@pytest.mark.parametrize("classes", [CLASSES[0], CLASSES[3]], ids=name_of)
@pytest.mark.parametrize("model", CLASSIFIERS, ids=name_of)
def test_a_classifier_gives_the_same_labels_and_probabilities(
    model: Any,
    classes: tuple[Any, ...],
    make_card: Callable[..., Any],
    make_rows: Callable[..., Any],
    fit: Callable[..., Any],
) -> None:
    """New rows and rows on every edge get scikit-learn's label, and its probabilities up to the last bits."""
    card = make_card(classes)
    estimator = fit(model, classes)
    compiled = compile_estimator(estimator, card, make_rows(150, seed=2))
    assert compiled.choice.kind is KernelKind.ONNX, compiled.choice.reason
    assert compiled.onnx is not None
    given = columns_from_frame(card, make_rows(1000, seed=3))
    for rows in (given, rows_within(card, given, splits=np.empty(0), seed=4)):
        expected = EstimatorKernel(estimator, card, PLAIN).predict(rows)
        found = OnnxKernel(compiled.onnx, card, compiled.choice).predict(rows)
        assert found.labels.tolist() == expected.labels.tolist()
        assert found.probabilities == pytest.approx(expected.probabilities, rel=0, abs=1e-14)


@pytest.mark.parametrize("model", REGRESSORS, ids=name_of)
def test_a_regressor_gives_the_same_values(
    model: Any, make_card: Callable[..., Any], make_rows: Callable[..., Any], fit: Callable[..., Any]
) -> None:
    """New rows and rows on every edge get scikit-learn's value; trees' values are the same to the last bit."""
    card = make_card()
    estimator = fit(model)
    compiled = compile_estimator(estimator, card, make_rows(150, seed=2))
    assert compiled.onnx is not None, compiled.choice.reason
    given = columns_from_frame(card, make_rows(1000, seed=3))
    for rows in (given, rows_within(card, given, splits=np.empty(0), seed=4)):
        expected = EstimatorKernel(estimator, card, PLAIN).predict(rows).scores
        found = OnnxKernel(compiled.onnx, card, compiled.choice).predict(rows).scores
        if hasattr(model, "coef_") or isinstance(model, (LinearRegression, Ridge, ElasticNet)):
            assert found == pytest.approx(expected, rel=1e-12)
        else:
            assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("classes", CLASSES, ids=name_of)
def test_classes_may_be_words_numbers_or_truth_values(
    classes: tuple[Any, ...], make_card: Callable[..., Any], make_rows: Callable[..., Any], fit: Callable[..., Any]
) -> None:
    """Whatever the classes are in Python, the answer is the card's word for them."""
    words = tuple(str(each) for each in classes)
    compiled = compile_estimator(fit(DecisionTreeClassifier(max_depth=5), classes), make_card(words), make_rows(100))
    assert compiled.onnx is not None, compiled.choice.reason
    kernel = OnnxKernel(compiled.onnx, make_card(words), compiled.choice)
    answers = kernel.predict(columns_from_frame(make_card(words), make_rows(300)))
    assert set(answers.labels) == set(words)
