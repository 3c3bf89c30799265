"""Servers follow the use of CPU by Kubernetes' own autoscaler, where a metrics server tells it; Prometheus and KEDA are not asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from canario.adapters.kubernetes_api import AUTOSCALERS, DEPLOYMENTS
from canario.platforms.kubernetes.naming import version_object
from tests.cluster import metrics_server
from tests.cluster.cluster import Cluster
from tests.cluster.running import Progress
from tests.cluster.settings import Settings
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import held
from tests.e2e.kubernetes.steady import Ledger
from tests.parts import missing

pytestmark = pytest.mark.timeout(420)

RESOURCES = {"requests": {"cpu": "50m", "memory": "64Mi"}}
SCALING = {"minReplicas": 1, "maxReplicas": 3, "cpuPercent": 100, "scaleDownSeconds": 5}
REQUESTS_PER_SECOND = 120.0
FOLLOW_SECONDS = 120.0


@pytest.fixture
def busy(
    cluster: Cluster,
    kube: Kube,
    images: dict[str, str],
    canario_image: str,
    controller: Controller,
    models_namespace: str,
    ledger: Ledger,
) -> Iterator[Model]:
    """A model of one to three servers that may use 50 thousandths of a core each."""
    assert images
    assert controller.leader()
    if cluster.audit_log is not None:
        metrics_server.start(Settings.from_environment(), Progress())
    elif not kube.kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", "--ignore-not-found", "--output=name"):
        missing("the cluster of KUBECONFIG has no metrics server")
    model = Model(kube, models_namespace, ledger, canario_image, name="busy")
    model.install("v1", held(), autoscaling=SCALING, resources=RESOURCES)
    yield model
    model.uninstall()


def test_servers_follow_the_cpu(busy: Model, report: Callable[[str], None]) -> None:
    """Busy servers get company, idle ones leave, and no request fails."""

    def replicas() -> int:
        found = busy.kube.get(DEPLOYMENTS, version_object(busy.name, "v1"), busy.namespace)
        return int(found["spec"]["replicas"]) if found else 0

    def told() -> object:
        found = busy.kube.get(AUTOSCALERS, version_object(busy.name, "v1"), busy.namespace) or {}
        return found.get("status")

    started = time.monotonic()
    with busy.traffic(10):
        with busy.traffic(REQUESTS_PER_SECOND):
            until(lambda: replicas() > 1, "more servers", FOLLOW_SECONDS, told)
            up = time.monotonic() - started
            until(lambda: len(busy.killer.pods(component="server", model=busy.name)) > 1, "them to be ready", 60, told)
        started = time.monotonic()
        until(lambda: replicas() == 1, "fewer servers", FOLLOW_SECONDS, told)
    assert busy.condition("Scaling")["message"].startswith("100 % of the requested CPU")
    report(f"by the CPU: more servers after {up:.0f} s, one again after {time.monotonic() - started:.0f} s; failed: 0")
