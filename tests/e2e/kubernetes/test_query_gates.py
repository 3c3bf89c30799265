"""Gates that ask the cluster's Prometheus: a good number promotes, a bad one throws back, and none at all holds and says why."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from canario.adapters.kubernetes_api import Object
from canario.model.rollout import Phase
from tests.cluster import monitoring_images
from tests.cluster.cluster import Cluster
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.monitoring import Monitoring
from tests.e2e.kubernetes.plans import GATES, canary

ANSWERS = 'sum(rate(canario_requests_total{namespace="$namespace",model="$model",version="$candidate"}[10s]))'
"""The candidate's requests a second."""
BUSY: Object = {"kind": "query", "name": "busy", "query": ANSWERS, "passAtLeast": 0.5, "forSeconds": 3}
IDLE: Object = {
    "kind": "query",
    "name": "idle",
    "query": ANSWERS,
    "passAtMost": 0.1,
    "failAbove": 0.5,
    "forSeconds": 3,
}


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster, kube: Kube, controller: Controller, models_namespace: str) -> Iterator[Monitoring]:
    """A Prometheus that reads the models' servers, and a controller that knows it."""
    cluster.load(monitoring_images.monitoring_image())
    monitoring = Monitoring(kube, kube.make_namespace(f"monitoring-{uuid.uuid4().hex[:6]}"))
    monitoring.start_prometheus([models_namespace])
    controller.install(prometheus={"url": monitoring.prometheus_url})
    yield monitoring
    controller.install()
    monitoring.leave(models_namespace)


def gate(model: Model, name: str) -> Object:
    """What a gate says now, as the status tells it."""
    gates = (model.status().get("evidence") or {}).get("gates") or []
    return next((dict(each) for each in gates if each.get("name") == name), {})


def test_a_number_of_prometheus_lets_a_version_rise_and_throws_one_back(at_rest: Model, prometheus: Monitoring) -> None:
    """The same number passes one plan and fails another, and the ends tell it with the bounds."""
    model, good, stable = at_rest, at_rest.fresh("v2"), at_rest.stable
    with model.traffic():
        model.upgrade(good, canary(25, 100, gates=[*GATES, BUSY]))
        model.wait_for(Phase.STEPPING, weight=25)
        assert model.the_end(good)["phase"] == Phase.PROMOTED
        other = model.fresh("v2")
        model.upgrade(other, canary(25, 100, gates=[*GATES, IDLE]))
        end = model.the_end(other)
    assert end["phase"] == Phase.ROLLED_BACK
    assert "it passes up to 0.1, fails above 0.5: for" in end["reason"]
    assert (model.stable, stable != good) == (good, True)
    entries = model.assert_whole_journal()
    assert any(entry.evidence.measurements.get("busy", 0.0) >= 0.5 for entry in entries)


def test_a_prometheus_that_is_away_holds_the_rollout(at_rest: Model, prometheus: Monitoring) -> None:
    """Nobody is thrown back for a query that nobody answers; the gate says who does not answer, and goes on when he does."""
    model, good = at_rest, at_rest.fresh("v2")

    def scale(replicas: int) -> None:
        model.kube.kubectl(
            "scale", "deployment/prometheus", f"--replicas={replicas}", f"--namespace={prometheus.namespace}"
        )

    scale(0)
    with model.traffic():
        model.upgrade(good, canary(25, 100, gates=[*GATES, BUSY]))
        model.wait_for(Phase.STEPPING, weight=25)
        until(lambda: "answer" in gate(model, "busy").get("reason", ""), "the reason", 60, model.told)
        assert gate(model, "busy")["answer"] == "unknown"
        assert gate(model, "busy")["reason"].startswith("busy: no number: http://prometheus")
        assert model.status()["weightPercent"] == 25
        scale(1)
        assert model.the_end(good, 120)["phase"] == Phase.PROMOTED
    model.assert_whole_journal()
