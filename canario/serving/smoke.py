"""Asks a running model, over REST and gRPC, with its own example: `python -m canario.serving.smoke --target HOST:PORT --model NAME`.

It needs nothing of the model but its address, so it tells whether clients are answered, through the router or directly.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import httpx
import msgspec

from canario.errors import CanarioError, Conflict, NotFound, Unavailable
from canario.serving import open_inference_pb2 as pb

T = TypeVar("T")

INFER = "/inference.GRPCInferenceService/ModelInfer"
PAUSE_SECONDS = 0.5
_FORMATS = {"FP64": "d", "FP32": "f", "INT64": "q", "BOOL": "?"}
_CONTENTS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}
_NOT_YET = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back over one protocol."""

    model: str
    version: str
    outputs: dict[str, list[Any]]
    """The values of each output, by its name."""
    shape: tuple[tuple[str, str, tuple[int, ...]], ...]
    """Each output's name, datatype and shape: the same for all versions of a model."""

    def __str__(self) -> str:
        values = ", ".join(f"{name} {' '.join(map(str, found))}" for name, found in self.outputs.items())
        return f"{self.model}:{self.version} answers {values}"


def ask(target: str, model: str, timeout_seconds: float, grpc_target: str = "") -> tuple[Answer, Answer]:
    """The model's answers to its own example over REST and over gRPC; waits for a model that is not ready yet.

    A router answers both on one port; a server has another for gRPC.
    Raises NotFound when the target has no such model, Unavailable when it does not answer in time, Conflict when the
    two answers are not of one form.
    """
    deadline = time.monotonic() + timeout_seconds
    with httpx.Client(base_url=f"http://{target}", timeout=timeout_seconds) as client:
        example = _until(deadline, lambda: _example(client, model))
        rest = _until(deadline, lambda: _over_rest(client, model, example))
    with grpc.insecure_channel(grpc_target or target) as channel:
        message = _message(model, example)
        over_grpc = _until(deadline, lambda: _over_grpc(channel, message, deadline))
    if rest.shape != over_grpc.shape:
        raise Conflict(
            f"REST and gRPC answer in different forms: {rest.shape} and {over_grpc.shape}",
            at=target,
            hint="versions with other outputs cannot share a model's name",
        )
    return rest, over_grpc


def main() -> int:
    """Ask, and print one line a protocol; the exit code is 0 only when both were answered."""
    parser = argparse.ArgumentParser(
        prog="python -m canario.serving.smoke", description="Ask a running model with its own example."
    )
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="where REST and gRPC are answered")
    parser.add_argument("--grpc-target", default="", metavar="HOST:PORT", help="where gRPC is, when it is elsewhere")
    parser.add_argument("--model", required=True, help="the model's name")
    parser.add_argument("--timeout-seconds", type=float, default=30.0, help="how long to wait for both answers")
    arguments = parser.parse_args()
    try:
        rest, over_grpc = ask(arguments.target, arguments.model, arguments.timeout_seconds, arguments.grpc_target)
    except CanarioError as error:
        sys.stderr.write(f"canario: {error}\n" + (f"  {error.hint}\n" if error.hint else ""))
        return error.exit_code
    sys.stdout.write(f"REST  {rest}\ngRPC  {over_grpc}\n")
    return 0


def _until(deadline: float, attempt: Callable[[], T]) -> T:
    """The attempt's result; one that was Unavailable is made again until the time is over."""
    while True:
        try:
            return attempt()
        except Unavailable:
            if time.monotonic() + PAUSE_SECONDS >= deadline:
                raise
            time.sleep(PAUSE_SECONDS)


def _example(client: httpx.Client, model: str) -> dict[str, Any]:
    """The request that the model's own documentation shows."""
    document = _json(client, "GET", "/openapi.json")
    try:
        path = document["paths"]["/v2/models/{model}"]
        served = path["parameters"][0]["schema"]["enum"]
        example = document["paths"]["/v2/models/{model}/infer"]["post"]["requestBody"]["content"]["application/json"]
        request: dict[str, Any] = example["example"]
    except (KeyError, IndexError, TypeError) as other:
        raise Conflict(
            "what answers there is no model of canario", at=f"{client.base_url}", hint="look at the target"
        ) from other
    if model not in served:
        raise NotFound(f"there is no model {model!r}", at=f"{client.base_url}", hint=f"it has {', '.join(served)}")
    return request


def _over_rest(client: httpx.Client, model: str, example: dict[str, Any]) -> Answer:
    found = _json(client, "POST", f"/v2/models/{model}/infer", example)
    return Answer(
        model=found["model_name"],
        version=found["model_version"],
        outputs={output["name"]: output["data"] for output in found["outputs"]},
        shape=tuple((output["name"], output["datatype"], tuple(output["shape"])) for output in found["outputs"]),
    )


def _json(client: httpx.Client, method: str, path: str, body: object = None) -> Any:
    try:
        response = client.request(method, path, json=body) if body is not None else client.request(method, path)
    except httpx.HTTPError as failed:
        raise Unavailable(
            f"no answer over REST: {failed}", at=f"{client.base_url}", hint="is the address right, and is it ready?"
        ) from failed
    if response.status_code >= 400:
        kind = Unavailable if response.status_code >= 500 else Conflict
        raise kind(f"{method} {path} over REST: {response.status_code} {response.text[:200]}", at=f"{client.base_url}")
    try:
        return msgspec.json.decode(response.content)
    except msgspec.DecodeError as broken:
        raise Conflict(
            f"{method} {path} is answered with something that is no JSON", at=f"{client.base_url}"
        ) from broken


def _message(model: str, example: dict[str, Any]) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model)
    for tensor in example["inputs"]:
        added = request.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
        contents = getattr(added.contents, _CONTENTS[tensor["datatype"]])
        contents.extend(_typed(value, tensor["datatype"]) for value in _flat(tensor["data"]))
    return request


def _flat(data: Sequence[Any]) -> list[Any]:
    return [value for part in data for value in (_flat(part) if isinstance(part, list) else [part])]


def _typed(value: Any, datatype: str) -> Any:
    """A value of JSON as the message has it: null is an empty word, or no number."""
    if datatype == "BYTES":
        return (value or "").encode()
    return float("nan") if value is None else value


def _over_grpc(channel: grpc.Channel, message: pb.ModelInferRequest, deadline: float) -> Answer:
    method = channel.unary_unary(
        INFER,
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    try:
        found = method(message, timeout=max(deadline - time.monotonic(), PAUSE_SECONDS))
    except grpc.RpcError as failed:
        code, words = failed.code(), failed.details()
        kind = Unavailable if code in _NOT_YET else Conflict
        raise kind(f"no answer over gRPC: {code.name} {words}", at="ModelInfer", hint="REST answers there") from failed
    values = [_values(output, raw) for output, raw in zip(found.outputs, found.raw_output_contents, strict=True)]
    return Answer(
        model=found.model_name,
        version=found.model_version,
        outputs={output.name: value for output, value in zip(found.outputs, values, strict=True)},
        shape=tuple((output.name, output.datatype, tuple(output.shape)) for output in found.outputs),
    )


def _values(output: Any, raw: bytes) -> list[Any]:
    """A tensor's raw bytes as values."""
    if output.datatype != "BYTES":
        size = struct.calcsize(_FORMATS[output.datatype])
        return list(struct.unpack(f"<{len(raw) // size}{_FORMATS[output.datatype]}", raw))
    words, place = [], 0
    while place < len(raw):
        length = int.from_bytes(raw[place : place + 4], "little")
        words.append(raw[place + 4 : place + 4 + length].decode())
        place += 4 + length
    return words


if __name__ == "__main__":
    sys.exit(main())
