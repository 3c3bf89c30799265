"""The ONNX kernel: a compiled model on one thread of ONNX Runtime; loading it runs no code but ONNX Runtime's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from canario.errors import IntegrityError, KernelError, NotFound, SignatureMismatch
from canario.kernel.inputs import PROPERTY, Inputs, decode
from canario.kernel.kernel import Columns, rows_from, rows_of
from canario.kernel.predictions import Predictions, predictions_of
from canario.model.card import Card, Task
from canario.model.version import KernelChoice

LARGEST_MODEL_BYTES = 512 * 1024 * 1024
"""A larger file is refused before it is read; a forest of 100 deep trees has about 10 MB."""

LARGEST_RUN_VALUES = 4 * 1024 * 1024
"""Larger batches are run in parts, so that the input tensors stay below 32 MB."""

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
"""The sets of operators that a model may use: the two of the ONNX standard."""


class OnnxKernel:
    """Answers by ONNX Runtime, in double."""

    def __init__(self, content: bytes, card: Card, choice: KernelChoice) -> None:
        """Make a session of an ONNX model's bytes.

        Raises IntegrityError when it is not a model that canario would have made, SignatureMismatch when its columns are
        not the card's.
        """
        self._inputs = _inputs_of(content)
        self._inputs.check(card)
        self.choice = choice
        self._card = card
        try:
            self._session = ort.InferenceSession(content, _options(), providers=["CPUExecutionProvider"])
        except Exception as failed:
            raise IntegrityError(f"ONNX Runtime refuses the model: {_reason(failed)}") from failed
        self._rows_a_run = max(1, LARGEST_RUN_VALUES // self._inputs.values_a_row)
        self._check_signature()

    def predict(self, columns: Columns) -> Predictions:
        """Answer one row or more. Raises KernelError with a short reason when ONNX Runtime fails."""
        rows = rows_of(columns)
        at_once = 1 if self.choice.row_by_row else self._rows_a_run
        if rows <= at_once:
            return predictions_of(self._card, self._run(columns))
        parts = [self._run(rows_from(columns, start, start + at_once)) for start in range(0, rows, at_once)]
        return predictions_of(self._card, np.concatenate(parts))

    def _run(self, columns: Columns) -> NDArray[np.float64]:
        try:
            answers: NDArray[np.float64] = self._session.run(None, self._inputs.tensors(columns))[0]
        except Exception as failed:
            raise KernelError(f"the model failed: {_reason(failed)}") from failed
        return answers

    def _check_signature(self) -> None:
        found = {each.name: each.type for each in self._session.get_inputs()}
        answer = self._session.get_outputs()
        width = 1 if self._card.label.task is Task.REGRESSION else len(self._card.label.classes)
        if found != self._inputs.types:
            raise IntegrityError(f"the model takes {found}, and says that it takes {self._inputs.types}")
        if [(each.type, each.shape[1:]) for each in answer] != [("tensor(double)", [width])]:
            raise SignatureMismatch(f"the model does not answer {width} numbers a row", at="label")


def load_onnx_kernel(path: Path, card: Card, choice: KernelChoice) -> OnnxKernel:
    """Load a model file. Raises NotFound or IntegrityError."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}", at=str(path))
    if path.stat().st_size > LARGEST_MODEL_BYTES:
        raise IntegrityError(f"{path.name} is larger than {LARGEST_MODEL_BYTES} bytes", at=str(path))
    return OnnxKernel(path.read_bytes(), card, choice)


def _inputs_of(content: bytes) -> Inputs:
    """What a model takes. Raises IntegrityError also for what canario never writes: foreign operators, files, functions."""
    try:
        model = ModelProto.FromString(content)
    except DecodeError as broken:
        raise IntegrityError("this is not an ONNX model") from broken
    if model.functions:
        raise IntegrityError("the model brings functions of its own")
    for graph in _graphs(model.graph):
        for tensor in _tensors(graph):
            if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
                raise IntegrityError(f"the model reads the tensor {tensor.name!r} from another file")
        for node in graph.node:
            if node.domain not in DOMAINS:
                raise IntegrityError(f"the model uses {node.op_type} of the domain {node.domain!r}")
    properties = {each.key: each.value for each in model.metadata_props}
    return decode(properties.get(PROPERTY, ""))


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC  # those that keep every bit
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors
    return options


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from _graphs(inner)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of_node(node)


def _tensors_of_node(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        yield from attribute.tensors
        yield from [attribute.t] if attribute.HasField("t") else []
        for sparse in [
            *attribute.sparse_tensors,
            *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []),
        ]:
            yield from (sparse.values, sparse.indices)


def _reason(failed: Exception) -> str:
    return f"{type(failed).__name__}: {failed}".splitlines()[0][:200]
