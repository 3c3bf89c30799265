"""How requests came, how they ended and how long they took, for Prometheus; what was in them is for others.

Only the event loop's own thread counts and asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from canario.serving.counting import TOGETHER, Histogram, Labels

BUCKETS_OF_OBJECTIVE = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 10.0, 40.0)
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


_FROM_THE_START = ((Protocol.REST, "predict"), (Protocol.REST, "infer"), (Protocol.GRPC, "infer"))
"""Whose outcomes are told before there is one: a rate sees the first failure only if there was a 0 before it."""


class RequestMetrics:
    """Requests of one process. The methods are a closed list of routes; the caller maps what is unknown to one word."""

    def __init__(self, objective_seconds: float) -> None:
        self._bounds = [float(f"{share * objective_seconds:.12g}") for share in BUCKETS_OF_OBJECTIVE]
        self._requests: dict[tuple[str, str, str], int] = {
            (*way, outcome): 0 for way in _FROM_THE_START for outcome in Outcome
        }
        self._seconds = {way: Histogram(self._bounds) for way in _FROM_THE_START}
        self._known: dict[tuple[str, str, int], tuple[tuple[str, str, str], Histogram]] = {}
        self._pending: list[tuple[Protocol, str, int, float]] = []

    def count(self, protocol: Protocol, method: str, status: int, seconds: float) -> None:
        """One request that has been answered with an HTTP status, or with what would be one."""
        self._pending.append((protocol, method, status, seconds))
        if len(self._pending) >= TOGETHER:
            self._count_pending()

    def _count_pending(self) -> None:
        for protocol, method, status, seconds in self._pending:
            known = self._known.get((protocol, method, status))
            if known is None:
                key = (protocol, method, Outcome.of_status(status))
                self._requests.setdefault(key, 0)
                known = (key, self._seconds.setdefault((protocol, method), Histogram(self._bounds)))
                self._known[protocol, method, status] = known
            self._requests[known[0]] += 1
            known[1].observe(seconds)
        self._pending.clear()

    def families(self, labels: Labels) -> Iterator[Metric]:
        """What Prometheus reads."""
        self._count_pending()
        names, whose = [*labels], [*labels.values()]
        requests = CounterMetricFamily(
            "canario_requests",
            "Users' requests, by how they ended.",
            labels=[*names, "protocol", "method", "outcome"],
        )
        for key, count in self._requests.items():
            requests.add_metric([*whose, *key], count)
        yield requests
        seconds = HistogramMetricFamily(
            "canario_request_duration_seconds",
            "From a request's head to its answer; the bounds are shares of the objective.",
            labels=[*names, "protocol", "method"],
        )
        for way, histogram in self._seconds.items():
            histogram.add_to(seconds, [*whose, *way])
        yield seconds
