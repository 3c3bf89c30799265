"""The HTTP face of the listener: it takes webhooks and answers at once; doing the work is for the listener."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from canario.errors import InputError, Unavailable
from canario.retraining.alerts import Call, calls_of

LONGEST_BODY_BYTES = 1 << 20
LONGEST_LENGTH_DIGITS = 10
"""Python reads no number of thousands of digits."""


class Taker(Protocol):
    """Who does what is asked for here."""

    def take(self, calls: Sequence[Call]) -> Mapping[str, Any]:
        """Have these models retrained when their turn comes; what is to be answered. Raises Unavailable: ask again."""

    def metrics(self) -> bytes:
        """What Prometheus reads."""


def receiver(taker: Taker, port: int, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """A server, bound and not serving yet: GET /healthz and /metrics, POST /alerts."""
    server = ThreadingHTTPServer((host, port), _handler(taker))
    server.daemon_threads = True
    return server


def _handler(taker: Taker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """GET /healthz and /metrics; POST /alerts."""

        timeout = 10.0  # a client that sends half a request must not keep a thread for ever

        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._say(HTTPStatus.OK, b"ok\n", "text/plain")
            elif self.path == "/metrics":
                self._say(HTTPStatus.OK, taker.metrics(), "text/plain; version=0.0.4; charset=utf-8")
            else:
                self._say_json(HTTPStatus.NOT_FOUND, {"error": "there are GET /healthz, GET /metrics and POST /alerts"})

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if self.path != "/alerts":
                self._say_json(HTTPStatus.NOT_FOUND, {"error": "alerts are taken at POST /alerts"})
            elif not length.isdecimal():
                self._say_json(HTTPStatus.LENGTH_REQUIRED, {"error": "say how long the body is"})
            elif len(length) > LONGEST_LENGTH_DIGITS or int(length) > LONGEST_BODY_BYTES:
                self._say_json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"at most {LONGEST_BODY_BYTES} bytes"})
            else:
                try:
                    answer = taker.take(calls_of(self.rfile.read(int(length))))
                except (InputError, Unavailable) as wrong:
                    self._say_json(HTTPStatus(wrong.http_status), {"error": wrong.message, "hint": wrong.hint})
                    return
                self._say_json(HTTPStatus.ACCEPTED, answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
            """Say nothing: what matters is told when it is taken."""

        def _say_json(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
            self._say(status, json.dumps(content).encode() + b"\n", "application/json")

        def _say(self, status: HTTPStatus, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler
