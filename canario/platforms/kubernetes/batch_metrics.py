"""When the runs of a model's schedules last ended, by how they did, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily

from canario.model.resource_status import BatchStatus

ENDS = ("complete", "failed")


def batch_family(schedules: Iterable[BatchStatus]) -> GaugeMetricFamily:
    """One model's series, by schedule and outcome; its name is added by whoever exports them."""
    family = GaugeMetricFamily(
        "canario_batch_run_timestamp_seconds",
        "When the last run of a schedule with this outcome ended, in seconds since 1970.",
        labels=("schedule", "outcome"),
    )
    for schedule in schedules:
        for outcome in ENDS:
            ends = [run.ended_at for run in schedule.runs if run.phase == outcome and run.ended_at]
            if ends:
                family.add_metric(
                    (schedule.name, outcome), max(datetime.fromisoformat(end).timestamp() for end in ends)
                )
    return family
