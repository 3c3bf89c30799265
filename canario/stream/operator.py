"""A worker's own port for operators: /livez, /readyz with the reasons, /metrics; answered by the worker's loop, so that a stuck one is seen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from prometheus_client import CONTENT_TYPE_LATEST

from canario.errors import Conflict

REQUEST_SECONDS = 5.0
_LONGEST_HEAD_BYTES = 16_384


async def serve_operator(
    host: str, port: int, troubles: Callable[[], Sequence[str]], metrics: Callable[[], bytes]
) -> asyncio.Server:
    """Listen; port 0 takes any free one. `troubles` is why the worker is not ready, empty when it is. Raises Conflict."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                path = b"".join(head.split(b" ", 2)[1:2]).partition(b"?")[0]  # none in what is no request
                writer.write(_response(path, troubles, metrics))
                await writer.drain()
        writer.close()

    try:
        return await asyncio.start_server(answer, host or None, port, limit=_LONGEST_HEAD_BYTES)
    except OSError as taken:
        raise Conflict(
            f"the worker cannot listen on port {port}: {taken.strerror}",
            at=f"port {port}",
            hint="choose another with --operator-port",
        ) from taken


def port_of(server: asyncio.Server) -> int:
    """Where it listens."""
    return int(server.sockets[0].getsockname()[1])


def _response(path: bytes, troubles: Callable[[], Sequence[str]], metrics: Callable[[], bytes]) -> bytes:
    status, kind, body = b"200 OK", b"text/plain", b"ok\n"
    if path == b"/metrics":
        kind, body = CONTENT_TYPE_LATEST.encode(), metrics()
    elif path == b"/readyz":
        found = troubles()
        if found:
            status, body = b"503 Service Unavailable", "".join(f"{each}\n" for each in found).encode()
    elif path != b"/livez":
        status, body = b"404 Not Found", b"/livez, /readyz or /metrics\n"
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, kind, len(body)) + body
