"""Who says how many servers a version has: one autoscaler or the spec, never both, and no version has fewer than its share takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.adapters.kubernetes_api import AUTOSCALERS, SCALED_OBJECTS
from canario.model.deployment import Deployment, Rollout, ServedVersion
from canario.model.resource import Autoscaling, ModelDeploymentSpec
from canario.model.rollout import Phase, RolloutSpec, RolloutState, Step
from canario.model.split import Split
from canario.platforms.kubernetes.naming import WORKER, labels, version_object, worker_object
from canario.platforms.kubernetes.objects import autoscaler_of, deployment_of, is_owned
from canario.platforms.kubernetes.resource import replicas_of
from canario.platforms.kubernetes.scaling import (
    ScaledBy,
    Scaling,
    condition_of,
    replicas_for,
    scaling_of,
    workers_condition,
)
from tests.platforms.kubernetes.plans import resources

RESOURCE: dict[str, Any] = {"metadata": {"name": "fraud", "namespace": "models", "uid": "u-1"}}
SERVED = ServedVersion(version="v2", image="fraud:v2")
PROMETHEUS = "http://prometheus.monitoring.svc:9090"
MEASURED = (
    Autoscaling(requests_per_second=50),
    Autoscaling(waiting_requests=4),
    Autoscaling(latency_milliseconds=40),
)
PLAN = RolloutSpec(steps=(Step(weight_percent=10), Step(weight_percent=50), Step(weight_percent=100)), gates=())


def deployed(*, step: int | None = None, servers: int = 4) -> Deployment:
    """`v1` is stable; with a step, `v2` is on trial and `v1` had so many servers when that began."""
    rollout = None
    if step is not None:
        state = RolloutState(
            rollout="r-1",
            stable="v1",
            candidate="v2",
            phase=Phase.STEPPING,
            phase_since_seconds=0.0,
            started_at_seconds=0.0,
            step_index=step,
            stable_servers=servers,
        )
        rollout = Rollout(spec=PLAN, state=state)
    return Deployment(
        model="fraud",
        is_up=True,
        port=8080,
        admin_port=9900,
        processes=1,
        latency_milliseconds=50.0,
        stable="v1",
        split=Split(stable="v1"),
        wanted=("v1", "v2") if rollout else ("v1",),
        served={"v1": replace(SERVED, version="v1"), "v2": SERVED},
        rollout=rollout,
    )


def asks(autoscaling: Autoscaling | None, **fields: Any) -> ModelDeploymentSpec:
    return ModelDeploymentSpec(image="fraud:v2", autoscaling=autoscaling, **fields)


def scaled(spec: ModelDeploymentSpec, deployment: Deployment, *, url: str = PROMETHEUS, keda: bool = True) -> Scaling:
    return scaling_of(spec, deployment, url, has_keda=keda)


def trigger_of(spec: ModelDeploymentSpec, deployment: Deployment, version: str) -> dict[str, Any]:
    found = autoscaler_of(RESOURCE, spec, replace(SERVED, version=version), scaled(spec, deployment))
    assert found
    assert found[0] is SCALED_OBJECTS
    (trigger,) = found[1]["spec"]["triggers"]
    return dict(trigger)


@given(spec=resources(), step=st.none() | st.integers(0, 2), keda=st.booleans(), url=st.sampled_from(["", PROMETHEUS]))
def test_either_the_controller_or_an_autoscaler_says_how_many(
    *, spec: ModelDeploymentSpec, step: int | None, keda: bool, url: str
) -> None:
    """Never both: they would fight. And never nobody."""
    deployment = deployed(step=step)
    scaling = scaled(spec, deployment, url=url, keda=keda)
    for version in deployment.wanted:
        served = replace(SERVED, version=version)
        replicas = replicas_for(scaling, version, 3)
        content = deployment_of(RESOURCE, spec, served, replicas)
        scaler = autoscaler_of(RESOURCE, spec, served, scaling)
        assert ("replicas" in content["spec"]) == (scaler is None)
        if spec.autoscaling is None:
            assert content["spec"]["replicas"] == replicas_of(spec)
        if scaler is not None:
            assert scaler[1]["spec"]["scaleTargetRef"]["name"] == content["metadata"]["name"]
            assert is_owned(scaler[1], RESOURCE)


@given(spec=resources(), step=st.integers(0, 2), servers=st.integers(1, 120))
def test_bounds_hold_whatever_a_rollout_needs(spec: ModelDeploymentSpec, step: int, servers: int) -> None:
    """No lower bound is above the upper one, which is the person's word, nor below the person's own."""
    for version, bounds in scaled(spec, deployed(step=step, servers=servers)).bounds.items():
        if spec.autoscaling is None:
            continue
        assert spec.autoscaling.min_replicas <= bounds.lowest <= bounds.highest == spec.autoscaling.max_replicas
        if version == "v1":
            assert bounds.lowest >= min(servers, bounds.highest)


def test_a_candidate_has_its_servers_before_its_share_and_stable_keeps_its_own() -> None:
    """With 8 servers of stable: 1, 4 and 8 of the candidate at 10, 50 and 100 percent, and 8 of stable until the end."""
    spec = asks(Autoscaling(min_replicas=1, max_replicas=20, requests_per_second=50))
    at = [scaled(spec, deployed(step=step, servers=8)).bounds for step in range(3)]
    assert [bounds["v2"].lowest for bounds in at] == [1, 4, 8]
    assert [bounds["v1"].lowest for bounds in at] == [8, 8, 8]
    assert scaled(spec, deployed()).bounds["v1"].lowest == 1


def test_stable_is_sized_for_all_requests_that_may_come_back() -> None:
    """In a rollout its figure names no version: when everybody is sent back to it, its servers are there."""
    spec = asks(Autoscaling(requests_per_second=50))
    stable, candidate = (trigger_of(spec, deployed(step=1), version) for version in ("v1", "v2"))
    counted = 'canario_requests_total{namespace="models",model="fraud",method=~"predict|infer"}'
    assert stable["metadata"]["query"] == (
        f"sum(rate({counted}[60s])) and on() "
        f"(max(count_over_time({counted}[30s] offset 30s)) >= max(count_over_time({counted}[30s])) - 1)"
    )
    assert 'namespace="models",model="fraud",version="v2"' in candidate["metadata"]["query"]


@pytest.mark.parametrize("autoscaling", MEASURED)
def test_a_figure_that_is_missing_takes_no_server_away(autoscaling: Autoscaling) -> None:
    """A Prometheus that is away, or that has just started and knows nothing, is no load of zero: the servers stay."""
    spec = asks(autoscaling)
    found = autoscaler_of(RESOURCE, spec, SERVED, scaled(spec, deployed(step=1)))
    assert found
    content = found[1]["spec"]
    assert content["fallback"]["behavior"] == "currentReplicasIfHigher"
    assert content["fallback"]["replicas"] == content["minReplicaCount"] == 2
    assert content["triggers"][0]["metadata"]["ignoreNullValues"] == "false"
    assert content["advanced"]["restoreToOriginalReplicaCount"] is False


def test_each_figure_is_asked_for_as_it_is_meant() -> None:
    """Requests and queue are sums of which each server shall have its part; the latency is what it is."""
    told = [trigger_of(asks(each), deployed(step=1), "v2") for each in MEASURED]
    assert [each["metricType"] for each in told] == ["AverageValue", "AverageValue", "Value"]
    assert [each["metadata"]["threshold"] for each in told] == ["50", "4", "40"]
    assert all(each["metadata"]["serverAddress"] == PROMETHEUS for each in told)


def test_cpu_needs_neither_prometheus_nor_keda() -> None:
    """It is what `autoscaling: {}` means: 70 percent, by Kubernetes' own autoscaler."""
    spec = asks(Autoscaling(scale_down_seconds=60))
    scaling = scaled(spec, deployed(), url="", keda=False)
    found = autoscaler_of(RESOURCE, spec, replace(SERVED, version="v1"), scaling)
    assert found
    assert (scaling.by, found[0]) == (ScaledBy.CPU, AUTOSCALERS)
    assert found[1]["metadata"]["name"] == version_object("fraud", "v1")
    assert found[1]["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    assert found[1]["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60


@pytest.mark.parametrize(
    ("url", "keda", "reason", "words"),
    [("", True, "NoPrometheus", "prometheus.url"), (PROMETHEUS, False, "NoKeda", "install KEDA")],
)
def test_what_is_missing_is_told_and_no_server_is_lost_for_it(*, url: str, keda: bool, reason: str, words: str) -> None:
    """The condition says what to do; until then the servers that are there stay, within the bounds."""
    spec = asks(Autoscaling(min_replicas=2, max_replicas=8, requests_per_second=50))
    scaling = scaled(spec, deployed(), url=url, keda=keda)
    assert spec.autoscaling
    status, found, message = condition_of(spec.autoscaling, scaling, ())
    assert (status, found, words in message) == ("False", reason, True)
    assert autoscaler_of(RESOURCE, spec, replace(SERVED, version="v1"), scaling) is None
    assert [replicas_for(scaling, "v1", present) for present in (0, 5, 12)] == [2, 5, 8]


def test_what_keda_refuses_is_told_in_its_words() -> None:
    """Otherwise the condition says by what the number follows, and between which bounds."""
    spec = asks(Autoscaling(requests_per_second=50))
    assert spec.autoscaling
    scaling = scaled(spec, deployed())
    assert condition_of(spec.autoscaling, scaling, ()) == (
        "True",
        "FollowsLoad",
        "50 requests a second each: v1 has 2 to 10 servers",
    )
    ready = {"type": "Ready", "status": "False", "message": "no such host prometheus"}
    refused = {"metadata": {"name": "fraud-v1"}, "status": {"conditions": [ready]}}
    assert condition_of(spec.autoscaling, scaling, [refused])[:2] == ("False", "KedaRefuses")
    assert "no such host" in condition_of(spec.autoscaling, scaling, [refused])[2]
    of_workers = {**refused, "metadata": {"name": worker_object("fraud"), "labels": labels("fraud", WORKER)}}
    assert condition_of(spec.autoscaling, scaling, [of_workers])[:2] == ("True", "FollowsLoad")
    status, found, message = workers_condition([refused, of_workers]) or ("", "", "")
    assert (status, found) == ("False", "KedaRefuses")
    assert "no such host" in message
    assert workers_condition([refused]) is None
    assert (workers_condition([{**of_workers, "status": {}}]) or ())[:2] == ("True", "FollowsQueues")
