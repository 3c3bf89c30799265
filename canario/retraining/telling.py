"""When models were last retrained, by how that ended, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from canario.model.retraining import Retraining
from canario.retraining.records import FileRetrainings

NAME = "canario_retraining_timestamp_seconds"
WORDS = "When the last retraining with this outcome ended, in seconds since 1970."


def family_of(past: Sequence[Retraining]) -> GaugeMetricFamily:
    """One model's series, by outcome; its name is added by whoever exports them."""
    family = GaugeMetricFamily(NAME, WORDS, labels=("outcome",))
    for outcome, at_seconds in last_by_outcome(past).items():
        family.add_metric((outcome,), at_seconds)
    return family


def last_by_outcome(past: Sequence[Retraining]) -> dict[str, float]:
    """When each outcome was last seen, in seconds since 1970."""
    return {
        each.outcome.value: each.ended_at_seconds
        for each in past
        if each.outcome is not None and each.ended_at_seconds is not None
    }


class RetrainingsTold(Collector):
    """The same of every model that has a record here, read anew at each scrape."""

    def __init__(self, models: Callable[[], Sequence[str]]) -> None:
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As prometheus_client asks for it."""
        family = GaugeMetricFamily(NAME, WORDS, labels=("model", "outcome"))
        for model in self._models():
            for outcome, at_seconds in last_by_outcome(FileRetrainings(model).all()).items():
                family.add_metric((model, outcome), at_seconds)
        yield family
