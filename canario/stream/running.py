"""Runs one worker as a process: where everything is, its operator port, and what a signal means; working is for worker.py."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from canario.errors import UsageError
from canario.stream.asking import router
from canario.stream.ledger import kept_seconds, open_ledger
from canario.stream.opening import open_broker
from canario.stream.operator import port_of, serve_operator
from canario.stream.worker import DRAIN_SECONDS, Bounds, Worker

ROUTER_VARIABLE = "CANARIO_ROUTER_URL"
DRAIN_VARIABLE = "CANARIO_DRAIN_SECONDS"
OPERATOR_PORT = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What a worker is told."""

    model: str
    router_url: str
    broker_url: str | None = None
    """None: as the environment says."""
    ledger_url: str | None = None
    operator_host: str = ""
    """Empty: every address of this machine."""
    operator_port: int = OPERATOR_PORT
    bounds: Bounds = field(default_factory=Bounds)


async def run_worker(settings: WorkerSettings, started: Callable[[int], None]) -> None:
    """Work until SIGTERM or SIGINT; `started` hears the operator port. Raises UsageError, Conflict."""
    broker = open_broker(settings.model, settings.broker_url)
    ledger = open_ledger(settings.model, settings.ledger_url)
    async with router(settings.router_url) as asked:
        worker = Worker(settings.model, broker, ledger, asked, settings.bounds)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.end)
        server = await serve_operator(
            settings.operator_host, settings.operator_port, worker.troubles, worker.metrics.text
        )
        async with server:
            started(port_of(server))
            await worker.run()


def bounds_from(concurrency: int, prefetch: int) -> Bounds:
    """The bounds, with what the environment says of the rest. Raises UsageError."""
    text = os.environ.get(DRAIN_VARIABLE, "")
    usual = DRAIN_SECONDS
    try:
        seconds = float(text) if text else usual
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{text!r} is no number of seconds", at=DRAIN_VARIABLE, hint=f"{usual:g} is usual")
    return Bounds(concurrency=concurrency, prefetch=prefetch, drain_seconds=seconds, kept_seconds=kept_seconds())


def quiet_libraries() -> None:
    """Log to stderr, without what libraries say of every request."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiormq").setLevel(logging.ERROR)
