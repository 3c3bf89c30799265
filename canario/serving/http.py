"""Requests and responses over HTTP: reading a body within its limits, and answering in one piece."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from canario.errors import CanarioError, InputError, TooLarge, UnsupportedMedia
from canario.serving.answering import Caller

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"
_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Request:
    """A request; its body is filled in when it has arrived whole, for the routes that take one."""

    headers: dict[bytes, bytes]
    query: bytes
    body: bytes
    caller: Caller


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Disconnected(Exception):
    """The client has gone before its request was whole; nobody waits for an answer."""


def json_response(content: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """Any content that JSON can carry."""
    return Response(status, _ENCODER.encode(content), JSON, headers)


def error_response(error: CanarioError, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """An error in the one form that every route has: error, at, hint."""
    body = {"error": error.message, "at": error.at, "hint": error.hint}
    return json_response(body, error.http_status, headers)


async def send_response(send: Send, response: Response, *extra: tuple[bytes, bytes]) -> None:
    """Head and body."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        *response.headers,
        *extra,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def read_body(receive: Receive, headers: dict[bytes, bytes], longest_bytes: int) -> bytes:
    """The whole body, decompressed. Raises TooLarge while it is still arriving, UnsupportedMedia, Disconnected."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and (len(declared) > 15 or int(declared) > longest_bytes):
        raise _too_large(longest_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body = message.get("body", b"")
    else:
        body = await _read_rest(receive, message, longest_bytes)
    if len(body) > longest_bytes:
        raise _too_large(longest_bytes)
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    return body if encoding in (b"", b"identity") else _decompress(body, encoding, longest_bytes)


async def _read_rest(receive: Receive, message: MutableMapping[str, Any], longest_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise Disconnected
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > longest_bytes:
            raise _too_large(longest_bytes)
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()


def _too_large(longest_bytes: int) -> TooLarge:
    return TooLarge(
        "the body is too large", at="body", hint=f"send at most {longest_bytes} bytes: fewer rows, or binary tensors"
    )


def _decompress(body: bytes, encoding: bytes, longest_bytes: int) -> bytes:
    if encoding not in (b"gzip", b"deflate"):
        raise UnsupportedMedia(
            f"content encoding {encoding[:40].decode('latin-1')!r} is not accepted",
            at="headers.Content-Encoding",
            hint="send gzip, deflate or nothing",
        )
    decompressor = zlib.decompressobj(wbits=31 if encoding == b"gzip" else 15)
    try:
        plain = decompressor.decompress(body, longest_bytes + 1)
    except zlib.error as broken:
        raise InputError(f"the body is not {encoding.decode()}: {broken}", at="body") from broken
    if len(plain) > longest_bytes:
        raise _too_large(longest_bytes)
    if not decompressor.eof or decompressor.unused_data:
        raise InputError(f"the body is not one whole {encoding.decode()} stream", at="body")
    return plain
