"""Pods in any state that a cluster shows them in: who is ready is counted, what cannot start is said in words, and nothing odd ends a turn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.platforms.kubernetes.naming import ROUTER, SERVER, labels
from canario.platforms.kubernetes.pods import failures, messages, ready_servers, routers, servers


def pod(
    name: str = "a",
    version: str = "v1",
    *,
    component: str = SERVER,
    is_ready: bool = False,
    leaves: bool = False,
    waiting: dict[str, Any] | None = None,
    **container: Any,
) -> dict[str, Any]:
    """A pod as the API server shows it."""
    metadata: dict[str, Any] = {"name": name, "labels": labels("fraud", component, version)}
    if leaves:
        metadata["deletionTimestamp"] = "2026-11-25T02:00:00Z"
    state = {"waiting": waiting} if waiting else {"running": {}}
    return {
        "metadata": metadata,
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": str(is_ready)}],
            "containerStatuses": [{"name": "server", "image": "fraud:v1", "state": state, **container}],
        },
    }


def test_only_servers_that_are_ready_and_stay_count() -> None:
    """One that leaves gets nothing new; a version whose servers all start is known, with none ready."""
    pods = [pod("a", is_ready=True), pod("b", is_ready=True, leaves=True), pod("c"), pod("d", "v2")]
    assert ready_servers(pods) == {"v1": 1, "v2": 0}


@pytest.mark.parametrize(
    "waiting",
    [
        {"reason": "ImagePullBackOff", "message": "Back-off pulling image"},
        {"reason": "InvalidImageName", "message": "couldn't parse"},
        {"reason": "ErrImageNeverPull"},
        {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'},
    ],
)
def test_what_waiting_does_not_mend_is_a_failure_with_its_reason(waiting: dict[str, str]) -> None:
    """The kubelet's own word, and its message or at least the image."""
    found = failures([pod(waiting=waiting)])["v1"]
    assert found.startswith(f"{waiting['reason']}: ")
    assert waiting.get("message", "fraud:v1") in found


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "ErrImagePull", "CrashLoopBackOff"])
def test_what_may_still_come_is_no_failure(reason: str) -> None:
    """A first pull that failed, a first crash: the cluster tries again, so the rollout waits."""
    assert failures([pod(waiting={"reason": reason}, restartCount=1)]) == {}


def test_a_version_that_crashes_again_and_again_cannot_start() -> None:
    """With its exit code, and the command that tells more."""
    crashed = pod(
        waiting={"reason": "CrashLoopBackOff"},
        restartCount=3,
        lastState={"terminated": {"exitCode": 4, "message": "the model cannot be loaded"}},
    )
    found = failures([crashed])["v1"]
    assert "exit code 4, the model cannot be loaded, 3 times" in found
    assert "`kubectl logs a --previous`" in found


def test_a_version_with_one_ready_server_has_not_failed() -> None:
    """One broken node is no verdict on a version."""
    assert failures([pod("a", waiting={"reason": "ImagePullBackOff"}), pod("b", is_ready=True)]) == {}


def test_a_server_that_leaves_fails_nobody() -> None:
    """Its troubles are of the past."""
    assert failures([pod(leaves=True, waiting={"reason": "ImagePullBackOff"})]) == {}


def test_a_pod_without_a_node_says_why() -> None:
    """In the scheduler's own words."""
    unscheduled = pod()
    unscheduled["status"] = {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no memory"}
        ],
    }
    assert messages([unscheduled], []) == {"v1": "Unschedulable: 0/3 nodes: no memory"}


def test_a_pod_that_may_not_even_be_made_says_why() -> None:
    """A quota or an admission shows only at the Deployment; it is told as well."""
    deployment = {
        "metadata": {"labels": labels("fraud", SERVER, "v2")},
        "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}]},
    }
    assert messages([], [deployment]) == {"v2": "exceeded quota: small"}


def test_a_router_that_leaves_is_read_and_not_waited_for() -> None:
    """Its last counts matter, what it runs does not."""
    found = routers(
        [
            pod("b", component=ROUTER, is_ready=True, leaves=True),
            pod("a", component=ROUTER, is_ready=True),
            pod("c", component=ROUTER),
            pod("server", is_ready=True),
        ]
    )
    assert [(router.name, router.is_ready) for router in found] == [("a", True), ("b", False), ("c", False)]


texts = st.text(max_size=400)
conditions = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["Ready", "PodScheduled"]), "status": st.sampled_from(["True", "False"])}
    )
)
states: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({}, optional={"running": st.just({}), "terminated": st.just({"exitCode": 1})}),
    st.fixed_dictionaries(
        {
            "waiting": st.fixed_dictionaries(
                {"reason": st.sampled_from(["CrashLoopBackOff", "ImagePullBackOff", "ContainerCreating", "Odd"])},
                optional={"message": texts},
            )
        }
    ),
)
containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.just("server")},
        optional={
            "state": states,
            "lastState": st.sampled_from(
                [{}, {"terminated": {"exitCode": 1}}, {"terminated": {"message": "x" * 9000}}]
            ),
            "restartCount": st.integers(0, 99),
        },
    ),
    max_size=2,
)
any_status = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "phase": st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
            "podIP": st.sampled_from(["", "10.0.0.1", "fd00::1"]),
            "conditions": st.none() | conditions,
            "containerStatuses": st.none() | containers,
        },
    ),
)


@st.composite
def any_pod(draw: st.DrawFn) -> dict[str, Any]:
    """A pod of anybody in any state."""
    component = draw(st.sampled_from([SERVER, ROUTER, "controller"]))
    version = draw(st.sampled_from(["", "v1", "v2"]))
    metadata: dict[str, Any] = {"name": draw(st.sampled_from("abcdef")), "labels": labels("fraud", component, version)}
    if draw(st.booleans()):
        metadata["deletionTimestamp"] = "2026-11-25T02:00:00Z"
    found: dict[str, Any] = {"metadata": metadata}
    status = draw(any_status)
    return found | ({"status": status} if status is not None else {})


@given(pods=st.lists(any_pod(), max_size=6))
def test_no_pod_is_too_odd_to_be_looked_at(pods: list[dict[str, Any]]) -> None:
    """Fields that are missing, empty or null end no turn; what is told is short; who is ready has not failed."""
    ready = ready_servers(pods)
    failed = failures(pods)
    assert set(failed) <= {version for version, number in ready.items() if not number}
    assert all(0 < len(words) <= 400 for words in (*failed.values(), *messages(pods, []).values()))
    assert all(router.address for router in routers(pods))
    assert len(servers(pods)) <= len(pods)
