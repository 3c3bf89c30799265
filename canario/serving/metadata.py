"""What a server and its version say of themselves, in the words of the Open Inference Protocol."""

from __future__ import annotations

from typing import Any

from canario import __version__
from canario.model.version import KernelKind, VersionRecord
from canario.serving.tensors import TensorsCodec, TensorSpec

SERVER_NAME = "canario"
EXTENSIONS = ("binary_tensor_data",)
PLATFORMS = {KernelKind.ONNX: "onnxruntime_onnx", KernelKind.SKLEARN: "sklearn"}


def server_metadata() -> dict[str, Any]:
    """The answer of `GET /v2`."""
    return {"name": SERVER_NAME, "version": __version__, "extensions": EXTENSIONS}


def model_metadata(record: VersionRecord, codec: TensorsCodec) -> dict[str, Any]:
    """The answer of `GET /v2/models/{model}`."""
    return {
        "name": record.name.model,
        "versions": [record.name.tag],
        "platform": PLATFORMS[record.kernel.kind],
        "inputs": [_tensor(spec) for spec in codec.inputs],
        "outputs": [_tensor(spec) for spec in codec.outputs],
        "properties": properties(record),
    }


def properties(record: VersionRecord) -> dict[str, str]:
    """What the protocol has no field for."""
    return {
        "digest": record.digest,
        "kernel": record.kernel.kind.value,
        "kernel_reason": record.kernel.reason,
        "estimator": record.estimator,
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
