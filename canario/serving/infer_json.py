"""Inference requests of the Open Inference Protocol over REST: JSON, and the binary tensor data extension.

In a binary request the header `Inference-Header-Content-Length` says how many bytes of the body are JSON; the tensors
that have a `binary_data_size` follow in their order. Binary answers are built alike.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from canario.errors import InputError
from canario.kernel.predictions import Predictions
from canario.kernel.rows import reason_and_place
from canario.model.version import VersionName
from canario.serving.tensors import TensorHead, TensorsCodec, from_wire, output_values, refuse_parameters, to_wire

HEADER_LENGTH = b"inference-header-content-length"
_LARGEST_INT64 = 2**63 - 1

_Int64 = Annotated[int, msgspec.Meta(ge=-_LARGEST_INT64 - 1, le=_LARGEST_INT64)]
_FLAT: dict[str, Any] = {
    "FP64": list[float | None],
    "INT64": list[_Int64],
    "BOOL": list[bool],
    "BYTES": list[str | None],
    "BYTES without null": list[str],
}


class _Input(msgspec.Struct):
    name: str
    shape: list[_Int64]
    datatype: str
    parameters: dict[str, Any] = {}
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[_Output] = []


_REQUEST = msgspec.json.Decoder(_Request)
_DATA = {datatype: msgspec.json.Decoder(kind) for datatype, kind in _FLAT.items()}
_NESTED = {datatype: msgspec.json.Decoder(list[kind]) for datatype, kind in _FLAT.items()}  # type: ignore[valid-type]  # built from a table
_ENCODER = msgspec.json.Encoder()


class InferRequest:
    """A request that has been read and whose columns fit the card. Raises InputError, with a path, when they don't."""

    def __init__(self, codec: TensorsCodec, body: bytes, header_length: bytes | None) -> None:
        size = _header_size(header_length, body)
        sent = _decode(body[:size])
        for place, output in enumerate(sent.outputs):
            refuse_parameters(output.parameters, f"outputs[{place}].parameters")
        self._inputs = sent.inputs
        self._never_null = codec.never_null
        self._binary = _binary_parts(sent.inputs, body, size)
        self.id = sent.id
        self.wanted = codec.wanted([output.name for output in sent.outputs])
        everywhere = sent.parameters.get("binary_data_output") is True
        self._as_binary = {
            output.name: output.parameters.get("binary_data", everywhere) is True for output in sent.outputs
        } or dict.fromkeys(self.wanted, everywhere)
        heads = [TensorHead(tensor.name, tensor.datatype, tensor.shape) for tensor in sent.inputs]
        self.columns = codec.columns(heads, self._content)

    def answer(
        self, codec: TensorsCodec, name: VersionName, predictions: Predictions, prediction_prefix: str
    ) -> tuple[bytes, int | None]:
        """The response's body, and how many of its bytes are JSON when tensors follow."""
        outputs: list[dict[str, Any]] = []
        tail: list[bytes] = []
        datatypes = {spec.name: spec.datatype for spec in codec.outputs}
        for wanted in self.wanted:
            values = output_values(wanted, predictions)
            output: dict[str, Any] = {"name": wanted, "datatype": datatypes[wanted], "shape": values.shape}
            if self._as_binary[wanted]:
                raw = to_wire(values)
                output["parameters"] = {"binary_data_size": len(raw)}
                tail.append(raw)
            else:
                output["data"] = values.ravel().tolist()
            outputs.append(output)
        head: dict[str, Any] = {"model_name": name.model, "model_version": name.tag}
        if self.id:
            head["id"] = self.id
        json = _ENCODER.encode(head | {"parameters": {"prediction_id_prefix": prediction_prefix}, "outputs": outputs})
        return (b"".join([json, *tail]), len(json)) if tail else (json, None)

    def _content(self, place: int, datatype: str, count: int) -> NDArray[Any]:
        if place in self._binary:
            return from_wire(datatype, self._binary[place], count, f"inputs[{place}].data", place)
        data = self._inputs[place].data
        if isinstance(data, msgspec.UnsetType):
            raise InputError(
                f"{self._inputs[place].name} has no data",
                at=f"inputs[{place}].data",
                hint="send data, or binary_data_size and the bytes after the JSON",
            )
        is_never_null = self._inputs[place].name in self._never_null
        return _from_json(datatype, bytes(data), count, f"inputs[{place}].data", is_never_null=is_never_null)


def _header_size(header_length: bytes | None, body: bytes) -> int:
    if header_length is None:
        return len(body)
    # isdigit alone would let through more digits than int() takes.
    size = int(header_length) if header_length.isdigit() and len(header_length) < 12 else -1
    if not 0 <= size <= len(body):
        raise InputError(
            f"Inference-Header-Content-Length is not a number of bytes within the body, which has {len(body)}",
            at="headers.Inference-Header-Content-Length",
        )
    return size


def _decode(json: bytes) -> _Request:
    try:
        return _REQUEST.decode(json)
    except (ValueError, RecursionError) as wrong:
        what, at = reason_and_place(wrong)
        raise InputError(
            f"the request is not one of the Open Inference Protocol: {what}",
            at=at.removeprefix("."),
            hint='send {"inputs": [{"name", "shape", "datatype", "data"}]}',
        ) from wrong


def _binary_parts(inputs: list[_Input], body: bytes, offset: int) -> dict[int, bytes]:
    """The bytes of each input that came in binary, by its place."""
    parts = {}
    for place, tensor in enumerate(inputs):
        at = f"inputs[{place}].parameters"
        refuse_parameters(tensor.parameters, at)
        if "binary_data_size" not in tensor.parameters:
            continue
        size = tensor.parameters["binary_data_size"]
        if type(size) is not int or not 0 <= size <= len(body) - offset:
            raise InputError(
                f"{tensor.name[:60]} has {len(body) - offset} bytes left in the body, and binary_data_size says otherwise",
                at=f"{at}.binary_data_size",
                hint="is the header Inference-Header-Content-Length set?",
            )
        if tensor.data is not msgspec.UNSET:
            raise InputError(f"{tensor.name[:60]} has both data and binary_data_size", at=f"inputs[{place}].data")
        parts[place] = body[offset : offset + size]
        offset += size
    if offset != len(body):
        raise InputError(f"{len(body) - offset} bytes of the body belong to no input", at="inputs")
    return parts


def _from_json(datatype: str, data: bytes, count: int, at: str, *, is_never_null: bool) -> NDArray[Any]:
    wanted = "BYTES without null" if is_never_null else datatype
    is_nested = data[1:].lstrip()[:1] == b"["
    try:
        values = (_NESTED if is_nested else _DATA)[wanted].decode(data)
    except (ValueError, RecursionError) as wrong:
        what, place = reason_and_place(wrong)
        raise InputError(f"this is not {datatype}: {what}", at=f"{at}{place}") from wrong
    if is_nested:
        if len({len(row) for row in values}) > 1:
            raise InputError("the rows differ in length", at=at)
        values = [value for row in values for value in row]
    if len(values) != count:
        raise InputError(f"{len(values)} values are not the {count} of the shape", at=at)
    if datatype == "BYTES":
        words = np.empty(count, dtype=object)
        words[:] = ["" if value is None else value for value in values]
        return words
    return np.array(values, dtype={"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_}[datatype])
