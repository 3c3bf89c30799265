"""Turn a fitted estimator into the kernel that will serve it: ONNX where a gate proves equal answers, itself otherwise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from canario.errors import CanarioError
from canario.kernel.columns import columns_from_frame
from canario.kernel.compiled import LARGEST_MODEL_BYTES, OnnxKernel
from canario.kernel.estimator import EstimatorKernel
from canario.kernel.export import export
from canario.kernel.gate import depends_on_batch, differences
from canario.kernel.kernel import rows_of
from canario.kernel.nodes import NotConvertible
from canario.model.card import Card
from canario.model.version import KernelChoice, KernelKind

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What became of an estimator."""

    choice: KernelChoice
    onnx: bytes | None
    """The ONNX model; None when scikit-learn serves."""


def compile_estimator(estimator: Any, card: Card, rows: pd.DataFrame) -> Compiled:
    """Choose the kernel of a fitted estimator, proved on `rows` (a few hundred, such as it will meet).

    Raises UsageError when the estimator cannot answer as the card says, SignatureMismatch when its classes are others,
    InputError when the rows do not fit the card, KernelError when scikit-learn itself fails on them.
    """
    columns = columns_from_frame(card, rows)
    choice = KernelChoice(kind=KernelKind.SKLEARN, reason="")
    original = EstimatorKernel(copy.deepcopy(estimator), card, choice)
    expected = original.predict(columns)
    try:
        content = export(estimator, card).SerializeToString()
        if len(content) > LARGEST_MODEL_BYTES:
            raise NotConvertible(f"compiled it has {len(content)} bytes, more than {LARGEST_MODEL_BYTES}")
        kernel = OnnxKernel(content, card, KernelChoice(kind=KernelKind.ONNX, reason=""))
        wrong = differences(card, expected, kernel.predict(columns))
        if wrong:
            raise NotConvertible(wrong)
    except (NotConvertible, CanarioError) as failed:
        reason = f"scikit-learn answers, because the model cannot be compiled: {failed}"
        alone = depends_on_batch(original, columns)
        return Compiled(choice=KernelChoice(kind=KernelKind.SKLEARN, reason=reason, row_by_row=alone), onnx=None)
    reason = f"compiled: equal to scikit-learn on {rows_of(columns)} rows"
    return Compiled(
        choice=KernelChoice(kind=KernelKind.ONNX, reason=reason, row_by_row=depends_on_batch(kernel, columns)),
        onnx=content,
    )
