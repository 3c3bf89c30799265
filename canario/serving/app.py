"""The ASGI application of one version: finds the route, reads the body, gives the model its turn, answers errors."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from canario.errors import CanarioError, InputError, NotFound, Overloaded, Unavailable
from canario.kernel.limits import Limits
from canario.serving.answering import REQUEST_HEADER, caller_of
from canario.serving.http import (
    Disconnected,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    error_response,
    json_response,
    read_body,
    send_response,
)
from canario.serving.pages import Pages
from canario.serving.request_metrics import Protocol
from canario.serving.rest import Rest
from canario.serving.routing import Route, Routes, Work
from canario.serving.served import ServedVersion
from canario.serving.warmup import examples, warm_up

logger = logging.getLogger(__name__)

_CLOSE = (b"connection", b"close")
_RETRY = (b"retry-after", b"1")
_MODEL_PATH = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/ready|/infer)?")


class Application:
    """An ASGI application that serves one version; it loads when its lifespan starts, or with its first request."""

    def __init__(self, version_folder: Path, limits: Limits) -> None:
        self._version_folder = version_folder
        self._limits = limits
        self._served: ServedVersion | None = None
        self._routes: Routes = {}

    @property
    def served(self) -> ServedVersion:
        """The loaded and warm version. Raises CanarioError when it cannot be loaded."""
        if self._served is None:
            served = ServedVersion(self._version_folder, self._limits)
            rest = Rest(served)
            warm_up(served, rest)
            pages = Pages(served, examples(served, rest))
            served.begin_logging()
            self._routes = {**rest.routes(), **pages.routes()}
            self._served = served
        return self._served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    _ = self.served
                except CanarioError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._served is not None:
                    await asyncio.to_thread(self._served.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        served = self.served
        headers = dict(scope["headers"])
        caller = caller_of(lambda name: headers.get(name.encode(), b"").decode("latin-1"), Protocol.REST)
        name = "unknown"
        try:
            route = self._route(scope["path"], scope["method"])
            if isinstance(route, Response):
                response = route
            else:
                name = route.name
                request = Request(headers, scope["query_string"], b"", caller)
                response = await self._work(served, route, request, receive)
        except CanarioError as error:
            response = error_response(error, (_RETRY,) if isinstance(error, Overloaded) else ())
            if response.status >= 500 and not isinstance(error, Unavailable):
                logger.warning("%s: %s", name, error)
            if isinstance(error, InputError) and not caller.shadow:
                served.metrics.count_refused(error.column)
        except Disconnected:
            return
        except Exception:
            logger.exception("%s failed", name)
            response = error_response(CanarioError("the server failed", hint="its log says why"))
        extra = [(REQUEST_HEADER.encode(), caller.request.encode())]
        if served.is_draining:
            extra.append(_CLOSE)
        await send_response(send, response, *extra)
        if not caller.shadow:
            served.metrics.count(Protocol.REST, name, response.status, time.perf_counter() - started)

    async def _work(self, served: ServedVersion, route: Route, request: Request, receive: Receive) -> Response:
        if route.work is Work.LIGHT:
            return route.handler(request)
        request.body = await read_body(receive, request.headers, self._limits.longest_body_bytes)
        work = partial(route.handler, request)
        if route.work is Work.MODEL:
            return await served.turns.compute(len(request.body), work)
        return await served.turns.write(work)

    def _route(self, path: str, method: str) -> Route | Response:
        methods = self._routes.get(path)
        if methods is None:
            raise self._not_found(path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            return self._not_allowed(methods, method)
        return route

    def _not_allowed(self, methods: Mapping[str, Route], method: str) -> Response:
        allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
        body = {"error": f"{method[:20]} is not allowed here", "at": "method", "hint": f"use {allowed}"}
        return json_response(body, 405, ((b"allow", allowed.encode()),))

    def _not_found(self, path: str) -> NotFound:
        found = _MODEL_PATH.fullmatch(path)
        if found:
            try:
                self.served.check_name(found["model"], found["version"] or "")
            except NotFound as error:
                return error
        return NotFound(f"there is no path {path[:80]!r}", at="path", hint="GET /docs lists all")


def build_app(version_folder: Path, limits: Limits | None = None) -> Application:
    """The application that serves the version in a folder."""
    return Application(version_folder, limits or Limits())
