"""What the controller tells of itself on its own port: metrics, whether it lives, whether it is ready."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, generate_latest

LEADS = Gauge("canario_controller_leads", "Whether this controller holds the lease (1) or waits (0).")
MODELS = Gauge("canario_controller_models", "The ModelDeployments that this controller steers.")
DECISIONS = Counter(
    "canario_controller_decisions_total", "Decisions written to a journal.", ["namespace", "model", "phase"]
)
WRITES = Counter("canario_controller_writes_total", "Requests that change the cluster.", ["kind"])
MISHAPS = Counter("canario_controller_mishaps_total", "Turns that could not be finished.", ["namespace", "model"])
TURN_SECONDS = Gauge("canario_controller_turn_seconds", "How long the last turn took.", ["namespace", "model"])


def serve_operator(port: int, is_ready: Callable[[], bool], host: str = "") -> http.server.ThreadingHTTPServer:
    """Answer `/metrics`, `/healthz` and `/readyz` from a thread of its own."""

    class Operator(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """One request."""
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
            elif path == "/healthz" or (path == "/readyz" and is_ready()):
                self._answer(200, b"ok\n")
            elif path == "/readyz":
                self._answer(503, b"the cluster has not been read yet\n")
            else:
                self._answer(404, b"/metrics, /healthz or /readyz\n")

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's own name
            """A probe is no news."""

        def _answer(self, status: int, content: bytes, kind: str = "text/plain") -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = http.server.ThreadingHTTPServer((host, port), Operator)
    threading.Thread(target=server.serve_forever, name="operator", daemon=True).start()
    return server
