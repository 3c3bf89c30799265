"""HTTP as this server speaks it: answers leave whole, so that a killed server never leaves half of one, and a request's head has a limit."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD_BYTES = 64 * 1024
"""Of a request: its path and its headers. Envoy lets 60 KiB through."""

_TOO_LONG = msgspec.json.encode(
    {
        "error": "the head of the request is too long",
        "at": "headers",
        "hint": f"send at most {LONGEST_HEAD_BYTES} bytes of path and headers; rows belong into the body",
    }
)
_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n" % len(_TOO_LONG)
) + _TOO_LONG


class _HeadTooLongError(Exception):
    """Ends the parser's work on a connection."""


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, which writes an answer's head and body one after the other, over a transport that joins them."""

    _is_in_head = False
    _most_bytes = 0
    """A request's head, which may share its first and its last piece with bodies, has no more bytes than this."""
    _least_bytes = 0
    """And no less: the pieces after its first."""
    _is_too_long = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own is
        """A client is here."""
        super().connection_made(_Joining(transport))  # type: ignore[arg-type]  # it has a transport's methods

    def data_received(self, data: bytes) -> None:
        """A piece of requests. The parser keeps an unfinished head, however long, so its pieces are counted here."""
        if self._is_in_head:
            self._most_bytes += len(data)
            self._least_bytes += len(data)
        else:
            self._most_bytes = len(data)
        super().data_received(data)
        if self._is_in_head and self._least_bytes > LONGEST_HEAD_BYTES:
            self._refuse()

    def on_message_begin(self) -> None:
        """A request's first byte is here."""
        self._is_in_head = True
        self._least_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's head is whole; only where many bytes came is it measured."""
        self._is_in_head = False
        if self._most_bytes > LONGEST_HEAD_BYTES:
            # Four bytes a header are its colon, space and line end.
            head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if head_bytes > LONGEST_HEAD_BYTES:
                self._is_too_long = True
                raise _HeadTooLongError
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser has stopped, for its own reason or for the one above."""
        if self._is_too_long:
            self._refuse()
        else:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """An answer without a body (to HEAD) still waits in the transport."""
        self.transport.flush()  # type: ignore[attr-defined]  # it is the one from above
        super().on_response_complete()

    def _refuse(self) -> None:
        self._is_in_head = False
        self.transport.write(_REFUSAL)
        self.transport.close()


class _Joining:
    """A transport that keeps an answer's head until its body comes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        self.flush()
        self._transport.close()
