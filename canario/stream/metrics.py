"""What a worker tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from canario.model.stream import WAIT_BOUNDS_SECONDS, Priority

_TIMES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The families of one worker of one model; every series is there from the beginning, so that a rate sees its first event."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        by_priority = ["model", "priority"]
        messages = Counter(
            "canario_messages_total",
            "Messages that a worker has dealt with: answered, repeated (its answer was there already) or dead.",
            [*by_priority, "outcome"],
            registry=self.registry,
        )
        waits = Histogram(
            "canario_message_wait_seconds",
            "From when a message was sent to when a worker took it up.",
            by_priority,
            buckets=WAIT_BOUNDS_SECONDS,
            registry=self.registry,
        )
        times = Histogram(
            "canario_message_seconds",
            "From when a worker took a message up to when it was acknowledged.",
            by_priority,
            buckets=_TIMES,
            registry=self.registry,
        )
        self._messages = {
            (each, outcome): messages.labels(model, each, outcome)
            for each in Priority
            for outcome in ("answered", "repeated", "dead")
        }
        self._waits = {each: waits.labels(model, each) for each in Priority}
        self._times = {each: times.labels(model, each) for each in Priority}
        self.in_flight = Gauge(
            "canario_messages_in_flight",
            "Messages in the worker's hands that are not acknowledged yet.",
            ["model"],
            registry=self.registry,
        ).labels(model)
        self._model = model
        self._waiting = Gauge(
            "canario_waiting_messages",
            "Messages that wait in a queue and are with nobody.",
            ["model", "queue"],
            registry=self.registry,
        )
        self.reconnects = Counter(
            "canario_worker_reconnects_total",
            "How often the worker had to connect to its broker again.",
            ["model"],
            registry=self.registry,
        ).labels(model)

    def took_up(self, priority: Priority, waited_seconds: float | None) -> None:
        """A message was taken up; how long it had waited, if its sender said when it was sent."""
        self.in_flight.inc()
        if waited_seconds is not None:
            self._waits[priority].observe(max(0.0, waited_seconds))

    def dealt_with(self, priority: Priority, outcome: str, seconds: float) -> None:
        """A message was acknowledged."""
        counted = self._messages.get((priority, outcome))
        if counted is not None:
            counted.inc()
        self._times[priority].observe(seconds)

    def waiting(self, which: str, messages: int) -> None:
        """How many wait in a queue."""
        self._waiting.labels(self._model, which).set(messages)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
