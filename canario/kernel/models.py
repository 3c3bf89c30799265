"""Converters for the models that skl2onnx rounds to float32, gets wrong or refuses; for all others it has its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.dummy import DummyClassifier, DummyRegressor
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
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from canario.kernel.nodes import Nodes, NotConvertible
from canario.kernel.preparing import encoded
from canario.kernel.trees import Ensemble, tree_of_histogram, tree_of_sklearn


def _rounded_to_float(nodes: Nodes) -> str:
    narrow = nodes.add("Cast", nodes.matrix(), to=TensorProto.FLOAT)
    return nodes.add("Cast", narrow, to=TensorProto.DOUBLE)


def _members_of_forest(forest: Any) -> list[Any]:
    return list(forest.estimators_) if hasattr(forest, "estimators_") else [forest]


def _forest_mean(nodes: Nodes, columns: list[int]) -> str:
    """[n, len(columns)]: the mean over a forest's trees of the given columns of their leaves' values."""
    if nodes.estimator.n_outputs_ != 1:
        raise NotConvertible(f"{type(nodes.estimator).__name__} has more than one output")
    members = _members_of_forest(nodes.estimator)
    ensemble = Ensemble(len(columns))
    for member in members:
        for target, column in enumerate(columns):
            ensemble.add(tree_of_sklearn(member.tree_, member.tree_.value[:, 0, column]), target)
    total = nodes.sum_of_trees(ensemble, _rounded_to_float(nodes))
    return nodes.add("Div", total, nodes.constant([float(len(members))]))


def convert_forest_classifier(nodes: Nodes) -> None:
    """Random forests, extra trees and single trees."""
    classes = len(nodes.estimator.classes_)
    if classes != 2:
        nodes.answer_classes(_forest_mean(nodes, list(range(classes))))
        return
    second = _forest_mean(nodes, [1])
    first = nodes.add("Sub", nodes.constant([1.0]), second)
    nodes.answer_classes(nodes.add("Concat", first, second, axis=1))


def convert_forest_regressor(nodes: Nodes) -> None:
    """Random forests, extra trees and single trees."""
    nodes.answer(_forest_mean(nodes, [0]))


def _boosted(nodes: Nodes) -> tuple[str, int]:
    """The raw sums of `sklearn.ensemble.GradientBoosting*` and how many they are."""
    model = nodes.estimator
    if not isinstance(model.init_, DummyClassifier | DummyRegressor | str):
        raise NotConvertible(f"{type(model).__name__} starts from {type(model.init_).__name__}")
    nothing = np.zeros((1, model.n_features_in_), dtype=np.float32)
    baseline = model._raw_predict_init(nothing)[0]  # noqa: SLF001 - scikit-learn has no public name for it
    ensemble = Ensemble(len(baseline))
    for target, start in enumerate(baseline):
        ensemble.add_baseline(start, target)
        for member in model.estimators_[:, target]:
            leaves = member.tree_.value[:, 0, 0] * model.learning_rate
            ensemble.add(tree_of_sklearn(member.tree_, leaves), target)
    return nodes.sum_of_trees(ensemble, _rounded_to_float(nodes)), len(baseline)


def _boosted_histogram(nodes: Nodes) -> tuple[str, int]:
    """The raw sums of `sklearn.ensemble.HistGradientBoosting*` and how many they are."""
    model = nodes.estimator
    known, row = model._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001 - the same
    baseline = np.ravel(model._baseline_prediction)  # noqa: SLF001 - the same
    ensemble = Ensemble(len(baseline))
    for target, start in enumerate(baseline):
        ensemble.add_baseline(start, target)
    for iteration in model._predictors:  # noqa: SLF001 - the same
        for target, predictor in enumerate(iteration):
            ensemble.add(tree_of_histogram(predictor, known, row), target)
    return nodes.sum_of_trees(ensemble, _with_encoded_categories(nodes)), len(baseline)


def _with_encoded_categories(nodes: Nodes) -> str:
    """The input of histogram gradient boosting, [n, features], as its trees see it: categories first, as numbers."""
    model = nodes.estimator
    if model._preprocessor is None:  # noqa: SLF001 - scikit-learn has no public name for it
        return nodes.matrix()
    encoder = model._preprocessor.named_transformers_["encoder"]  # noqa: SLF001 - the same
    columns = nodes.columns()
    categories = [column for column, is_category in zip(columns, model.is_categorical_, strict=True) if is_category]
    numbers = [column for column, is_category in zip(columns, model.is_categorical_, strict=True) if not is_category]
    return nodes.add("Concat", encoded(nodes, encoder, categories), *numbers, axis=1)


def _boosted_classifier(raw: Callable[[Nodes], tuple[str, int]]) -> Callable[[Nodes], None]:
    def convert(nodes: Nodes) -> None:
        margins, width = raw(nodes)
        if type(nodes.estimator._loss).__name__ == "ExponentialLoss":  # noqa: SLF001 - scikit-learn has no public name
            margins = nodes.add("Mul", margins, nodes.constant([2.0]))
        nodes.answer_classes(nodes.two_classes(margins) if width == 1 else nodes.many_classes(margins, width))

    return convert


def _boosted_regressor(raw: Callable[[Nodes], tuple[str, int]]) -> Callable[[Nodes], None]:
    def convert(nodes: Nodes) -> None:
        values, width = raw(nodes)
        link = type(nodes.estimator._loss.link).__name__  # noqa: SLF001 - scikit-learn has no public name for it
        if link not in ("IdentityLink", "LogLink"):
            raise NotConvertible(f"the link {link} has no converter")
        nodes.answer(nodes.elementwise("Exp", values, width) if link == "LogLink" else values)

    return convert


def convert_logistic_regression(nodes: Nodes) -> None:
    """Logistic regression of two classes or more."""
    model = nodes.estimator
    margins = nodes.add("MatMul", nodes.matrix(), nodes.constant(model.coef_.T))
    margins = nodes.add("Add", margins, nodes.constant(model.intercept_))
    classes = len(model.classes_)
    nodes.answer_classes(nodes.two_classes(margins) if classes == 2 else nodes.many_classes(margins, classes))


MODELS: dict[type, Callable[[Nodes], None]] = {
    HistGradientBoostingClassifier: _boosted_classifier(_boosted_histogram),
    HistGradientBoostingRegressor: _boosted_regressor(_boosted_histogram),
    GradientBoostingClassifier: _boosted_classifier(_boosted),
    GradientBoostingRegressor: _boosted_regressor(_boosted),
    RandomForestClassifier: convert_forest_classifier,
    ExtraTreesClassifier: convert_forest_classifier,
    DecisionTreeClassifier: convert_forest_classifier,
    ExtraTreeClassifier: convert_forest_classifier,
    RandomForestRegressor: convert_forest_regressor,
    ExtraTreesRegressor: convert_forest_regressor,
    DecisionTreeRegressor: convert_forest_regressor,
    ExtraTreeRegressor: convert_forest_regressor,
    LogisticRegression: convert_logistic_regression,
    LogisticRegressionCV: convert_logistic_regression,
}
