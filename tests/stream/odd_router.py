"""A router that answers as a test tells it to: a real HTTP/1.1 server on loopback, with answers in bytes, so that odd ones can be had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

GONE = b""
"""In place of an answer: hang up."""
SILENCE = b"..."
"""In place of an answer: none, and the connection stays."""


def reply(status: int, body: bytes = b"{}", *headers: str) -> bytes:
    """An answer as every server gives it."""
    lines = [f"HTTP/1.1 {status} Word", f"content-length: {len(body)}", *headers]
    return "\r\n".join((*lines, "\r\n")).encode() + body


GOOD = reply(200, b'{"model":"m","version":"v1","predictions":[]}', "x-canario-version: v1")


@dataclass
class OddRouter:
    """Answers each request by its number, from 0, and its body."""

    answer: Callable[[int, bytes], bytes]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    """Head and body of each."""
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(size)
                self.requests.append(head + body)
                said = self.answer(len(self.requests) - 1, body)
                if said == SILENCE:
                    await asyncio.sleep(60)
                writer.write(said)
                await writer.drain()
                if said == GONE or b"connection: close" in said:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def odd_router(answer: Callable[[int, bytes], bytes]) -> AsyncIterator[OddRouter]:
    """One that listens for the block."""
    odd = OddRouter(answer)
    server = await asyncio.start_server(odd.serve, "127.0.0.1", 0)
    odd.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield odd
    finally:
        server.close()
