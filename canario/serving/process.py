"""One server process of one version: proves and loads it, listens, and leaves without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
import uvloop

from canario.errors import Conflict
from canario.kernel.limits import Limits
from canario.serving.app import Application, build_app
from canario.serving.grpc_server import GrpcServer
from canario.serving.operator import operator_configuration
from canario.serving.whole_answers import WholeAnswers

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Longer than the router keeps an idle connection (30 s): the side that sends requests is the one that hangs up."""


BACKLOG = 2048
"""Connections that the machine keeps for this process until it takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How to serve a version."""

    version_folder: Path
    host: str = "127.0.0.1"
    http_port: int = 3000
    """0 means any free one; the log says which."""
    grpc_port: int = 3001
    """The same."""
    operator_port: int | None = None
    """The same, for metrics, card and prediction log; None means nowhere."""
    linger_seconds: float = 2.0
    """After SIGTERM: how long it says that it is not ready and still takes requests, until routers have noticed."""
    longest_stop_seconds: float = 30.0
    """How long the requests that are then in flight may take."""
    limits: Limits = field(default_factory=Limits)


def serve(options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    Raises NotFound, IntegrityError, CardError or KernelError when the version cannot be served, Conflict when a port is
    taken; nothing has listened by then.
    """
    app = build_app(options.version_folder, options.limits)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, options))
    if app.served.turns.is_computing:
        logger.warning("a request was still computed after %g s and is left unanswered", options.longest_stop_seconds)
        os._exit(0)  # a thread cannot be ended, and leaving in order would wait for it


async def _serve(app: Application, options: ServeOptions) -> None:
    with (
        _bound(options.host, options.http_port, "REST port", "--http-port") as listener,
        _operator_listener(options) as operator_listener,
    ):
        grpc_server = GrpcServer(app.served, options.host, options.grpc_port)
        server = _Server(_configuration(app, options))
        lingers = _signals(options.linger_seconds)
        await grpc_server.start()
        listener.listen(BACKLOG)  # from here on clients wait instead of being refused
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        logger.info(
            "%s answers REST on http://%s:%d and gRPC on %s:%d",
            app.served.name,
            options.host,
            listener.getsockname()[1],
            options.host,
            grpc_server.port,
        )
        async with _operators(app, operator_listener):
            linger_seconds = await lingers
            app.served.is_draining = True
            await grpc_server.begin_drain()
            await asyncio.sleep(linger_seconds)
            server.should_exit = True
            await asyncio.gather(serving, grpc_server.stop(options.longest_stop_seconds))
            await asyncio.to_thread(app.served.close)


@contextlib.asynccontextmanager
async def _operators(app: Application, listener: socket.socket | None) -> AsyncIterator[None]:
    """Operators are answered until the last request is: what it left in the log can still be read."""
    if listener is None:
        yield
        return
    server = _Server(operator_configuration(app.served))
    listener.listen(BACKLOG)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    logger.info("operators are answered on http://%s:%d", *listener.getsockname()[:2])
    yield
    server.should_exit = True
    await serving


def _operator_listener(options: ServeOptions) -> contextlib.AbstractContextManager[socket.socket | None]:
    if options.operator_port is None:
        return contextlib.nullcontext()
    return _bound(options.host, options.operator_port, "operator port", "--operator-port")


class _Server(uvicorn.Server):
    """Leaves signals to this process, which drains before it stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _configuration(app: Application, options: ServeOptions) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=WholeAnswers,
        ws="none",
        # The version is loaded before anybody listens, and gRPC may still need it when the last REST request is answered:
        # the end of uvicorn's lifespan would close it under those requests. `_serve` closes it after both.
        lifespan="off",
        log_config=None,
        access_log=False,
        backlog=BACKLOG,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(options.longest_stop_seconds),
    )


def _signals(linger_seconds: float) -> asyncio.Future[float]:
    """When it is time to stop, and for how long to linger: a person who presses Ctrl-C does not want to wait."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[float] = loop.create_future()

    def begin(seconds: float) -> None:
        if not stop.done():
            stop.set_result(seconds)

    loop.add_signal_handler(signal.SIGTERM, begin, linger_seconds)
    loop.add_signal_handler(signal.SIGINT, begin, 0.0)
    return stop


def _bound(host: str, port: int, what: str, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as taken:
        listener.close()
        raise Conflict(
            f"{what} {port} of {host} cannot be had: {taken.strerror}", hint=f"choose another with {option}"
        ) from taken
    return listener
