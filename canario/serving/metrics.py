"""What a server process counts about itself, for Prometheus; few labels, and every child is made once."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from canario.model.card import Card
from canario.model.version import VersionRecord

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_OF_OBJECTIVE = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 10.0, 40.0)
"""As shares of the card's latency objective, so that the share of slow answers is exact."""


class Protocol(StrEnum):
    """How a request came."""

    REST = "rest"
    GRPC = "grpc"


class Outcome(StrEnum):
    """How it ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Its content does not fit: a 4xx."""
    OVERLOADED = "overloaded"
    """Not now: a 503 or RESOURCE_EXHAUSTED."""
    FAILED = "failed"

    @classmethod
    def of_status(cls, status: int) -> Outcome:
        """The outcome of an HTTP status."""
        if status < 400:
            return cls.ANSWERED
        if status < 500:
            return cls.REFUSED
        return cls.OVERLOADED if status == 503 else cls.FAILED


class Metrics:
    """The counters of one served version."""

    def __init__(self, record: VersionRecord, card: Card) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "canario_requests",
            "Requests, by how they ended",
            ["protocol", "method", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "canario_request_duration_seconds",
            "From the request's head to its answer",
            ["protocol", "method"],
            buckets=[share * card.objectives.latency_milliseconds / 1000.0 for share in _BUCKETS_OF_OBJECTIVE],
            registry=self._registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        rows = Counter("canario_rows", "Rows answered", registry=self._registry)
        self.count_rows = rows.inc
        self.waiting = Gauge("canario_waiting_requests", "Requests that wait for the model", registry=self._registry)
        version = Gauge(
            "canario_version_info",
            "The version that this process serves",
            ["model", "version", "digest", "kernel"],
            registry=self._registry,
        )
        version.labels(record.name.model, record.name.tag, record.digest, record.kernel.kind).set(1)

    def count(self, protocol: Protocol, method: str, status: int, seconds: float) -> None:
        """One request that has been answered with an HTTP status, or with what would be one."""
        key = (protocol, method, status)
        children = self._children.get(key)
        if children is None:
            outcome = Outcome.of_status(status)
            children = (self._requests.labels(protocol, method, outcome), self._seconds.labels(protocol, method))
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)
