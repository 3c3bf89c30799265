"""What operators ask a server process, on a listener of their own that no router leads to: metrics, card, prediction log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs

import uvicorn

from canario.adapters.homes import predictions_folder
from canario.errors import CanarioError, InputError, NotFound
from canario.feedback.reading import log_files
from canario.serving.http import Receive, Response, Scope, Send, error_response, json_response, send_response
from canario.serving.metrics import CONTENT_TYPE
from canario.serving.served import ServedVersion

LINES = b"application/x-ndjson"
LONGEST_READ_BYTES = 4 * 1024 * 1024
"""At most this much of a log in one answer; a reader goes on from where it got to."""
_LOG = "/log/"
_NO_STORE = (b"cache-control", b"no-store")


class OperatorApp:
    """An ASGI application over a served version: `/metrics`, `/livez`, `/card`, `/log` and `/log/<name>?offset=N`."""

    def __init__(self, served: ServedVersion) -> None:
        self._served = served
        self._card = json_response(served.card)
        self._folder = predictions_folder(served.name.model)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing here has a body."""
        del receive
        try:
            response = await self._answer(scope)
        except CanarioError as error:
            response = error_response(error)
        await send_response(send, response, _NO_STORE)

    async def _answer(self, scope: Scope) -> Response:
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            body = {"error": "operators only read", "at": "method", "hint": "use GET"}
            return json_response(body, 405, ((b"allow", b"GET, HEAD"),))
        if path == "/metrics":
            return Response(200, self._served.metrics.text(), CONTENT_TYPE)
        if path == "/livez":
            return json_response({"live": True})
        if path == "/card":
            return self._card
        if path == "/log":
            return await asyncio.to_thread(self._list)
        if path.startswith(_LOG):
            offset = _offset(scope["query_string"])
            return await asyncio.to_thread(self._read, path.removeprefix(_LOG), offset)
        raise NotFound(f"there is no path {path[:80]!r}", at="path", hint="/metrics, /livez, /card or /log")

    def _list(self) -> Response:
        files = [{"name": name, "size": size} for name, size in sorted(log_files(self._folder))]
        return json_response({"files": files})

    def _read(self, name: str, offset: int) -> Response:
        # Only names that the folder itself gives: no path can be made of one.
        if all(name != found for found, _ in log_files(self._folder)):
            raise NotFound(f"there is no log {name[:80]!r}", at="path", hint="/log lists them")
        return Response(200, read_from(self._folder / name, offset), LINES)


def operator_configuration(served: ServedVersion) -> uvicorn.Config:
    """How the application is served; its caller binds the listener."""
    return uvicorn.Config(
        OperatorApp(served),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )


def _offset(query: bytes) -> int:
    asked = parse_qs(query.decode("latin-1")).get("offset", ["0"])[0]
    if not asked.isascii() or not asked.isdigit() or len(asked) > 15:
        raise InputError(f"{asked[:40]!r} is no offset", at="query.offset", hint="a number of bytes, from 0")
    return int(asked)


def read_from(path: Path, offset: int) -> bytes:
    """What a log has from an offset on, in bytes, within the bound. Raises NotFound when it has been cleared away."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(LONGEST_READ_BYTES)
    except FileNotFoundError as gone:
        raise NotFound(f"there is no log {path.name!r} any more", at="path", hint="/log lists them") from gone
