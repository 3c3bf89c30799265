"""Converters for the estimators that skl2onnx rounds to float32, gets wrong or refuses; all others are its own.

Everything here stays in float64 and computes each row by itself. ONNX Runtime evaluates `Exp` and `Sigmoid` of doubles by
SIMD registers and what is left over one by one, with other last bits; so they are asked for whole registers only
(`LANES` values a row), and a row's answer does not depend on its place in a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType
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

from canario.kernel.trees import Ensemble, tree_of_histogram, tree_of_sklearn

LANES = 8
"""The doubles in the widest SIMD register (512 bits)."""


class NotConvertible(Exception):
    """Why an estimator cannot become ONNX, in words."""


class Nodes:
    """Adds the nodes of one estimator to the graph; a name of a tensor stands for the tensor."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.estimator = operator.raw_operator
        self._scope = scope
        self._operator = operator
        self._container = container

    def add(self, kind: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node of one output, and name that."""
        output = output or self._scope.get_unique_variable_name(kind.lower())
        self._container.add_node(
            kind,
            list(inputs),
            [output],
            name=self._scope.get_unique_operator_name(kind),
            op_domain=domain,
            op_version=self._container.target_opset_any_domain(domain),
            **attributes,
        )
        return output

    def constant(self, values: Any, dtype: Any = np.float64) -> str:
        """Add a constant tensor."""
        name: str = self._scope.get_unique_variable_name("constant")
        tensor = numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype))
        self._container.add_initializer(name, tensor.data_type, tensor.dims, tensor)
        return name

    def matrix(self) -> str:
        """The estimator's input, [n, features] in double."""
        parts = [
            each.full_name
            if isinstance(each.type, DoubleTensorType)
            else self.add("Cast", each.full_name, to=TensorProto.DOUBLE)
            for each in self._operator.inputs
        ]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)

    def answer(self, values: str) -> None:
        """Make a tensor the estimator's only output."""
        self.add("Identity", values, output=self._operator.outputs[0].full_name)

    def answer_classes(self, probabilities: str) -> None:
        """Make a tensor the probabilities of a classifier, whose label is the likeliest class."""
        label, scores = (each.full_name for each in self._operator.outputs)
        self.add("Identity", probabilities, output=scores)
        place = self.add("ArgMax", probabilities, axis=1, keepdims=0)
        classes = self.estimator.classes_
        words = classes.dtype.kind not in "iub"
        self.add(
            "LabelEncoder",
            place,
            output=label,
            domain="ai.onnx.ml",
            keys_int64s=list(range(len(classes))),
            **(
                {"values_strings": [str(each) for each in classes]}
                if words
                else {"values_int64s": classes.astype(int).tolist()}
            ),
        )

    def sum_of_trees(self, ensemble: Ensemble, matrix: str) -> str:
        """[n, targets]: what an ensemble's leaves add up to."""
        return self.add("TreeEnsemble", matrix, domain="ai.onnx.ml", **ensemble.attributes())

    def elementwise(self, kind: str, values: str, width: int) -> str:
        """`Exp` or `Sigmoid` of a tensor of shape [n, width], in whole registers."""
        surplus = -width % LANES
        padded = self.add("Pad", values, self.constant([0, 0, 0, surplus], np.int64)) if surplus else values
        return self.first_columns(self.add(kind, padded), width) if surplus else self.add(kind, padded)

    def first_columns(self, values: str, width: int) -> str:
        """The first columns of a tensor."""
        start, end, axis = (self.constant([number], np.int64) for number in (0, width, 1))
        return self.add("Slice", values, start, end, axis)

    def two_classes(self, margin: str) -> str:
        """[n, 2] probabilities from the [n, 1] log-odds of the second class."""
        both = self.add("Mul", margin, self.constant([[-1.0, 1.0] + [0.0] * (LANES - 2)]))
        return self.first_columns(self.add("Sigmoid", both), 2)

    def many_classes(self, margins: str, width: int) -> str:
        """[n, width] probabilities by softmax."""
        highest = self.add("ReduceMax", margins, self.constant([1], np.int64), keepdims=1)
        powers = self.elementwise("Exp", self.add("Sub", margins, highest), width)
        # A product with ones adds a row up in one fixed order; a ReduceSum's order hangs on where the row lies in memory.
        total = self.add("MatMul", powers, self.constant(np.ones((width, 1))))
        return self.add("Div", powers, total)


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
    if model._preprocessor is not None:  # noqa: SLF001 - scikit-learn has no public name for it
        raise NotConvertible("HistGradientBoosting encodes categories itself: use an OrdinalEncoder before it")
    known, row = model._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001 - the same
    baseline = np.ravel(model._baseline_prediction)  # noqa: SLF001 - the same
    ensemble = Ensemble(len(baseline))
    for target, start in enumerate(baseline):
        ensemble.add_baseline(start, target)
    for iteration in model._predictors:  # noqa: SLF001 - the same
        for target, predictor in enumerate(iteration):
            ensemble.add(tree_of_histogram(predictor, known, row), target)
    return nodes.sum_of_trees(ensemble, nodes.matrix()), len(baseline)


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


CONVERTERS: dict[type, Callable[[Nodes], None]] = {
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
