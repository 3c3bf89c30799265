"""Warming up: every way in is walked with the version's few rows before it says that it is ready; nothing of it is logged."""

from __future__ import annotations

import statistics
import time
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from canario.adapters.documents import read_record
from canario.adapters.versions import WARMUP_FILE
from canario.errors import CanarioError, KernelError
from canario.feedback.store import Received
from canario.kernel.columns import dtype_of
from canario.kernel.kernel import Columns, row_of, rows_of
from canario.model.version import KernelKind
from canario.serving import open_inference_pb2 as pb
from canario.serving.answering import Caller
from canario.serving.http import JSON, Request
from canario.serving.infer_grpc import infer
from canario.serving.infer_json import HEADER_LENGTH
from canario.serving.rest import Rest
from canario.serving.rows import json_cells
from canario.serving.served import QUICK_SECONDS, ServedVersion
from canario.serving.tensors import TensorSpec, to_wire

CALLER = Caller("warm-up", shadow=True)
ROUNDS = 5


def warm_up(served: ServedVersion, rest: Rest) -> None:
    """Answer the rows one by one and together, over every protocol, and see how quick the model is.

    Raises KernelError when a row of its own training is refused or not answered.
    """
    columns = warmup_columns(served)
    try:
        for request in [row_of(columns, row) for row in range(rows_of(columns))] + [columns]:
            _walk(served, rest, request)
    except CanarioError as error:
        raise KernelError(
            f"{served.name} does not answer its own rows: {error}", at=WARMUP_FILE, hint=error.hint
        ) from error
    one = row_of(columns, 0)
    # An estimator that is not compiled is somebody's code, which may take longer for another row.
    is_compiled = served.record.kernel.kind is KernelKind.ONNX
    served.turns.is_quick = (
        is_compiled and statistics.median(_seconds(served, one) for _ in range(ROUNDS)) < QUICK_SECONDS
    )


def warmup_columns(served: ServedVersion) -> dict[str, NDArray[Any]]:
    """The rows that the version brings. Raises NotFound or IntegrityError when it brings none."""
    stored = read_record(dict[str, list[Any]], served.folder / WARMUP_FILE)
    columns = {}
    for column in served.card.columns:
        values = stored[column.name]
        if dtype_of(column).kind == "O":
            values = ["" if value is None else value for value in values]
        columns[column.name] = np.array(values, dtype=dtype_of(column))
    return columns


def examples(served: ServedVersion, rest: Rest) -> dict[str, tuple[bytes, bytes]]:
    """By route: the body of a request with one of these rows, and of its answer."""
    columns = row_of(warmup_columns(served), 0)
    requests = {"predict": _predict_request(served, columns), "infer": _infer_request(served, columns)}
    answers = {"predict": rest.predict(requests["predict"]), "infer": rest.infer(requests["infer"])}
    label = msgspec.json.decode(answers["predict"].body)["predictions"][0]
    truth = {"prediction_id": label["prediction_id"], "truth": label["label"]}
    received = {"prediction_id": label["prediction_id"], "received": Received.NEW}
    return {name: (requests[name].body, answers[name].body) for name in requests} | {
        "feedback": (msgspec.json.encode(truth), msgspec.json.encode(received))
    }


def _walk(served: ServedVersion, rest: Rest, columns: Columns) -> None:
    rest.predict(_predict_request(served, columns))
    rest.infer(_infer_request(served, columns))
    tensors = _tensors(served, columns)
    parts = [to_wire(values) for _, values in tensors]
    binary = [
        {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": values.shape,
            "parameters": {"binary_data_size": len(part)},
        }
        for (spec, values), part in zip(tensors, parts, strict=True)
    ]
    head = msgspec.json.encode({"inputs": binary, "parameters": {"binary_data_output": True}})
    rest.infer(Request({HEADER_LENGTH: b"%d" % len(head)}, b"", b"".join([head, *parts]), CALLER))
    message = pb.ModelInferRequest(model_name=served.name.model, raw_input_contents=parts)
    for spec, values in tensors:
        message.inputs.add(name=spec.name, datatype=spec.datatype, shape=values.shape)
    infer(served, pb.ModelInferRequest.FromString(message.SerializeToString()), CALLER).SerializeToString()


def _predict_request(served: ServedVersion, columns: Columns) -> Request:
    rows = zip(*(json_cells(column, columns[column.name]) for column in served.card.columns), strict=True)
    body = msgspec.json.encode({"rows": [dict(zip(columns, row, strict=True)) for row in rows]})
    return Request({b"content-type": JSON}, b"", body, CALLER)


def _infer_request(served: ServedVersion, columns: Columns) -> Request:
    inputs = [
        {"name": spec.name, "datatype": spec.datatype, "shape": values.shape, "data": _cells(values.ravel())}
        for spec, values in _tensors(served, columns)
    ]
    return Request({}, b"", msgspec.json.encode({"inputs": inputs}), CALLER)


def _tensors(served: ServedVersion, columns: Columns) -> list[tuple[TensorSpec, NDArray[Any]]]:
    specs = served.tensors.inputs
    if served.card.is_numeric:
        return [(specs[0], np.column_stack(list(columns.values())).astype(np.float64))]
    return [(spec, columns[spec.name]) for spec in specs]


def _cells(values: NDArray[Any]) -> list[Any]:
    """As JSON: an empty word is null, as msgspec makes NaN null."""
    return [None if value == "" else value for value in values.tolist()]


def _seconds(served: ServedVersion, columns: Columns) -> float:
    started = time.perf_counter()
    served.answering.kernel.predict(columns)
    return time.perf_counter() - started
