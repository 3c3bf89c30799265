"""A fitted estimator as an ONNX model: skl2onnx walks through it, with canario's converters where its own are not exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer

from canario.kernel.inputs import NUMBERS, PROPERTY, WORDS, Counts, Inputs, encode
from canario.kernel.models import MODELS
from canario.kernel.nodes import Nodes, NotConvertible
from canario.kernel.preparing import PREPARING, TEXT_NODE
from canario.model.card import Card, Task

CONVERTERS = MODELS | PREPARING

OPSETS = {"": 21, "ai.onnx.ml": 3}
"""The newest that skl2onnx writes."""

ANSWERS = "answers"
"""The model's only output: probabilities [n, classes] or values [n, 1], in double."""

TREE_OPSET = 5
"""The version of ai.onnx.ml that brought trees in double; all else that is written here is the same in it."""


def export(estimator: Any, card: Card) -> ModelProto:
    """The estimator as ONNX, from the tensors of `Inputs` (among its properties) to `ANSWERS`.

    Raises NotConvertible with the reason.
    """
    _refuse_unknown(estimator)
    columns = [
        (column.name, (DoubleTensorType if column.kind.is_numeric else StringTensorType)([None, 1]))
        for column in card.columns
    ]
    try:
        converted: ModelProto = convert_sklearn(
            estimator,
            name=card.name,
            initial_types=columns,
            target_opset=OPSETS,
            options={id(estimator): {"zipmap": False}} if card.label.task is Task.CLASSIFICATION else None,
            custom_conversion_functions={kind: _converter(convert) for kind, convert in CONVERTERS.items()},
            custom_shape_calculators=dict.fromkeys(CONVERTERS, _shape),
        )
    except NotConvertible:
        raise
    except Exception as failed:
        reason = f"{type(failed).__name__}: {failed}".strip().splitlines()[0]
        raise NotConvertible(reason) from failed
    return _finished(converted, card)


def _refuse_unknown(estimator: Any) -> None:
    """Say in plain words which part of an estimator has no converter, before skl2onnx stumbles over what follows it."""
    settings = estimator.get_params().values() if hasattr(estimator, "get_params") else []
    known = (*CONVERTERS, *sklearn_operator_name_map, Pipeline, ColumnTransformer, FeatureUnion)
    for part in (estimator, *(each for each in settings if hasattr(each, "fit"))):
        if isinstance(part, FunctionTransformer) and part.func is not None:
            raise NotConvertible("a FunctionTransformer runs somebody's own Python code")
        if type(part) not in known:
            raise NotConvertible(f"there is no converter for {type(part).__name__}")


def _converter(convert: Callable[[Nodes], None]) -> Callable[[Any, Any, Any], None]:
    return lambda scope, operator, container: convert(Nodes(scope, operator, container))


def _shape(operator: Any) -> None:
    """Say which types and shapes a converter's outputs have."""
    rows = operator.inputs[0].get_first_dimension()
    model = operator.raw_operator
    if len(operator.outputs) == 1:
        width = len(model.get_feature_names_out()) if hasattr(model, "transform") else 1
        operator.outputs[0].type = DoubleTensorType([rows, width])
        return
    words = np.asarray(model.classes_).dtype.kind not in "iub"
    operator.outputs[0].type = (StringTensorType if words else Int64TensorType)([rows])
    operator.outputs[1].type = DoubleTensorType([rows, len(model.classes_)])


def _finished(converted: ModelProto, card: Card) -> ModelProto:
    """The model with the probabilities or values as its only output, and with inputs that are quick to fill."""
    output = converted.graph.output[-1].name
    nodes = _needed(converted, output)
    inputs = _inputs(card, nodes)
    nodes = [_joined_in_double(node, inputs) for node in nodes if node.op_type != TEXT_NODE]
    used = {name for node in nodes for name in node.input}
    tensors = [(NUMBERS, TensorProto.DOUBLE, inputs.numbers), (WORDS, TensorProto.STRING, inputs.words)]
    splits = [
        helper.make_node("Split", [name], [*columns], axis=1, num_outputs=len(columns))
        for name, _, columns in tensors
        if used.intersection(columns)
    ]
    tensors += [(text.tensor, TensorProto.DOUBLE, text.terms) for text in inputs.texts]
    in_double = helper.make_node("Cast", [output], [ANSWERS], to=TensorProto.DOUBLE)
    width = 1 if card.label.task is Task.REGRESSION else len(card.label.classes)
    graph = helper.make_graph(
        [*splits, *nodes, in_double],
        card.name,
        [helper.make_tensor_value_info(name, kind, [None, len(of)]) for name, kind, of in tensors if of],
        [helper.make_tensor_value_info(ANSWERS, TensorProto.DOUBLE, [None, width])],
        [constant for constant in converted.graph.initializer if constant.name in used],
    )
    opsets = {each.domain: each.version for each in converted.opset_import if each.domain != "canario"}
    if any(node.op_type == "TreeEnsemble" for node in nodes):
        opsets["ai.onnx.ml"] = TREE_OPSET
    opsets[""] = max(opsets.get("", 0), OPSETS[""])
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*each) for each in opsets.items()],
        ir_version=converted.ir_version,
        producer_name="canario",
    )
    helper.set_model_props(model, {PROPERTY: encode(inputs)})
    return model


def _joined_in_double(node: NodeProto, inputs: Inputs) -> NodeProto:
    """The node, or a better one in its place where it joins columns."""
    if node.op_type not in ("FeatureVectorizer", "Concat"):
        return node
    if tuple(node.input) == inputs.numbers:
        return helper.make_node("Identity", [NUMBERS], node.output)
    if node.op_type == "FeatureVectorizer":  # it would round to float32
        return helper.make_node("Concat", node.input, node.output, axis=1)
    return node


def _needed(model: ModelProto, output: str) -> list[NodeProto]:
    """The nodes that an output depends on, in their order."""
    wanted = {output}
    nodes = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            nodes.append(node)
    return nodes[::-1]


def _inputs(card: Card, nodes: list[NodeProto]) -> Inputs:
    """Which columns the nodes read, and how."""
    texts = []
    for node in nodes:
        if node.op_type == TEXT_NODE:
            counts = msgspec.json.decode(node.attribute[0].s, type=Counts)
            texts.append(replace(counts, tensor=node.output[0], column=node.input[0]))
    read = {name for node in nodes if node.op_type != TEXT_NODE for name in node.input}
    if not {text.column for text in texts} <= set(card.column_names):
        raise NotConvertible("words are counted in what another step has made")
    return Inputs(
        numbers=tuple(column.name for column in card.columns if column.kind.is_numeric and column.name in read),
        words=tuple(column.name for column in card.columns if not column.kind.is_numeric and column.name in read),
        texts=tuple(texts),
    )
