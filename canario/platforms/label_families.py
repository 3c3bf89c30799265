"""What late labels say, as series for Prometheus; counting and measuring are for canario.feedback and canario.quality."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from canario.model.quality import DELAY_BOUNDS_SECONDS, LabelFigures
from canario.quality.measures import MEASURES, series_name


def label_families(figures: LabelFigures | None) -> Iterator[Metric]:
    """The series of one model; nothing while nothing is known."""
    if figures is None:
        return
    yield from _counters(figures)
    yield from _delays(figures)
    yield from _quality(figures)


def _counters(figures: LabelFigures) -> Iterator[Metric]:
    predictions = CounterMetricFamily("canario_predictions", "Rows answered to users.", labels=["version"])
    for version, count in figures.predictions.items():
        predictions.add_metric([version], count)
    yield predictions
    labels = CounterMetricFamily(
        "canario_labels",
        "Answers whose truth has arrived, each once, by its first truth.",
        labels=["version", "result"],
    )
    positives = CounterMetricFamily(
        "canario_positive_labels",
        "Those whose truth is the second class, by whether they were answered so.",
        labels=["version", "result"],
    )
    for version, counts in figures.counts.items():
        labels.add_metric([version, "right"], counts.labelled - counts.wrong)
        labels.add_metric([version, "wrong"], counts.wrong)
        positives.add_metric([version, "caught"], counts.positives - counts.missed)
        positives.add_metric([version, "missed"], counts.missed)
    yield labels
    yield positives
    unknown = GaugeMetricFamily(
        "canario_unknown_labels", "Truths whose prediction is not known, those that wait for it included."
    )
    unknown.add_metric([], figures.report.unknown_labels)
    yield unknown


def _delays(figures: LabelFigures) -> Iterator[Metric]:
    family = HistogramMetricFamily(
        "canario_feedback_delay_seconds", "From an answer to the arrival of its truth.", labels=["version"]
    )
    bounds = [floatToGoString(bound) for bound in (*DELAY_BOUNDS_SECONDS, float("inf"))]  # type: ignore[no-untyped-call]
    for version, delays in figures.delays.items():
        buckets = [(bound, float(count)) for bound, count in zip(bounds, accumulate(delays.counts), strict=True)]
        family.add_metric([version], buckets, delays.seconds_sum)
    yield family


def _quality(figures: LabelFigures) -> Iterator[Metric]:
    coverage = GaugeMetricFamily(
        "canario_label_coverage_ratio",
        "The share of answers that are labelled, among those old enough to be judged.",
        labels=["version"],
    )
    quality = GaugeMetricFamily(
        "canario_quality",
        "A figure of quality and its 95 % interval, of answers old enough to be judged.",
        labels=["version", "measure", "bound"],
    )
    rows = GaugeMetricFamily(
        "canario_quality_labels", "How many labelled answers a figure is made of.", labels=["version", "measure"]
    )
    for judged in figures.report.versions:
        if judged.coverage is not None:
            coverage.add_metric([judged.version], judged.coverage)
        for score in judged.scores:
            if score.name in MEASURES:
                measure = series_name(score.name)
                for bound, value in (("value", score.value), ("low", score.low), ("high", score.high)):
                    quality.add_metric([judged.version, measure, bound], value)
                rows.add_metric([judged.version, measure], score.rows)
    yield from (coverage, quality, rows)
