"""The gate: a compiled model that answers otherwise is caught, and what could depend on the batch is known by its nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OneHotEncoder, SplineTransformer

from canario.kernel.columns import columns_from_frame
from canario.kernel.compile import compile_estimator
from canario.kernel.compiled import OnnxKernel
from canario.kernel.estimator import EstimatorKernel
from canario.kernel.export import export
from canario.kernel.gate import prove_equal
from canario.kernel.nodes import NotConvertible
from canario.kernel.operators import computes_rows_alone
from canario.kernel.trials import rows_within
from canario.model.card import Card, ColumnKind
from canario.model.version import KernelChoice, KernelKind

CHOICE = KernelChoice(kind=KernelKind.ONNX, reason="")
CLASSES = ("clean", "fraud")


def splits_of(model: ModelProto) -> tuple[Any, Any]:
    """The tensor of a model's thresholds, and their values."""
    (tree,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
    (splits,) = (attribute.t for attribute in tree.attribute if attribute.name == "nodes_splits")
    return splits, numpy_helper.to_array(splits)


@pytest.fixture(scope="module")
def forest(fit: Callable[..., Any]) -> Any:
    return fit(RandomForestClassifier(20, random_state=0), CLASSES, bare=True)


@pytest.fixture(scope="module")
def numeric(make_card: Callable[..., Card]) -> Card:
    import dataclasses

    card = make_card(CLASSES)
    return dataclasses.replace(card, columns=card.columns[:4])


def test_an_honest_model_passes_and_the_proof_counts_its_rows(
    forest: Any, numeric: Card, make_rows: Callable[..., Any]
) -> None:
    """The words of the proof say how many rows were compared and how far apart the answers were."""
    model = export(forest, numeric)
    kernel = OnnxKernel(model.SerializeToString(), numeric, CHOICE)
    given = columns_from_frame(numeric, make_rows(200, seed=2))
    proof = prove_equal(numeric, EstimatorKernel(forest, numeric, CHOICE), kernel, given, splits_of(model)[1])
    assert "200 given rows" in proof
    assert "largest difference" in proof


def test_thresholds_rounded_to_float32_are_caught(forest: Any, numeric: Card, make_rows: Callable[..., Any]) -> None:
    """The rounding that exporters do, invisible on most rows, is seen on the rows made for it."""
    model = export(forest, numeric)
    splits, values = splits_of(model)
    splits.CopyFrom(numpy_helper.from_array(values.astype(np.float32).astype(np.float64)))
    kernel = OnnxKernel(model.SerializeToString(), numeric, CHOICE)
    given = columns_from_frame(numeric, make_rows(200, seed=2))
    original = EstimatorKernel(forest, numeric, CHOICE)
    assert (kernel.predict(given).scores == original.predict(given).scores).all()
    with pytest.raises(NotConvertible, match="rows at the edges are answered differently"):
        prove_equal(numeric, original, kernel, given, values)


def test_a_single_wrong_leaf_is_caught_where_a_given_row_reaches_it(
    forest: Any, numeric: Card, make_rows: Callable[..., Any]
) -> None:
    """A difference of one row in a thousand is enough to be refused, and is counted."""
    model = export(forest, numeric)
    (tree,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
    (leaves,) = (attribute.t for attribute in tree.attribute if attribute.name == "leaf_weights")
    weights = numpy_helper.to_array(leaves).copy()
    weights[::50] += 1e-6
    leaves.CopyFrom(numpy_helper.from_array(weights))
    kernel = OnnxKernel(model.SerializeToString(), numeric, CHOICE)
    given = columns_from_frame(numeric, make_rows(1000, seed=2))
    with pytest.raises(NotConvertible, match="of 1000 given rows are answered differently"):
        prove_equal(numeric, EstimatorKernel(forest, numeric, CHOICE), kernel, given, np.empty(0))


def test_a_model_that_refuses_what_the_card_allows_is_not_compiled(
    make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """Where scikit-learn raises for a word on the card, a compiled model would answer: scikit-learn stays, and says why."""
    card = make_card(CLASSES)
    rows = make_rows(300)
    strict = make_pipeline(make_column_transformer((OneHotEncoder(), ["shop"])), LogisticRegression())
    strict.fit(rows, np.where(rows["shop"] == "fuel", "fraud", "clean"))
    chosen = compile_estimator(strict, card, rows)
    assert chosen.onnx is None
    assert "which the card allows" in chosen.choice.reason
    assert "never" in chosen.choice.reason


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (FunctionTransformer(np.negative), "a FunctionTransformer runs somebody's own Python code"),
        (SplineTransformer(), "there is no converter for SplineTransformer"),
        (KBinsDiscretizer(3, encode="ordinal"), "would compute in float32"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_compiled_is_served_by_scikit_learn_with_a_reason_in_words(
    step: Any, reason: str, numeric: Card, make_rows: Callable[..., Any]
) -> None:
    """The choice of the kernel names the part that cannot become ONNX."""
    rows = make_rows(200)
    preparing = make_column_transformer((step, ["amount", "age"]))
    model = make_pipeline(preparing, LogisticRegression(max_iter=300))
    model.fit(rows, np.where(rows["night"], "fraud", "clean"))
    chosen = compile_estimator(model, numeric, rows)
    assert chosen.onnx is None
    assert chosen.choice.kind is KernelKind.SKLEARN
    assert reason in chosen.choice.reason


def test_rows_at_the_edges_stay_within_the_card(make_card: Callable[..., Card], make_rows: Callable[..., Any]) -> None:
    """The rows that a model is tried on keep the card's bounds, words and nulls, and reach all of them."""
    card = make_card(CLASSES)
    given = columns_from_frame(card, make_rows(200))
    rows = rows_within(card, given, splits=np.array([0.1, 50.0, 1e9]))
    for column in card.columns:
        values = rows[column.name]
        assert values.dtype == given[column.name].dtype
        if column.kind is ColumnKind.CATEGORY:
            assert set(values) == set(column.categories)
        if column.minimum is not None and column.maximum is not None:
            assert (values.min(), values.max()) == (column.minimum, column.maximum)
        if column.nullable:
            assert np.isnan(values).any()
    assert {0.1, np.nextafter(0.1, 1), float(np.float32(0.1))} <= set(rows["amount"])
    assert "" in set(rows["note"])
    assert max(map(len, rows["note"])) <= 60


def graph_of(node: Any, weights: Any = None) -> ModelProto:
    """A model of one node from [n, 3] doubles."""
    constants = [] if weights is None else [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, None])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


@pytest.mark.parametrize(
    ("node", "weights", "alone"),
    [
        (helper.make_node("Neg", ["x"], ["y"]), None, True),
        (helper.make_node("MatMul", ["x", "weights"], ["y"]), np.ones((3, 2)), True),
        (helper.make_node("MatMul", ["x", "x"], ["y"]), None, False),
        (helper.make_node("Sigmoid", ["x"], ["y"]), None, False),
        (helper.make_node("Softmax", ["x"], ["y"]), None, False),
        (helper.make_node("ReduceSum", ["x"], ["y"]), None, False),
    ],
)
def test_only_what_rounds_in_one_way_counts_as_independent_of_the_batch(node: Any, weights: Any, alone: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """Copies, exact operations and products with constants are; exponentials and sums over rows in memory are not."""
    assert computes_rows_alone(graph_of(node, weights)) is alone
