"""What a server process tells Prometheus of itself, each series with model and version; few labels, each of a closed list of words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from canario.model.card import Card, Objectives
from canario.model.feedback import Received
from canario.model.reference import Reference
from canario.model.version import Score, VersionRecord
from canario.quality.measures import MEASURES, series_name
from canario.serving.counting import Labels, Tally, gauge
from canario.serving.request_metrics import Protocol, RequestMetrics
from canario.serving.row_metrics import RowMetrics

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
KNOWN_AS_VARIABLE = "CANARIO_KNOWN_AS"
"""`model:version`, where whoever runs this process knows the version by other names: a cluster goes by its resource's."""
REFUSED_TRUTH = "refused"
"""A truth that does not fit the label, beside what the store says of those that do."""


class Metrics(Collector):
    """Everything that is counted of one served version. But for `rows`, only the event loop's own thread counts."""

    def __init__(self, record: VersionRecord, card: Card, reference: Reference | None = None) -> None:
        self._labels = names_of(record)
        self._info = {"digest": record.digest, "kernel": record.kernel.kind.value}
        self._objectives = card.objectives
        self._scores = record.scores
        self._requests = RequestMetrics(card.objectives.latency_milliseconds / 1000.0)
        self.rows = RowMetrics(card, reference)
        self._refused = Tally(
            "canario_column_refused",
            "Cells that do not fit the card; of a request, the first that was found.",
            "column",
            card.column_names,
        )
        self._truths = Tally(
            "canario_feedback_received",
            "Late truths sent to this server, by what they were to the store.",
            "result",
            (*Received, REFUSED_TRUTH),
        )
        self._waiting = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count(self, protocol: Protocol, method: str, status: int, seconds: float) -> None:
        """One request of a user that has been answered with an HTTP status, or with what would be one."""
        self._requests.count(protocol, method, status, seconds)

    def count_refused(self, column: str) -> None:
        """A request of a user that was refused for a cell of this column."""
        self._refused.add(word=column)

    def count_truth(self, result: str) -> None:
        """A late truth: what the store said, or REFUSED_TRUTH."""
        self._truths.add(word=result)

    def set_waiting(self, requests: int) -> None:
        """How many requests wait for the model now."""
        self._waiting = requests

    def collect(self) -> Iterator[Metric]:
        """All families, put together when Prometheus asks."""
        labels = self._labels
        yield gauge("canario_version_info", "The version that this process serves.", {**labels, **self._info}, 1)
        yield from _objectives(self._objectives, labels)
        yield _reference_quality(self._scores, labels)
        yield from self._requests.families(labels)
        yield gauge("canario_waiting_requests", "Requests that wait for the model.", labels, self._waiting)
        yield from self.rows.families(labels)
        yield self._refused.family(labels)
        yield self._truths.family(labels)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


def names_of(record: VersionRecord) -> Labels:
    """Under which names the series go: those by which a platform knows the version, else its own."""
    model, _, version = os.environ.get(KNOWN_AS_VARIABLE, "").partition(":")
    return {"model": model or record.name.model, "version": version or record.name.tag}


def _reference_quality(scores: Sequence[Score], labels: Labels) -> Metric:
    """What the version was worth when it was made; only figures that late labels can be compared with."""
    family = GaugeMetricFamily(
        "canario_reference_quality",
        "A figure of quality and its 95 % interval, of later rows than the version was trained on.",
        labels=[*labels, "measure", "bound"],
    )
    for score in scores:
        if score.name in MEASURES:
            for bound, value in (("value", score.value), ("low", score.low), ("high", score.high)):
                family.add_metric([*labels.values(), series_name(score.name), bound], value)
    return family


def _objectives(objectives: Objectives, labels: Labels) -> Iterator[Metric]:
    """What the card promises: alerts compare with it, and know of no other place that says it."""
    yield gauge(
        "canario_objective_seconds",
        "The card's objective: an answer that takes longer counts as slow.",
        labels,
        objectives.latency_milliseconds / 1000.0,
    )
    yield gauge(
        "canario_objective_slow_ratio",
        "The card's objective: the largest share of slow answers.",
        labels,
        objectives.slow_percent / 100.0,
    )
    yield gauge(
        "canario_objective_error_ratio",
        "The card's objective: the largest share of failed requests.",
        labels,
        objectives.error_percent / 100.0,
    )
