"""Requests that a server makes to itself from its version's rows, in every form: to warm up, and as examples."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from canario.kernel.kernel import Columns
from canario.kernel.rows import json_cells
from canario.serving import open_inference_pb2 as pb
from canario.serving.answering import Caller
from canario.serving.http import JSON, Request
from canario.serving.infer_json import HEADER_LENGTH
from canario.serving.request_metrics import Protocol
from canario.serving.served import ServedVersion
from canario.serving.tensors import TensorSpec, to_wire

CALLER = Caller("warm-up", shadow=True, protocol=Protocol.REST)


def predict_request(served: ServedVersion, columns: Columns) -> Request:
    """`POST /predict`."""
    rows = zip(*(json_cells(column, columns[column.name]) for column in served.card.columns), strict=True)
    body = msgspec.json.encode({"rows": [dict(zip(columns, row, strict=True)) for row in rows]})
    return Request({b"content-type": JSON}, b"", body, CALLER)


def json_request(served: ServedVersion, columns: Columns) -> Request:
    """Tensors in JSON, where an empty word that may be missing is null as NaN is."""
    inputs = []
    for spec, values in _tensors(served, columns):
        cells = values.ravel().tolist()
        if spec.name not in served.tensors.never_null:
            cells = [None if cell == "" else cell for cell in cells]
        inputs.append({**_head(spec, values), "data": cells})
    return Request({}, b"", msgspec.json.encode({"inputs": inputs}), CALLER)


def binary_request(served: ServedVersion, columns: Columns) -> Request:
    """Tensors in bytes, and outputs in bytes."""
    tensors = _tensors(served, columns)
    parts = [to_wire(values) for _, values in tensors]
    inputs = [
        {**_head(spec, values), "parameters": {"binary_data_size": len(part)}}
        for (spec, values), part in zip(tensors, parts, strict=True)
    ]
    head = msgspec.json.encode({"inputs": inputs, "parameters": {"binary_data_output": True}})
    return Request({HEADER_LENGTH: b"%d" % len(head)}, b"", b"".join([head, *parts]), CALLER)


def grpc_request(served: ServedVersion, columns: Columns) -> pb.ModelInferRequest:
    """Tensors in raw contents."""
    request = pb.ModelInferRequest(model_name=served.name.model)
    for spec, values in _tensors(served, columns):
        request.inputs.add(**_head(spec, values))
        request.raw_input_contents.append(to_wire(values))
    return request


def _tensors(served: ServedVersion, columns: Columns) -> list[tuple[TensorSpec, NDArray[Any]]]:
    specs = served.tensors.inputs
    if served.card.is_numeric:
        return [(specs[0], np.column_stack(list(columns.values())).astype(np.float64))]
    return [(spec, columns[spec.name]) for spec in specs]


def _head(spec: TensorSpec, values: NDArray[Any]) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": values.shape}
