"""Turn a fitted estimator into the kernel that will serve it: ONNX where a gate proves equal answers, itself otherwise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from canario.errors import CanarioError
from canario.kernel.columns import columns_from_frame
from canario.kernel.compiled import LARGEST_MODEL_BYTES, OnnxKernel
from canario.kernel.estimator import EstimatorKernel
from canario.kernel.export import export
from canario.kernel.gate import depends_on_batch, prove_equal
from canario.kernel.kernel import Columns, rows_from
from canario.kernel.nodes import NotConvertible
from canario.kernel.operators import computes_rows_alone, rounding_operator
from canario.model.card import Card
from canario.model.version import KernelChoice, KernelKind

if TYPE_CHECKING:
    import pandas as pd

ROWS_ALONE = 48
"""So many rows scikit-learn answers one by one, to see whether it answers them otherwise in a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What became of an estimator."""

    choice: KernelChoice
    onnx: bytes | None
    """The ONNX model; None when scikit-learn serves."""


def compile_estimator(estimator: Any, card: Card, rows: pd.DataFrame) -> Compiled:
    """Choose the kernel of a fitted estimator, proved on `rows` (some hundreds, such as it will meet).

    Raises UsageError when the estimator cannot answer as the card says, SignatureMismatch when its classes are others,
    InputError when the rows do not fit the card, KernelError when scikit-learn itself fails on them.
    """
    given = columns_from_frame(card, rows)
    original = EstimatorKernel(copy.deepcopy(estimator), card, KernelChoice(kind=KernelKind.SKLEARN, reason=""))
    original.predict(given)
    try:
        return _compiled(estimator, card, original, given)
    except (NotConvertible, CanarioError) as failed:
        choice = KernelChoice(
            kind=KernelKind.SKLEARN,
            reason=f"scikit-learn answers, because the model was not compiled: {failed}",
            row_by_row=depends_on_batch(original, rows_from(given, 0, ROWS_ALONE)),
        )
        return Compiled(choice=choice, onnx=None)


def _compiled(estimator: Any, card: Card, original: EstimatorKernel, given: Columns) -> Compiled:
    """Raises NotConvertible, or what the ONNX kernel raises."""
    model = export(estimator, card)
    rounding = rounding_operator(model)
    if rounding:
        raise NotConvertible(f"its {rounding} would compute in float32")
    content = model.SerializeToString()
    if len(content) > LARGEST_MODEL_BYTES:
        raise NotConvertible(f"it would have {len(content)} bytes, more than {LARGEST_MODEL_BYTES}")
    kernel = OnnxKernel(content, card, KernelChoice(kind=KernelKind.ONNX, reason=""))
    proof = prove_equal(card, original, kernel, given, _splits(model))
    choice = KernelChoice(
        kind=KernelKind.ONNX,
        reason=f"compiled: {proof}",
        row_by_row=not computes_rows_alone(model) or depends_on_batch(kernel, given),
    )
    return Compiled(choice=choice, onnx=content)


def _splits(model: ModelProto) -> NDArray[np.float64]:
    """The thresholds of all trees."""
    splits = [
        numpy_helper.to_array(attribute.t)
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "nodes_splits"
    ]
    return np.concatenate([np.empty(0), *splits])
