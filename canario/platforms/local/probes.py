"""Asking servers how they are, off the control loop, so that a server that hangs never holds the loop up."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum

from canario.platforms.local.processes import LOOPBACK

PROBE_SECONDS = 2.0
"""The longest that one question waits for its answer."""


class Health(Enum):
    """What a server said."""

    READY = "ready"
    NOT_READY = "not ready"
    """It answers, and says that it should get no requests; or nothing listens yet."""
    SILENT = "silent"
    """No answer in time: busy, or hung."""


def ask_server(http_port: int) -> Health:
    """Ask one server's /readyz."""
    connection = http.client.HTTPConnection(LOOPBACK, http_port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/readyz", headers={"connection": "close"})
        return Health.READY if connection.getresponse().status == http.client.OK else Health.NOT_READY
    except TimeoutError:
        return Health.SILENT
    except (OSError, http.client.HTTPException):
        return Health.NOT_READY
    finally:
        connection.close()


class Prober:
    """Threads that wait for answers. `about` starts a question; the future is read by a later tick."""

    def __init__(self, ask: Callable[[int], Health] = ask_server) -> None:
        self._ask = ask
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")

    def about(self, http_port: int) -> Future[Health]:
        return self._threads.submit(self._ask, http_port)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
