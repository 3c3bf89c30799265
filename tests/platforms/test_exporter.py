"""What supervisor and controller tell Prometheus of their models: joined, labelled, well-formed, and never silenced by one part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from canario.model.deployment import Deployment, Rollout, ServedVersion
from canario.model.feedback import LabelCounts
from canario.model.quality import DELAY_BOUNDS_SECONDS, Delays, LabelFigures, QualityReport, VersionQuality
from canario.model.rollout import Phase, RolloutState
from canario.model.split import Split
from canario.model.version import Score
from canario.platforms.exporter import Exporter, serve_operator
from canario.platforms.kubernetes.cache import Seen
from canario.platforms.kubernetes.naming import SERVER, labels
from canario.platforms.kubernetes.scale import servers_of
from canario.platforms.label_families import label_families
from canario.platforms.standing import Standing, standing_families
from canario.rollout.plan import undo
from tests.serving.metric_text import Series, of, promtool_says, series_of, values


def text_of(exporter: Exporter) -> str:
    registry = CollectorRegistry()
    registry.register(exporter)
    return generate_latest(registry).decode()


def told(exporter: Exporter) -> Series:
    return series_of(text_of(exporter))


def gauge(name: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, "Something.", labels=["version"])
    family.add_metric(["v1"], value)
    return family


def deployment(*, rollout: bool) -> Deployment:
    split = Split(stable="v1", candidate="v2", weight_percent=5.0) if rollout else Split(stable="v1")
    state = RolloutState(
        rollout="fraud-3",
        stable="v1",
        candidate="v2",
        phase=Phase.STEPPING,
        started_at_seconds=100.0,
        phase_since_seconds=160.0,
    )
    return Deployment(
        model="fraud",
        is_up=True,
        port=8080,
        admin_port=9901,
        processes=2,
        latency_milliseconds=50.0,
        stable="v1",
        split=split,
        wanted=("v1", "v2") if rollout else ("v1",),
        served={"v1": ServedVersion(version="v1"), "v2": ServedVersion(version="v2")},
        rollout=Rollout(spec=undo(), state=state) if rollout else None,
    )


FIGURES = LabelFigures(
    report=QualityReport(
        model="fraud",
        since_seconds=0.0,
        until_seconds=100.0,
        cohort_seconds=10.0,
        maturity_seconds=20.0,
        versions=(
            VersionQuality(
                version="v1",
                predictions=200,
                labelled=50,
                scores=(
                    Score(name="recall", value=0.55, low=0.5, high=0.6, rows=50),
                    Score(name="calibration error", value=0.02, low=0.01, high=0.03, rows=50),
                    Score(name="ROC AUC", value=0.9, low=0.8, high=0.95, rows=50),
                ),
            ),
            VersionQuality(version="v2", predictions=0, labelled=0, scores=()),
        ),
        unknown_labels=7,
    ),
    predictions={"v1": 1000, "v2": 3},
    counts={"v1": LabelCounts(labelled=60, wrong=6, positives=20, missed=9)},
    delays={"v1": Delays(counts=(1, 2, *(0,) * (len(DELAY_BOUNDS_SECONDS) - 1)), seconds_sum=4.5)},
)


def test_models_that_tell_the_same_share_one_family() -> None:
    """Two models and two parts of one give one family, each series with its own labels: Prometheus refuses a second head."""
    exporter = Exporter()
    for model in ("fraud", "loan"):
        exporter.add({"namespace": "shop", "model": model}, lambda: [gauge("canario_one", 1)])
    exporter.add({"namespace": "shop", "model": "fraud"}, lambda: [gauge("canario_two", 2)])
    text = text_of(exporter)
    assert text.count("# TYPE canario_one") == 1
    found = series_of(text)
    assert of(found, "canario_one", namespace="shop", model="loan", version="v1") == 1
    assert of(found, "canario_one") == 2
    assert of(found, "canario_two") == 2
    assert promtool_says(text) == ""


def test_a_source_that_is_taken_out_is_silent() -> None:
    """A model that is gone is told no more; the others are."""
    exporter = Exporter()
    remove = exporter.add({"model": "fraud"}, lambda: [gauge("canario_one", 1)])
    exporter.add({"model": "loan"}, lambda: [gauge("canario_one", 2)])
    remove()
    remove()
    assert of(told(exporter), "canario_one") == 2


def test_a_part_that_fails_silences_nobody_else() -> None:
    """What one part cannot tell is left out whole, and the scrape succeeds with the rest."""

    def broken() -> Iterable[Metric]:
        yield gauge("canario_half", 1)
        raise RuntimeError("no figures")

    exporter = Exporter()
    exporter.add({"model": "fraud"}, broken)
    exporter.add({"model": "fraud"}, lambda: [CounterMetricFamily("canario_things", "Things.", 5)])
    found = told(exporter)
    assert [name for name, _ in found] == ["canario_things_total"]


def test_how_a_model_stands() -> None:
    """Who answers, what is on trial and since when, the shares asked and actual, and the servers of each version."""
    exporter = Exporter()
    actual = Split(stable="v1", candidate="v2", weight_percent=1.0)
    servers = {"v1": {"wanted": 2, "ready": 2, "lowest": 2, "highest": 9}, "v2": {"wanted": 2, "ready": 1}}
    standing = Standing(deployment=deployment(rollout=True), actual=actual, servers=servers)
    exporter.add({"model": "fraud"}, lambda: standing_families(standing))
    found = told(exporter)
    assert of(found, "canario_stable_info", model="fraud", version="v1") == 1
    assert of(found, "canario_rollout_info", rollout="fraud-3", candidate="v2", phase="stepping") == 1
    assert of(found, "canario_rollout_since_timestamp_seconds", model="fraud") == 160
    assert of(found, "canario_split_percent", version="v2", kind="asked") == 5
    assert of(found, "canario_split_percent", version="v1", kind="actual") == 99
    assert of(found, "canario_servers", version="v1", kind="highest") == 9
    assert of(found, "canario_servers", version="v2", kind="ready") == 1
    assert promtool_says(text_of(exporter)) == ""


def test_what_is_not_known_is_not_told() -> None:
    """Without a rollout there is no series of one; a split that cannot be read back has none; a model that is down says nothing."""
    resting = Standing(deployment=deployment(rollout=False), actual=None)
    exporter = Exporter()
    exporter.add({"model": "fraud"}, lambda: standing_families(resting))
    exporter.add({"model": "loan"}, lambda: standing_families(None))
    exporter.add({"model": "loan"}, lambda: label_families(None))
    found = told(exporter)
    assert {name for name, _ in found} == {"canario_stable_info", "canario_split_percent"}
    down = replace(resting, deployment=replace(resting.deployment, is_up=False))
    assert list(standing_families(down)) == []
    assert not list(values(found, "canario_split_percent", {"kind": "actual"}))


def test_what_labels_say() -> None:
    """Predictions, labels by result, delays, coverage and each figure of quality with its interval, under the contract's names."""
    exporter = Exporter()
    exporter.add({"namespace": "shop", "model": "fraud"}, lambda: label_families(FIGURES))
    found = told(exporter)
    whose = {"namespace": "shop", "model": "fraud", "version": "v1"}
    assert of(found, "canario_predictions_total", **whose) == 1000
    assert of(found, "canario_labels_total", **whose, result="right") == 54
    assert of(found, "canario_labels_total", **whose, result="wrong") == 6
    assert of(found, "canario_positive_labels_total", **whose, result="caught") == 11
    assert of(found, "canario_positive_labels_total", **whose, result="missed") == 9
    assert of(found, "canario_unknown_labels", model="fraud") == 7
    assert of(found, "canario_feedback_delay_seconds_bucket", **whose, le="1.0") == 1
    assert of(found, "canario_feedback_delay_seconds_bucket", **whose, le="+Inf") == 3
    assert of(found, "canario_feedback_delay_seconds_sum", **whose) == 4.5
    assert of(found, "canario_label_coverage_ratio", **whose) == 0.25
    assert of(found, "canario_quality", **whose, measure="recall", bound="high") == 0.6
    assert of(found, "canario_quality", **whose, measure="calibration-error", bound="value") == 0.02
    assert of(found, "canario_quality_labels", **whose, measure="recall") == 50
    assert not list(values(found, "canario_quality", {"measure": "ROC AUC"}))
    assert not list(values(found, "canario_label_coverage_ratio", {"version": "v2"}))
    assert promtool_says(text_of(exporter)) == ""


def test_what_a_cluster_says_of_servers() -> None:
    """Wanted servers are those that the cluster was told, by whomever; bounds are those of whatever scales the version."""

    def content(version: str, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": version, "labels": labels("fraud", SERVER, version)}, "spec": spec}

    seen = Seen(
        resource=None,
        deployments=(content("v1", replicas=3), content("v2", replicas=1), content("v3")),
        services=(),
        config_maps=(),
        pods=(),
        autoscalers=(content("v1", minReplicas=2, maxReplicas=8), content("gone", minReplicas=1, maxReplicas=2)),
        scaled_objects=(content("v2", minReplicaCount=1, maxReplicaCount=4),),
    )
    assert servers_of(seen, {"v1": 2}) == {
        "v1": {"wanted": 3, "ready": 2, "lowest": 2, "highest": 8},
        "v2": {"wanted": 1, "ready": 0, "lowest": 1, "highest": 4},
        "v3": {"wanted": 1, "ready": 0},
    }


@pytest.mark.real
def test_operators_are_answered_over_http() -> None:
    """Metrics, whether it lives and whether it is ready are three paths of one port, and there is nothing else."""
    exporter, ready = Exporter(), [False]
    exporter.add({"model": "fraud"}, lambda: [gauge("canario_one", 1)])
    registry = CollectorRegistry()
    registry.register(exporter)
    server = serve_operator(0, lambda: ready[0], registry, "127.0.0.1")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", trust_env=False) as client:
            assert of(series_of(client.get("/metrics").text), "canario_one", model="fraud") == 1
            assert client.get("/healthz").status_code == 200
            assert client.get("/readyz").status_code == 503
            ready[0] = True
            assert client.get("/readyz").status_code == 200
            assert client.get("/state.json").status_code == 404
    finally:
        server.shutdown()
        server.server_close()
