"""Requests that fit the small versions, in every protocol's own form, for tests to send or to spoil."""

from __future__ import annotations

import copy
from typing import Any

import grpc
import msgspec
import numpy as np

from canario.serving import open_inference_pb2 as pb

SERVICE = "/inference.GRPCInferenceService"

CUSTOMER: dict[str, Any] = {
    "amount": 120.5,
    "age": 40,
    "member": True,
    "country": "PT",
    "note": "olá",
    "distance": None,
    "visits": 3,
    "referrer": None,
}
DATATYPES = {
    "amount": "FP64",
    "age": "INT64",
    "member": "BOOL",
    "country": "BYTES",
    "note": "BYTES",
    "distance": "FP64",
    "visits": "FP64",
    "referrer": "BYTES",
}
FLATS = [[50.5, 2.0, 1.0], [80.0, 3.0, 0.0]]
_WIRE = {"FP64": "<f8", "INT64": "<i8", "BOOL": "?"}
_CONTENTS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}


def customer(**changes: Any) -> dict[str, Any]:
    """A row of the shop."""
    return {**CUSTOMER, **changes}


def shop_inputs(rows: int = 1) -> dict[str, Any]:
    """A request of the Open Inference Protocol in JSON, one input a column."""
    return {
        "inputs": [
            {"name": name, "datatype": datatype, "shape": [rows], "data": [CUSTOMER[name]] * rows}
            for name, datatype in DATATYPES.items()
        ]
    }


def rent_inputs() -> dict[str, Any]:
    """The same with one input for all columns."""
    return {"inputs": [{"name": "input", "datatype": "FP64", "shape": [2, 3], "data": copy.deepcopy(FLATS)}]}


def binary(request: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a JSON request as a binary one."""
    request = copy.deepcopy(request)
    parts = []
    for tensor in request["inputs"]:
        parts.append(wire(tensor["datatype"], tensor.pop("data")))
        tensor["parameters"] = {"binary_data_size": len(parts[-1])}
    head = msgspec.json.encode(request)
    return b"".join([head, *parts]), {"Inference-Header-Content-Length": str(len(head))}


def wire(datatype: str, data: Any) -> bytes:
    """Values as the protocol's bytes."""
    values = np.array(data, dtype=object).ravel().tolist()
    if datatype == "BYTES":
        words = [("" if value is None else value).encode() for value in values]
        return b"".join(len(word).to_bytes(4, "little") + word for word in words)
    return np.array([np.nan if value is None else value for value in values], dtype=_WIRE[datatype]).tobytes()


def message(model: str, request: dict[str, Any], *, raw: bool = True) -> pb.ModelInferRequest:
    """A JSON request as a gRPC one, in raw or in typed contents."""
    made = pb.ModelInferRequest(model_name=model)
    for tensor in request["inputs"]:
        added = made.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
        if raw:
            made.raw_input_contents.append(wire(tensor["datatype"], tensor["data"]))
        else:
            values = np.array(tensor["data"], dtype=object).ravel().tolist()
            if tensor["datatype"] == "BYTES":
                values = [("" if value is None else value).encode() for value in values]
            values = [float("nan") if value is None else value for value in values]
            getattr(added.contents, _CONTENTS[tensor["datatype"]]).extend(values)
    return made


def call(target: str, method: str, body: bytes, metadata: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Any bytes to a method over gRPC, and the bytes that come back. Raises grpc.RpcError."""
    with grpc.insecure_channel(target) as channel:
        answer: bytes = channel.unary_unary(f"{SERVICE}/{method}", bytes, bytes)(body, timeout=60, metadata=metadata)
        return answer


def infer(target: str, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    """An inference over gRPC."""
    return pb.ModelInferResponse.FromString(call(target, "ModelInfer", request.SerializeToString()))
