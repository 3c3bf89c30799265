"""Turn a fitted estimator into the kernel that will serve it: ONNX where a gate proves equal answers, itself otherwise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from canario.kernel.columns import columns_from_frame
from canario.kernel.estimator import EstimatorKernel
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

    Raises UsageError when the estimator cannot answer as the card says, SignatureMismatch when its classes are others.
    """
    choice = KernelChoice(kind=KernelKind.SKLEARN, reason="compiling is not built yet")
    EstimatorKernel(copy.deepcopy(estimator), card, choice).predict(columns_from_frame(card, rows))
    return Compiled(choice=choice, onnx=None)
