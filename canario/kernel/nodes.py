"""The nodes of one estimator in the graph: everything stays in float64, and each row is computed by itself.

ONNX Runtime evaluates `Exp` and `Sigmoid` of doubles by whole SIMD registers and the rest one by one, with other last bits.
So they are asked for whole registers only (`LANES` values a row), and a row's answer does not depend on its place in a
batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

from canario.kernel.trees import Ensemble

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
        self._words: set[str] = set()

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

    def columns(self) -> list[str]:
        """The estimator's input, a tensor [n, 1] a feature."""
        columns = []
        for each in self._operator.inputs:
            width = each.type.shape[1]
            if not isinstance(width, int):
                raise NotConvertible(f"{type(self.estimator).__name__} gets a table of unknown width")
            words = isinstance(each.type, StringTensorType)
            whole = each.full_name
            if not words and not isinstance(each.type, DoubleTensorType):
                whole = self.add("Cast", whole, to=TensorProto.DOUBLE)
            for column in range(width):
                name = whole if width == 1 else self.add("Gather", whole, self.constant([column], np.int64), axis=1)
                columns.append(name)
                if words:
                    self._words.add(name)
        return columns

    def is_words(self, column: str) -> bool:
        """Whether one of `columns` holds words; otherwise numbers."""
        return column in self._words

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
