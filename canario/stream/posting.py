"""POST over HTTP/1.1 connections that stay open, and nothing else: a message costs a router tens of microseconds, and its client may not cost a thousand.

(httpx looks at every idle connection of its pool before each request: with sixteen of them that took most of a worker's time.)
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from canario.errors import UsageError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
"""The router's own patience ends earlier."""
IDLE_SECONDS = 20.0
"""Routers close idle connections after 30 s; ours are gone before."""
LONGEST_ANSWER_BYTES = 64 * 1024 * 1024


class Unreachable(Exception):
    """There was no connection, or it broke before the answer was whole."""


class TooLate(Exception):
    """The answer did not come in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class _Stale(Exception):
    """A connection that was open before had been closed by the other side when it was used again."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float = 0.0


class Poster:
    """As many connections to one address as there are callers at once."""

    def __init__(self, url: str) -> None:
        """Raises UsageError for what is no address."""
        self.url = url
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as wrong:
            raise UsageError(f"{url!r} is no address: {wrong}", at="--router") from wrong
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"{url!r} is no address of a router" if url else "nobody says where the model's router is",
                at="--router",
                hint="give --router, or set CANARIO_ROUTER_URL to, an address such as http://127.0.0.1:8080",
            )
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port = parts.hostname, port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._name = parts.netloc.rpartition("@")[2]
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever its status. Raises Unreachable, TooLate."""
        lines = [f"POST {self._prefix}{path} HTTP/1.1", f"host: {self._name}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join((*lines, "\r\n")).encode("latin-1") + body
        while (idle := self._take_idle()) is not None:
            with contextlib.suppress(_Stale):
                return await self._exchange(idle, request, was_idle=True)
        return await self._exchange(await self._connect(), request, was_idle=False)

    async def close(self) -> None:
        """Hang up."""
        for connection in self._idle:
            connection.writer.close()
        self._idle.clear()

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        except (OSError, TimeoutError) as failed:
            raise Unreachable(str(failed) or f"no connection within {CONNECT_SECONDS:g} s") from failed
        return _Connection(reader, writer)

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if time.monotonic() - connection.used_at < IDLE_SECONDS and not connection.reader.at_eof():
                return connection
            connection.writer.close()
        return None

    async def _exchange(self, connection: _Connection, request: bytes, *, was_idle: bool) -> Answer:
        is_reusable = False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                with contextlib.suppress(ConnectionError):
                    # Who refuses a request early answers, and closes before it has read everything.
                    connection.writer.write(request)
                    await connection.writer.drain()
                answer, is_reusable = await _read(connection.reader, was_idle=was_idle)
        except TimeoutError as late:
            raise TooLate(f"no answer within {ANSWER_SECONDS:g} s") from late
        except (OSError, EOFError, ValueError) as broken:
            raise Unreachable(f"the connection broke: {str(broken) or type(broken).__name__}") from broken
        else:
            return answer
        finally:
            if is_reusable:
                connection.used_at = time.monotonic()
                self._idle.append(connection)
            else:
                connection.writer.close()


async def _read(reader: asyncio.StreamReader, *, was_idle: bool) -> tuple[Answer, bool]:
    """The answer, and whether the connection may be used again."""
    status, headers = 100, dict[str, str]()
    while 100 <= status < 200:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as ended:
            if was_idle and not ended.partial:
                raise _Stale from ended
            raise
        except asyncio.LimitOverrunError as wide:
            raise ValueError("the answer's head is too long") from wide
        except ConnectionError as reset:
            if was_idle:
                raise _Stale from reset
            raise
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        protocol, _, rest = first.partition(" ")
        if protocol not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdigit():
            raise ValueError("this is no HTTP")
        status = int(rest[:3])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    is_kept = protocol == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, headers, await _read_chunks(reader)), is_kept
    if "content-length" not in headers:
        if status in (204, 304):
            return Answer(status, headers, b""), is_kept
        return Answer(status, headers, await reader.read(LONGEST_ANSWER_BYTES)), False
    return Answer(status, headers, await reader.readexactly(_size(headers["content-length"], 10))), is_kept


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    total = 0
    while size := _size((await reader.readuntil(b"\r\n")).partition(b";")[0].decode("latin-1").strip(), 16):
        total += size
        if total > LONGEST_ANSWER_BYTES:
            raise ValueError("the answer is too long")
        chunks.append((await reader.readexactly(size + 2))[:-2])
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return b"".join(chunks)


def _size(text: str, base: int) -> int:
    size = int(text, base)
    if not 0 <= size <= LONGEST_ANSWER_BYTES:
        raise ValueError("the answer is too long")
    return size
