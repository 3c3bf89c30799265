"""Servers follow the load by KEDA and Prometheus, also in the middle of a canary: no request fails, and nobody fights over their number."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from math import ceil

import pytest

from canario.adapters.kubernetes_api import DEPLOYMENTS, SCALED_OBJECTS, Object
from canario.model.rollout import Phase
from canario.platforms.kubernetes.naming import version_object
from tests.cluster import monitoring_images
from tests.cluster.cluster import Cluster
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.monitoring import Monitoring
from tests.e2e.kubernetes.plans import canary, held
from tests.e2e.kubernetes.steady import Ledger
from tests.e2e.kubernetes.test_whole_suite import requests_of

pytestmark = pytest.mark.timeout(420)

EACH = 20
"""Requests a second that a server shall answer."""
MOST = 5
SCALING = {
    "minReplicas": 1,
    "maxReplicas": MOST,
    "requestsPerSecond": EACH,
    "windowSeconds": 8,
    "scaleDownSeconds": 5,
}
FEW, HALFWAY, MANY = 10.0, 50.0, 75.0
"""Requests a second: what one server answers, what three do, and what four do."""
AT_HALFWAY, AT_MANY = ceil(HALFWAY / EACH), ceil(MANY / EACH)
FOLLOW_SECONDS = 60.0
"""The longest from a change of the load to the servers for it, on a machine that has other things to do."""
AWAY_SECONDS = 30.0
OBJECTIVE_SECONDS = 0.5
"""Half of what the scenarios' models promise, and a bound of the histogram."""
APPLIES_WHEN_MADE = 3
"""A Deployment is made with the servers that it needs, the number is handed on, and the rest is applied without it."""


@dataclass
class Scaled:
    """A model whose servers follow its requests."""

    model: Model
    monitoring: Monitoring
    since: float
    """When its controller began."""

    def replicas(self, version: str) -> int:
        """How many servers a version shall have."""
        found = self._deployment(version)
        return int(found["spec"]["replicas"]) if found else 0

    def ready(self, version: str) -> int:
        """How many it has."""
        found = self._deployment(version)
        return int((found.get("status") or {}).get("readyReplicas", 0)) if found else 0

    def wait_for_servers(self, version: str, servers: int) -> float:
        """The seconds until a version has so many ready servers and shall have no others."""
        started = time.monotonic()
        until(
            lambda: self.replicas(version) == self.ready(version) == servers,
            f"{servers} servers of {version}",
            FOLLOW_SECONDS,
            lambda: (self.replicas(version), self.ready(version), self.model.told()),
        )
        return time.monotonic() - started

    def answered_in_time(self) -> float:
        """The share of the last seconds' requests that servers answered within the objective."""
        words = f'namespace="{self.model.namespace}",model="{self.model.name}",method=~"predict|infer"'
        in_time = f'sum(rate(canario_request_duration_seconds_bucket{{{words},le="{OBJECTIVE_SECONDS}"}}[20s]))'
        return self.monitoring.wait_for_value(
            f"{in_time} / sum(rate(canario_request_duration_seconds_count{{{words}}}[20s]))"
        )

    def _deployment(self, version: str) -> Object | None:
        return self.model.kube.get(DEPLOYMENTS, version_object(self.model.name, version), self.model.namespace)


@pytest.fixture(scope="module")
def scaled(
    with_keda: None,
    cluster: Cluster,
    kube: Kube,
    images: dict[str, str],
    canario_image: str,
    controller: Controller,
    models_namespace: str,
    ledger: Ledger,
) -> Iterator[Scaled]:
    """A model of one to five servers, and the Prometheus that counts its requests."""
    assert images
    cluster.load(monitoring_images.monitoring_image())
    monitoring = Monitoring(kube, kube.make_namespace(f"monitoring-{uuid.uuid4().hex[:6]}"))
    monitoring.start_prometheus([models_namespace], controllers=[controller.namespace])
    since = time.time()
    controller.install(prometheus={"url": monitoring.prometheus_url})
    model = Model(kube, models_namespace, ledger, canario_image, name="scaled")
    model.install("v1", canary(), autoscaling=SCALING)
    yield Scaled(model, monitoring, since)
    model.uninstall()
    controller.install()
    monitoring.leave(models_namespace)


def test_servers_follow_the_load_up_and_down(scaled: Scaled, report: Callable[[str], None]) -> None:
    """More requests: more servers, before the objective breaks. Fewer: fewer servers, and no request fails for those that leave."""
    model = scaled.model
    with model.traffic(FEW):
        scaled.wait_for_servers("v1", 1)
        with model.traffic(MANY - FEW) as clients:
            up = scaled.wait_for_servers("v1", AT_MANY)
            in_time = scaled.answered_in_time()
        down = scaled.wait_for_servers("v1", 1)
        until(lambda: len(model.killer.pods(component="server", version="v1", model=model.name)) == 1, "one pod", 60)
    assert in_time > 0.99
    assert model.condition("Scaling")["reason"] == "FollowsLoad"
    report(
        f"{FEW:.0f} to {MANY:.0f} requests/s: 1 to {AT_MANY} servers in {up:.0f} s, "
        f"{in_time:.2%} answered within {OBJECTIVE_SECONDS} s (slowest {clients.tally.slowest_seconds * 1000:.0f} ms); "
        f"back to 1 in {down:.0f} s; failed: 0"
    )


def test_a_canary_has_its_servers_first_and_the_way_back_stays_open(
    scaled: Scaled, report: Callable[[str], None]
) -> None:
    """At 50 %, load comes and goes: the split stays, stable stays able to answer everybody, and so a rollback finds its servers."""
    model = scaled.model
    candidate = model.fresh("v2")
    with model.traffic(FEW), model.traffic(HALFWAY - FEW):
        scaled.wait_for_servers("v1", AT_HALFWAY)
        model.upgrade(candidate, held(50), autoscaling=SCALING)
        until(lambda: model.split_written().get("weight_percent") == 50, "50 %", 90, model.told)
        at_share = scaled.ready(candidate)
        with model.traffic(MANY - HALFWAY):
            up = scaled.wait_for_servers("v1", AT_MANY)
            until(lambda: scaled.ready(candidate) >= ceil(AT_MANY / 2), "the candidate's servers", 60, model.told)
            assert model.split_written()["weight_percent"] == 50
        time.sleep(SCALING["windowSeconds"] + SCALING["scaleDownSeconds"] + 10)
        kept = {version: scaled.ready(version) for version in ("v1", candidate)}
        assert model.split_written()["weight_percent"] == 50
        model.wish("abort", reason="the way back")
        until(lambda: not model.split_written().get("weight_percent"), "nobody to be sent to it", 30, model.told)
        landed = scaled.ready("v1")
        end = model.the_end(candidate)
        down = scaled.wait_for_servers("v1", AT_HALFWAY)
    assert end["phase"] == Phase.ROLLED_BACK
    assert at_share >= ceil(AT_HALFWAY / 2), "half of the requests that stable answered"
    assert kept["v1"] >= AT_MANY, "stable may have everybody back, at the load that there was"
    assert landed >= AT_MANY
    report(
        f"at its 50 % of {HALFWAY:.0f} requests/s the candidate had {at_share} servers; at {MANY:.0f} requests/s stable had "
        f"{AT_MANY} after {up:.0f} s; half a minute after that load was gone: {kept}; the rollback landed on {landed} servers, "
        f"which were {AT_HALFWAY} again {down:.0f} s later; failed: 0"
    )
    name = version_object(model.name, candidate)
    until(lambda: model.kube.get(SCALED_OBJECTS, name, model.namespace) is None, "its autoscaler to go", 30)


def test_a_promoted_version_has_what_the_old_one_had(scaled: Scaled, report: Callable[[str], None]) -> None:
    """By the time that everybody is sent to it, it has a server for each of stable's; the old one keeps its own until the end."""
    model = scaled.model
    candidate = model.fresh("v2")
    with model.traffic(FEW), model.traffic(HALFWAY - FEW):
        scaled.wait_for_servers("v1", AT_HALFWAY)
        model.upgrade(candidate, canary(50, 100, seconds=8), autoscaling=SCALING)
        until(lambda: model.split_written().get("weight_percent") == 100, "100 %", 90, model.told)
        had = {version: scaled.ready(version) for version in ("v1", candidate)}
        end = model.the_end(candidate)
        scaled.wait_for_servers(candidate, AT_HALFWAY)
    assert end["phase"] == Phase.PROMOTED
    assert had["v1"] >= AT_HALFWAY
    assert had[candidate] >= AT_HALFWAY
    report(f"ready servers when everybody was sent to the candidate: {had}; failed: 0")
    model.assert_whole_journal()


def test_servers_stay_while_prometheus_is_away(scaled: Scaled, report: Callable[[str], None]) -> None:
    """Nobody knows the load then, and a Prometheus that has just come back knows none: neither takes a server away."""
    model, here = scaled.model, f"--namespace={scaled.monitoring.namespace}"
    version = model.stable
    with model.traffic(FEW), model.traffic(HALFWAY - FEW):
        scaled.wait_for_servers(version, AT_HALFWAY)
        # The pause before this test's traffic must have left the window: it could still cost a server.
        time.sleep(SCALING["windowSeconds"] + SCALING["scaleDownSeconds"])
        scaled.wait_for_servers(version, AT_HALFWAY)
        model.kube.kubectl("scale", "deployment/prometheus", "--replicas=0", here)
        fewest = fewest_during(AWAY_SECONDS, lambda: scaled.replicas(version))
        model.kube.kubectl("scale", "deployment/prometheus", "--replicas=1", here)
        scaled.monitoring.wait_for_value(f'sum(canario_requests_total{{model="{model.name}"}})')
        fewest = min(fewest, fewest_during(SCALING["windowSeconds"], lambda: scaled.replicas(version)))
    assert fewest == AT_HALFWAY
    report(f"{AWAY_SECONDS:.0f} s without Prometheus, and after it: never fewer than {fewest} servers; failed: 0")


def fewest_during(seconds: float, count: Callable[[], int]) -> int:
    """The smallest of the numbers that were seen meanwhile."""
    found, end = count(), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        found = min(found, count())
    return found


def test_nobody_fights_over_the_number_of_servers(
    scaled: Scaled, controller: Controller, cluster: Cluster, report: Callable[[str], None]
) -> None:
    """The controller wrote each Deployment when it was made, and never again: from then on only the autoscaler said how many."""
    version = scaled.model.stable
    found = scaled._deployment(version)
    assert found is not None
    writers = {
        (entry["manager"], entry.get("subresource", ""))
        for entry in found["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }
    # KEDA itself only where it had to say a number without Prometheus.
    assert writers <= {("kube-controller-manager", "scale"), ("keda-operator", "scale")}
    assert writers
    if cluster.audit_log is None:
        return
    writes: dict[str, list[float]] = {}
    resources: Counter[str] = Counter()
    for entry in requests_of(controller, cluster.audit_log):
        moment = datetime.fromisoformat(entry["stageTimestamp"]).timestamp()
        target = entry["objectRef"]
        if moment < scaled.since or entry["verb"] not in ("create", "update", "patch"):
            continue
        resources[target["resource"]] += 1
        if target["resource"] == "deployments" and target["name"].startswith(f"{scaled.model.name}-"):
            assert target.get("subresource", "") == ""
            writes.setdefault(target["name"], []).append(moment)
    assert writes
    for name, moments in writes.items():
        assert len(moments) <= APPLIES_WHEN_MADE, name
        assert max(moments) - min(moments) < 5.0, name
    report(
        f"the controller's writes meanwhile: {dict(resources)}, of Deployments {[len(each) for each in writes.values()]}"
    )
