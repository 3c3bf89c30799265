"""The socket under a connection to RabbitMQ: it can be cut, it can be held back, and what nobody can decode ends nothing."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any, cast

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from pamqp.header import ContentHeader
from yarl import URL

UNREADABLE_PROPERTIES = "unreadable"
"""The cluster_id of a message whose properties could not be decoded."""

_DELIVER = b"\x00\x3c\x00\x3c"
"""How the method that brings a message begins: its class and its number."""
_HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_SIGN_OF_LIFE_SECONDS = 0.5


class Line(TransportFactory):
    """One socket, as the client library asks for it."""

    def __init__(self, scheme: str) -> None:
        self._dial: TransportFactory = TLSTransportFactory() if scheme == "amqps" else TCPTransportFactory()
        self._writer: asyncio.StreamWriter | None = None
        self._may_read = asyncio.Event()
        self._may_read.set()

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Dial; called by the client library."""
        reader, self._writer = await self._dial.create(url, **kwargs)
        return cast("asyncio.StreamReader", _Reader(reader, self._may_read)), self._writer

    @property
    def was_open(self) -> bool:
        """Whether somebody took the call."""
        return self._writer is not None

    def hold_back(self, *, is_full: bool) -> None:
        """Leave what the broker sends with the broker, or go on."""
        if is_full:
            self._may_read.clear()
        else:
            self._may_read.set()

    def cut(self) -> None:
        """End it at once; what was not sent is dropped."""
        self._may_read.set()
        if self._writer is not None:
            self._writer.transport.abort()


class _Reader:
    """Hands over frames as the client library reads them: seven bytes of start in two pieces, then the rest in one."""

    _START = struct.Struct(">BHI")
    _METHOD, _HEADER = 1, 2

    def __init__(self, reader: asyncio.StreamReader, may_read: asyncio.Event) -> None:
        self._reader = reader
        self._may_read = may_read
        self._start = b""
        self._made = b""
        """What is left of a frame that was made here."""

    def at_eof(self) -> bool:
        return self._reader.at_eof()

    async def read(self, most: int = -1) -> bytes:
        return await self._reader.read(most)

    async def readexactly(self, number: int) -> bytes:
        if not self._start and not self._made and not self._may_read.is_set():
            await self._held_back()
        if self._made:
            some, self._made = self._made[:number], self._made[number:]
            return some
        some = await self._reader.readexactly(number)
        if len(self._start) < self._START.size:
            self._start += some
            return some
        kind = self._start[0]
        self._start = b""
        if kind == self._HEADER:
            return readable_header(some)
        return readable_delivery(some) if kind == self._METHOD and some.startswith(_DELIVER) else some

    async def _held_back(self) -> None:
        # The client takes a broker that says nothing for dead; the broker's own signs of life wait in the socket behind the rest.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._may_read.wait(), _SIGN_OF_LIFE_SECONDS)
            return
        if self._reader.exception() is None and not self._reader.at_eof():
            self._made = _HEARTBEAT


def readable_header(frame: bytes) -> bytes:
    """A header frame after its start, as it is if it can be decoded; else as long, with one property: the unused cluster_id."""
    with contextlib.suppress(Exception):
        ContentHeader().unmarshal(frame[:-1])
        return frame
    # Class, weight and the body's size are of fixed length; then flags, here of cluster_id alone, a length and a word.
    if len(frame) < 17:
        return frame[:12] + b"\x00" * (len(frame) - 13) + frame[-1:]
    word = UNREADABLE_PROPERTIES.encode()[: len(frame) - 16]
    made = frame[:12] + struct.pack(">HB", 1 << 2, len(word)) + word
    return made + b"\x00" * (len(frame) - 1 - len(made)) + frame[-1:]


def readable_delivery(frame: bytes) -> bytes:
    """A delivery's frame after its start; an exchange or a routing key that is no text becomes question marks."""
    # Class, method, the consumer's name after its length, a tag of eight bytes and a bit; then the two, each after its length.
    at = 4 + 1 + frame[4] + 8 + 1
    for _ in range(2):
        start, end = at + 1, at + 1 + frame[at]
        try:
            frame[start:end].decode()
        except UnicodeDecodeError:
            frame = frame[:start] + b"?" * (end - start) + frame[end:]
        at = end
    return frame
