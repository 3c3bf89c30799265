"""What a supervisor or a controller tells Prometheus of its models: every part gives families, here they become one answer."""

from __future__ import annotations

import http.server
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

Source = Callable[[], Iterable[Metric]]
"""Gives what it knows now, at once and from any thread: it is asked at every scrape."""

_log = logging.getLogger(__name__)


class Exporter(Collector):
    """Families of any number of sources. What several give under one name becomes one family, as the format demands."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: dict[object, tuple[Mapping[str, str], Source]] = {}

    def add(self, labels: Mapping[str, str], source: Source) -> Callable[[], None]:
        """Ask a source from now on; its samples get these labels besides their own. Call the result to ask it no more."""
        key = object()
        with self._lock:
            self._sources[key] = (dict(labels), source)

        def remove() -> None:
            with self._lock:
                self._sources.pop(key, None)

        return remove

    def collect(self) -> Iterator[Metric]:
        """Everything that the sources know; one that fails is left out, and the others are still told."""
        families: dict[str, Metric] = {}
        with self._lock:
            sources = list(self._sources.values())
        for labels, source in sources:
            try:
                given = list(source())
            except Exception:  # noqa: BLE001 - a part that cannot tell now must not silence the rest
                _log.exception("a part cannot tell its metrics")
                continue
            for family in given:
                kept = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type, family.unit)
                )
                kept.samples.extend(_labelled(sample, labels) for sample in family.samples)
        yield from families.values()


def _labelled(sample: Sample, labels: Mapping[str, str]) -> Sample:
    return sample._replace(labels={**labels, **sample.labels})


def serve_operator(
    port: int, is_ready: Callable[[], bool], registry: CollectorRegistry, host: str = ""
) -> http.server.ThreadingHTTPServer:
    """Answer `/metrics`, `/healthz` and `/readyz` from a thread of its own; port 0 takes any free one."""

    class Operator(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """One request."""
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif path == "/healthz" or (path == "/readyz" and is_ready()):
                self._answer(200, b"ok\n")
            elif path == "/readyz":
                self._answer(503, b"the world has not been read yet\n")
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
