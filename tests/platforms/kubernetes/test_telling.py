"""What `canario status` tells of a model in a cluster: only what is known, and never that all is well when nobody steers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from canario.adapters.kubernetes_api import Object
from canario.model.deployment import Rollout
from canario.model.rollout import GateKind, Phase, RolloutSpec, RolloutState, StrategyKind
from canario.model.split import Split
from canario.model.verdict import Answer
from canario.platforms.kubernetes.intent import Wanted, first_record
from canario.platforms.kubernetes.state import Record
from canario.platforms.kubernetes.telling import Kept, status_of
from canario.rollout.plan import default_plan

NOW = 1_800_000_000.0
PLAN = default_plan(StrategyKind.CANARY)
RECORD = first_record("fraud", Wanted(version="v1", image="fraud:v1", plan=PLAN, replicas=2, latency_milliseconds=50.0))


def resource(**status: Any) -> Object:
    """The model as the API server holds it."""
    return {
        "metadata": {"name": "fraud", "namespace": "models"},
        "spec": {"image": "localhost/fraud:v1"},
        "status": status,
    }


def lease(age_seconds: float, holder: str = "canario-1") -> Object:
    """A controller's sign of life."""
    renewed = datetime.fromtimestamp(NOW - age_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"spec": {"holderIdentity": holder, "renewTime": renewed}}


def pod(name: str, version: str, *, is_ready: bool = True, restarts: int = 0, **more: Any) -> Object:
    """A server's pod."""
    container: Object = {"name": "server", "restartCount": restarts, **more.pop("container", {})}
    return {
        "metadata": {
            "name": name,
            "labels": {"canario.dev/component": "server", "canario.dev/version": version},
            **more,
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(is_ready)}],
            "containerStatuses": [container],
        },
    }


def kept(**changes: Any) -> Kept:
    """A model at rest that a controller steers."""
    usual: dict[str, Any] = {
        "resource": resource(split={"asked": {"stable": "v1"}, "actual": {"stable": "v1"}}),
        "record": RECORD,
        "pods": [pod("fraud-v1-a", "v1"), pod("fraud-v1-b", "v1")],
        "lease": lease(1.0),
        "lease_namespace": "canario",
    }
    return Kept(**usual | changes)


def on_trial() -> Record:
    """v2 on trial over v1."""
    spec = RolloutSpec(steps=PLAN.steps, gates=PLAN.gates)
    state = RolloutState(
        rollout="fraud-0001",
        stable="v1",
        candidate="v2",
        phase=Phase.STEPPING,
        started_at_seconds=NOW - 60,
        phase_since_seconds=NOW - 30,
    )
    split = Split(stable="v1", candidate="v2", weight_percent=10)
    deployment = replace(RECORD.deployment, rollout=Rollout(spec=spec, state=state), split=split)
    return replace(RECORD, deployment=deployment)


def test_a_model_at_rest_is_told_whole() -> None:
    """Name, namespace, the address within the cluster, who answers, as asked and as read back, and the pods by name."""
    status = status_of(kept(), NOW)
    assert (status.model, status.namespace, status.url) == ("fraud", "models", "http://fraud.models.svc:8080")
    assert (status.stable, status.is_up, status.is_supervised) == ("v1", True, True)
    assert status.asked == status.actual == Split(stable="v1")
    assert [(server.pod, server.slot, server.stage, server.pid) for server in status.servers] == [
        ("fraud-v1-a", 0, "ready", None),
        ("fraud-v1-b", 1, "ready", None),
    ]
    assert (status.spec_version, status.lease, status.notices) == ("v1", "canario/canario-controller", {})


@pytest.mark.parametrize(
    ("seen", "is_supervised"),
    [
        (lease(14.0), True),
        (lease(16.0), False),
        (lease(1.0, holder=""), False),
        (None, False),
    ],
    ids=["fresh", "run out", "given back", "never there"],
)
def test_a_controller_runs_while_its_lease_is_fresh(seen: Object | None, is_supervised: bool) -> None:  # noqa: FBT001
    """Without a fresh lease nobody steers, and what the routers ran when somebody last looked is not told as the present."""
    status = status_of(kept(lease=seen), NOW)
    assert status.is_supervised is is_supervised
    assert (status.actual is not None) is is_supervised


def test_who_may_not_see_the_lease_is_not_told_that_nobody_steers() -> None:
    """A right that is missing is no proof of a controller that is."""
    status = status_of(kept(lease=None, lease_is_hidden=True), NOW)
    assert status.is_supervised
    assert status.heartbeat_age_seconds is None


def test_a_model_that_no_controller_has_taken_up_is_not_up() -> None:
    """Before there is a record nobody answers; why is in the notices."""
    refused = {"type": "Accepted", "status": "False", "reason": "InvalidSpec", "message": "the weights do not rise"}
    told = resource(conditions=[{**refused, "lastTransitionTime": "2027-01-15T08:00:00Z"}])
    status = status_of(kept(record=None, resource=told, pods=[]), NOW)
    assert (status.is_up, status.stable, status.servers) == (False, "", ())
    assert status.notices == {"Accepted": "the weights do not rise"}


def test_pods_say_why_they_are_not_ready() -> None:
    """A pod that starts, leaves, waits for its image or has died is told as such; one that was evicted is not there."""
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    gone = pod("fraud-v2-e", "v2")
    gone["status"]["phase"] = "Failed"
    pods = [
        pod("fraud-v2-a", "v2", is_ready=False),
        pod("fraud-v2-b", "v2", deletionTimestamp="2027-01-15T08:00:00Z"),
        pod("fraud-v2-c", "v2", is_ready=False, container=waiting),
        pod("fraud-v2-d", "v2", restarts=3),
        gone,
    ]
    told = [(each.stage, each.restarts, each.failure) for each in status_of(kept(pods=pods), NOW).servers]
    assert told == [
        ("cold", 0, ""),
        ("leaving", 0, ""),
        ("cold", 0, "ImagePullBackOff: no such image"),
        ("ready", 3, ""),
    ]


@pytest.mark.parametrize(("rollout", "is_told"), [("fraud-0001", True), ("fraud-0000", False)])
def test_a_verdict_is_told_of_its_own_rollout_only(rollout: str, is_told: bool) -> None:  # noqa: FBT001
    """The last rollout's verdict is never shown as the present one's."""
    gate = {"kind": "errors", "answer": "unknown", "method": "sequential", "reason": "v2 none", "requestsNeeded": 536}
    told = resource(
        rollout={"name": rollout, "strategy": "canary", "phase": "stepping"},
        evidence={"answer": "unknown", "reason": "not yet", "gates": [gate]},
    )
    verdict = status_of(kept(record=on_trial(), resource=told), NOW).verdict
    assert (verdict is not None) is is_told
    if verdict:
        assert verdict.answer is Answer.UNKNOWN
        assert [(each.gate, each.requests_needed) for each in verdict.gates] == [(GateKind.ERRORS, 536)]


def test_a_status_of_another_release_tells_less_and_breaks_nothing() -> None:
    """Fields that this release does not know are no error: the record still says who answers."""
    status = status_of(kept(resource=resource(mood="sunny")), NOW)
    assert (status.stable, status.actual, status.notices) == ("v1", None, {})
