"""A worker's operator port: what operators read, and what is no request."""

from __future__ import annotations

import asyncio
import logging

import pytest

from canario.stream.operator import port_of, serve_operator


async def said(port: int, words: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n")[0]


def test_what_is_no_request_is_answered_and_leaves_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Scanners and slips get an answer; the log of a worker is not filled by them."""

    async def ask() -> list[bytes]:
        server = await serve_operator("127.0.0.1", 0, list, lambda: b"")
        async with server:
            return [await said(port_of(server), b"%b\r\n\r\n" % words) for words in (b"x", b"", b"GET /livez HTTP/1.1")]

    with caplog.at_level(logging.DEBUG):
        nothing, empty, alive = asyncio.run(ask())
    assert nothing == empty == b"HTTP/1.1 404 Not Found"
    assert alive == b"HTTP/1.1 200 OK"
    assert not [record for record in caplog.records if record.exc_info]
