"""The gRPC face: the Open Inference Protocol's service, as functions from bytes to bytes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio

from canario.errors import CanarioError, InputError
from canario.serving import open_inference_pb2 as pb
from canario.serving.answering import REQUEST_HEADER, Caller, caller_of
from canario.serving.infer_grpc import infer
from canario.serving.metadata import model_metadata, properties, server_metadata
from canario.serving.request_metrics import Protocol
from canario.serving.served import ServedVersion

logger = logging.getLogger(__name__)

SERVICE = "inference.GRPCInferenceService"
Context = aio.ServicerContext[Any, Any]
M = TypeVar("M", bound=Message)


class GrpcFace:
    """The methods. Each takes and gives bytes: what cannot be parsed is then answered as bad input, not as a failure."""

    def __init__(self, served: ServedVersion) -> None:
        self._served = served
        self._properties = [
            (f"canario-{name.replace('_', '-')}", value.encode("ascii", "replace").decode())
            for name, value in properties(served.record).items()
        ]

    def handlers(self) -> grpc.GenericRpcHandler[Any, Any]:
        """The service, for a grpc.aio server."""
        methods = {
            "ServerLive": self._method("live", pb.ServerLiveRequest, self._live),
            "ServerReady": self._method("ready", pb.ServerReadyRequest, self._server_ready),
            "ModelReady": self._method("ready", pb.ModelReadyRequest, self._model_ready),
            "ServerMetadata": self._method("metadata", pb.ServerMetadataRequest, self._server_metadata),
            "ModelMetadata": self._method("metadata", pb.ModelMetadataRequest, self._model_metadata),
            "ModelInfer": self._method("infer", pb.ModelInferRequest, self._infer),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _live(self, _: pb.ServerLiveRequest, __: Context, ___: Caller) -> Message:
        return pb.ServerLiveResponse(live=True)

    async def _server_ready(self, _: pb.ServerReadyRequest, __: Context, ___: Caller) -> Message:
        return pb.ServerReadyResponse(ready=not self._served.is_draining)

    async def _model_ready(self, request: pb.ModelReadyRequest, _: Context, __: Caller) -> Message:
        self._served.check_name(request.name, request.version)
        return pb.ModelReadyResponse(ready=not self._served.is_draining)

    async def _server_metadata(self, _: pb.ServerMetadataRequest, __: Context, ___: Caller) -> Message:
        return pb.ServerMetadataResponse(**server_metadata())

    async def _model_metadata(self, request: pb.ModelMetadataRequest, context: Context, _: Caller) -> Message:
        self._served.check_name(request.name, request.version)
        metadata = model_metadata(self._served.record, self._served.tensors)
        del metadata["properties"]  # the protocol's message has no field for them
        context.set_trailing_metadata(self._properties)
        return pb.ModelMetadataResponse(**metadata)

    async def _infer(self, request: pb.ModelInferRequest, context: Context, caller: Caller) -> Message:
        self._served.check_name(request.model_name, request.model_version)
        context.set_trailing_metadata(((REQUEST_HEADER, caller.request),))
        return await self._served.turns.compute(request.ByteSize(), partial(infer, self._served, request, caller))

    def _method(
        self, name: str, kind: type[M], answer: Callable[[M, Context, Caller], Awaitable[Message]]
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def method(body: bytes, context: Context) -> bytes:
            started = time.perf_counter()
            status, is_gone = 200, False
            headers = dict(context.invocation_metadata() or ())
            caller = caller_of(lambda name: str(headers.get(name, "")), Protocol.GRPC)
            try:
                return (await answer(_parsed(kind, body), context, caller)).SerializeToString()
            except asyncio.CancelledError:
                is_gone = True  # the client gave up: as over REST, that is no answer and no failure
                raise
            except CanarioError as error:
                status = error.http_status
                if isinstance(error, InputError) and not caller.shadow:
                    self._served.metrics.count_refused(error.column)
                if status == 500:
                    logger.warning("%s: %s", name, error)
                await _abort(context, error)
            except Exception:
                status = 500
                logger.exception("%s failed", name)
                await _abort(context, CanarioError("the server failed", hint="its log says why"))
            finally:
                if not (caller.shadow or is_gone):
                    self._served.metrics.count(Protocol.GRPC, name, status, time.perf_counter() - started)

        return grpc.unary_unary_rpc_method_handler(method)


def _parsed(kind: type[M], body: bytes) -> M:
    try:
        return kind.FromString(body)
    except DecodeError as broken:
        raise InputError(f"this is not a {kind.DESCRIPTOR.name}: {broken}", at="message") from broken


async def _abort(context: Context, error: CanarioError) -> NoReturn:
    hint = f"; {error.hint}" if error.hint else ""
    await context.abort(grpc.StatusCode[error.grpc_status], f"{error}{hint}")
