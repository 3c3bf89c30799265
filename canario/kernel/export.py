"""A fitted estimator as an ONNX model: skl2onnx walks through it, with canario's converters where its own are not exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

from canario.kernel.converters import CONVERTERS, Nodes, NotConvertible
from canario.model.card import Card, Task

OPSETS = {"": 21, "ai.onnx.ml": 3}
"""The newest that skl2onnx writes."""

TREE_OPSET = 5
"""The version of ai.onnx.ml that brought trees in double; all else that is written here is the same in it."""


def export(estimator: Any, card: Card) -> ModelProto:
    """The estimator as ONNX, with an input [n, 1] a column: double, or string for words.

    Its only output are probabilities [n, classes] or values [n, 1]. Raises NotConvertible with the reason.
    """
    inputs = [
        (column.name, (DoubleTensorType if column.kind.is_numeric else StringTensorType)([None, 1]))
        for column in card.columns
    ]
    classifies = card.label.task is Task.CLASSIFICATION
    try:
        model: ModelProto = convert_sklearn(
            estimator,
            name=card.name,
            initial_types=inputs,
            target_opset=OPSETS,
            options={id(estimator): {"zipmap": False}} if classifies else None,
            custom_conversion_functions={kind: _converter(convert) for kind, convert in CONVERTERS.items()},
            custom_shape_calculators=dict.fromkeys(CONVERTERS, _shape),
        )
        model = select_model_inputs_outputs(model, outputs=[model.graph.output[-1].name])
    except NotConvertible:
        raise
    except Exception as failed:
        reason = f"{type(failed).__name__}: {failed}".strip().splitlines()[0]
        raise NotConvertible(reason) from failed
    if any(node.op_type == "TreeEnsemble" for node in model.graph.node):
        for domain in model.opset_import:
            if domain.domain == "ai.onnx.ml":
                domain.version = TREE_OPSET
    return model


def _converter(convert: Any) -> Any:
    return lambda scope, operator, container: convert(Nodes(scope, operator, container))


def _shape(operator: Any) -> None:
    """Say which types and shapes a converter's outputs have."""
    rows = operator.inputs[0].get_first_dimension()
    model = operator.raw_operator
    if len(operator.outputs) == 1:
        operator.outputs[0].type = DoubleTensorType([rows, 1])
        return
    words = np.asarray(model.classes_).dtype.kind not in "iub"
    operator.outputs[0].type = (StringTensorType if words else Int64TensorType)([rows])
    operator.outputs[1].type = DoubleTensorType([rows, len(model.classes_)])
