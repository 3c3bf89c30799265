"""HTTP answers that leave whole: head and body in one write, so that a killed server never leaves half an answer behind."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, which writes an answer's head and body one after the other, over a transport that joins them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own is
        """A client is here."""
        super().connection_made(_Joining(transport))  # type: ignore[arg-type]  # it has a transport's methods

    def on_response_complete(self) -> None:
        """An answer without a body (to HEAD) still waits in the transport."""
        self.transport.flush()  # type: ignore[attr-defined]  # it is the one from above
        super().on_response_complete()


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
