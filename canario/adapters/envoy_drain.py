"""Sending an Envoy's clients away before it ends, over its admin port; when that is time is for platforms.

Only the standard library, because it is imported while a pod waits for its end.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass

from canario.errors import Unavailable

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Clients:
    """What clients have open at the port that Envoy calls `clients`."""

    requests: int
    connections: int


class DrainingEnvoy:
    """An Envoy that is about to end. Raises Unavailable when it cannot be reached, or is none."""

    def __init__(self, admin_port: int, host: str = "127.0.0.1", timeout_seconds: float = 2.0) -> None:
        self._admin_port = admin_port
        self._host = host
        self._timeout_seconds = timeout_seconds
        self._where = f"{host}:{admin_port}"

    def fail_readiness(self) -> None:
        """Have it say that it is not ready, to whoever shares out connections; clients are served as before."""
        self._ask("POST", "/healthcheck/fail")

    def send_clients_away(self) -> None:
        """Have it tell clients to come back over another connection: `Connection: close`, and GOAWAY.

        More and more of them over Envoy's drain time, then all. It goes on accepting and answering.
        """
        self._ask("POST", "/drain_listeners?inboundonly&graceful&skip_exit")

    def clients(self) -> Clients:
        """What clients have open now."""
        told = self._ask("GET", r"/stats?filter=^http\.clients\.downstream_(rq|cx)_active$")
        try:
            values = dict(line.split(": ") for line in told.decode().splitlines())
            return Clients(
                int(values.get("http.clients.downstream_rq_active", 0)),
                int(values.get("http.clients.downstream_cx_active", 0)),
            )
        except ValueError as strange:
            raise Unavailable(f"what answers at {self._where} is no router: {strange}", at=self._where) from strange

    def wait_until(self, is_quiet: Callable[[Clients], bool], seconds: float, still_seconds: float = 0.0) -> bool:
        """Wait until it has been quiet for a while; False when that did not come in time."""
        deadline = time.monotonic() + seconds
        quiet_since: float | None = None
        while True:
            quiet = is_quiet(self.clients())
            now = time.monotonic()
            quiet_since = (now if quiet_since is None else quiet_since) if quiet else None
            if quiet_since is not None and now - quiet_since >= still_seconds:
                return True
            if now >= deadline:
                return False
            time.sleep(POLL_SECONDS)

    def _ask(self, method: str, path: str) -> bytes:
        where = self._where
        connection = http.client.HTTPConnection(self._host, self._admin_port, timeout=self._timeout_seconds)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as lost:
            raise Unavailable(f"the router at {where} cannot be reached: {lost}", at=where) from lost
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise Unavailable(f"the router at {where} says {response.status} to {path}", at=where)
        return content
