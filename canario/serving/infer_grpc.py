"""Inference requests of the Open Inference Protocol over gRPC: typed and raw contents to columns, predictions to raw ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.errors import InputError
from canario.kernel.predictions import Predictions
from canario.serving import open_inference_pb2 as pb
from canario.serving.answering import Caller
from canario.serving.served import ServedVersion
from canario.serving.tensors import (
    TensorHead,
    TensorsCodec,
    from_wire,
    output_values,
    refuse_parameters,
    to_wire,
    words_of,
)

_FIELDS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}
_ALL_FIELDS = [field.name for field in pb.InferTensorContents.DESCRIPTOR.fields]
_DTYPES = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_}


def infer(served: ServedVersion, request: pb.ModelInferRequest, caller: Caller) -> pb.ModelInferResponse:
    """Answer tensors, the outputs in raw contents. Raises CanarioError."""
    wanted = served.tensors.wanted([output.name for output in request.outputs])
    predictions = served.answering.answer(_columns(served.tensors, request), caller)
    return _response(served, request, wanted, predictions, served.answering.prediction_prefix(caller))


def _columns(codec: TensorsCodec, request: pb.ModelInferRequest) -> dict[str, NDArray[Any]]:
    for part in ("inputs", "outputs"):
        for place, tensor in enumerate(getattr(request, part)):
            refuse_parameters(tensor.parameters, f"{part}[{place}].parameters")
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InputError(
            f"{len(raw)} raw contents for {len(request.inputs)} inputs",
            at="raw_input_contents",
            hint="send one for each input, in their order, or none",
        )

    def content(place: int, datatype: str, count: int) -> NDArray[Any]:
        tensor = request.inputs[place]
        if not raw:
            return _from_typed(tensor.contents, datatype, count, place)
        if tensor.HasField("contents"):
            raise InputError(f"{tensor.name} has both raw and typed contents", at=f"inputs[{place}].contents")
        return from_wire(datatype, raw[place], count, f"raw_input_contents[{place}]", place)

    heads = [TensorHead(tensor.name, tensor.datatype, tensor.shape) for tensor in request.inputs]
    return codec.columns(heads, content)


def _response(
    served: ServedVersion, request: pb.ModelInferRequest, wanted: Sequence[str], predictions: Predictions, prefix: str
) -> pb.ModelInferResponse:
    response = pb.ModelInferResponse(model_name=served.name.model, model_version=served.name.tag, id=request.id)
    response.parameters["prediction_id_prefix"].string_param = prefix
    datatypes = {spec.name: spec.datatype for spec in served.tensors.outputs}
    for name in wanted:
        values = output_values(name, predictions)
        response.outputs.add(name=name, datatype=datatypes[name], shape=values.shape)
        response.raw_output_contents.append(to_wire(values))
    return response


def _from_typed(contents: pb.InferTensorContents, datatype: str, count: int, place: int) -> NDArray[Any]:
    field = _FIELDS[datatype]
    for other in _ALL_FIELDS:
        if other != field and len(getattr(contents, other)) > 0:
            raise InputError(
                f"{other} does not carry {datatype}", at=f"inputs[{place}].contents.{other}", hint=f"use {field}"
            )
    values = getattr(contents, field)
    if len(values) != count:
        raise InputError(
            f"{len(values)} values are not the {count} of the shape", at=f"inputs[{place}].contents.{field}"
        )
    if datatype == "BYTES":
        return words_of(values, place)
    return np.array(values, dtype=_DTYPES[datatype])
