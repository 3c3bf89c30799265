"""A small server process of one version: REST and gRPC that echo what arrived, and fail in the ways that a request asks for.

A request's header `x-fault-<version>` (gRPC: metadata of that name) makes this version misbehave, and no other:
`status=503`, `slow-status=503`, `grpc=13`, `delay=0.3`, `reset`, `hang`. Run as `python echo_server.py VERSION HTTP_PORT GRPC_PORT HOST`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import grpc
import grpc.aio
import uvicorn
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

SEEN: list[dict[str, str]] = []
"""The request id, the shadow mark and the fault asked for of every request that was no health check, oldest first."""
HEALTH = HealthServicer()
READY = True


def remember(version: str, headers: dict[str, str]) -> tuple[str, str]:
    """Keep what a request was; the fault that it asks of this version, and the fault's argument."""
    asked = headers.get(f"x-fault-{version}", "")
    seen = {"request_id": headers.get("x-request-id", ""), "shadow": headers.get("x-canario-shadow", "")}
    SEEN.append(seen | {"fault": asked})
    fault, _, argument = asked.partition("=")
    return fault, argument


async def answer(send: Send, status: int, content: object) -> None:
    """A whole JSON answer."""
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def rest(version: str, scope: Message, receive: Receive, send: Send) -> None:
    """One REST request; `/readyz` is the health check, `/seen` and `/health/up|down` are for the tests."""
    global READY  # noqa: PLW0603 - one process is one server
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    path = scope["path"]
    if path == "/readyz":
        return await answer(send, 200 if READY else 503, {"ready": READY})
    if path == "/seen":
        return await answer(send, 200, SEEN)
    if path.startswith("/health/"):
        READY = path == "/health/up"
        state = health_pb2.HealthCheckResponse.SERVING if READY else health_pb2.HealthCheckResponse.NOT_SERVING
        await HEALTH.set("", state)
        return await answer(send, 200, {"ready": READY})
    fault, argument = remember(version, headers)
    if fault == "reset":
        # uvicorn has no word for it: `receive` is a method of the cycle that holds the connection.
        return receive.__self__.transport.abort()  # type: ignore[attr-defined, no-any-return] # see above
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    if fault in ("delay", "hang"):
        await asyncio.sleep(float(argument or 3600))
    if fault == "slow-status":
        await asyncio.sleep(0.15)
    status = int(argument) if fault.endswith("status") else 200
    return await answer(send, status, {"version": version, "path": path, "bytes": size, "headers": headers})


class Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg] # generic in its stubs only
    """Every unary gRPC method: the answer is `{version, method, metadata}` as JSON bytes."""

    def __init__(self, version: str) -> None:
        self.version = version

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Methods of `/echo.Echo/` exist; all others are UNIMPLEMENTED."""
        if not details.method.startswith("/echo.Echo/"):
            return None
        return grpc.unary_unary_rpc_method_handler(self.echo)

    async def echo(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Answer, or fail as asked."""
        metadata = {str(name): str(value) for name, value in context.invocation_metadata() or ()}
        fault, argument = remember(self.version, metadata)
        if fault == "grpc":
            code = next(code for code in grpc.StatusCode if code.value[0] == int(argument))
            await context.abort(code, "as asked")
        if fault in ("delay", "hang"):
            await asyncio.sleep(float(argument or 3600))
        return json.dumps({"version": self.version, "bytes": len(request), "metadata": metadata}).encode()


async def main(version: str, http_port: int, grpc_port: int, host: str) -> None:
    """Serve until SIGTERM."""
    grpc_server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)])
    grpc_server.add_generic_rpc_handlers((Echo(version),))
    health_pb2_grpc.add_HealthServicer_to_server(HEALTH, grpc_server)
    await HEALTH.set("", health_pb2.HealthCheckResponse.SERVING)
    grpc_server.add_insecure_port(f"{host}:{grpc_port}")
    await grpc_server.start()

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await rest(version, scope, receive, send)

    options = uvicorn.Config(
        application, host=host, port=http_port, log_level="warning", lifespan="off", timeout_keep_alive=75
    )
    await uvicorn.Server(options).serve()
    await grpc_server.stop(1)


if __name__ == "__main__":
    # As the real server does: an answer leaves in one system call, so a killed server leaves a whole one or none.
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
