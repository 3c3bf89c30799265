"""Taking everything down: the router first, so that no client is sent to a server that ends; then the servers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from canario.platforms.local.processes import LocalProcess, Role, find_processes

DRAIN_SECONDS = 40.0
"""From SIGTERM to SIGKILL; longer than a server itself waits for its last requests."""
KILL_SECONDS = 5.0

_POLL_SECONDS = 0.02


def stop_everything(platform: Path, drain_router: Callable[[], None]) -> int:
    """Stop every process that carries the platform's mark, whoever started it; how many there were.

    `drain_router` returns when the router has no requests, or when waiting for that has taken too long.
    """
    found = find_processes(platform)
    routers = [process for process in found if process.mark.role is Role.ROUTER]
    servers = [process for process in found if process.mark.role is Role.SERVER]
    if routers:
        drain_router()
    stop(routers)
    stop(servers)
    return len(routers) + len(servers)


def stop(processes: Iterable[LocalProcess]) -> None:
    """SIGTERM to all, and SIGKILL to those that have not ended in time."""
    left = list(processes)
    for number, patience_seconds in ((signal.SIGTERM, DRAIN_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        for process in left:
            process.send(number)
        deadline = time.monotonic() + patience_seconds
        while left and time.monotonic() < deadline:
            left = [process for process in left if process.is_alive()]
            time.sleep(_POLL_SECONDS)
