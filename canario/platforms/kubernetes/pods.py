"""What pods say of themselves: which servers are ready, why others cannot start, which routers answer; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from canario.adapters.kubernetes_api import Object
from canario.model.deployment import ServerStatus
from canario.platforms.kubernetes.naming import GRPC_PORT, REST_PORT, ROUTER, SERVER, VERSION_LABEL, is_component

HOPELESS = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"})
"""Reasons that the kubelet gives only once it has tried, and that time does not mend."""
CRASHES_THAT_COUNT = 3
LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class RouterPod:
    """One router, as far as its pod tells."""

    name: str
    address: str
    is_ready: bool
    """Whether the Service sends it clients: what it runs and counts must be known."""


def ready_servers(pods: Iterable[Object]) -> dict[str, int]:
    """By version that has pods at all: how many are ready and stay."""
    ready: dict[str, int] = {}
    for pod in pods:
        if is_component(pod, SERVER):
            version = pod["metadata"]["labels"][VERSION_LABEL]
            ready[version] = ready.get(version, 0) + (_is_ready(pod) and not _leaves(pod))
    return ready


def failures(pods: Iterable[Object]) -> dict[str, str]:
    """By version of which no server is ready: why its servers cannot start, where waiting does not help."""
    pods = [pod for pod in pods if is_component(pod, SERVER) and not _leaves(pod)]
    ready = ready_servers(pods)
    found = {}
    for pod in pods:
        version = pod["metadata"]["labels"][VERSION_LABEL]
        words = "" if ready[version] else _hopeless(pod)
        if words:
            found[version] = words
    return found


def messages(pods: Iterable[Object], deployments: Iterable[Object]) -> dict[str, str]:
    """By version: why some of its servers are not ready, in the cluster's own words; versions where all is well are left out."""
    told: dict[str, str] = {}
    for deployment in deployments:
        version = deployment["metadata"]["labels"].get(VERSION_LABEL, "")
        for condition in (deployment.get("status") or {}).get("conditions") or []:
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                told[version] = condition.get("message", "")[:LONGEST_WORDS]
    for pod in pods:
        if is_component(pod, SERVER) and not _leaves(pod) and not _is_ready(pod):
            words = why_waiting(pod)
            if words:
                told.setdefault(pod["metadata"]["labels"][VERSION_LABEL], words)
    return told


def servers(pods: Iterable[Object]) -> list[ServerStatus]:
    """Each server as people see it, the oldest of its version first."""
    found: list[ServerStatus] = []
    for pod in sorted(pods, key=lambda each: (each["metadata"].get("creationTimestamp", ""), each["metadata"]["name"])):
        if not is_component(pod, SERVER) or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        version, is_ready = pod["metadata"]["labels"][VERSION_LABEL], _is_ready(pod)
        found.append(
            ServerStatus(
                version=version,
                slot=sum(each.version == version for each in found),
                stage="leaving" if _leaves(pod) else "ready" if is_ready else "cold",
                pid=None,
                http_port=REST_PORT,
                grpc_port=GRPC_PORT,
                restarts=sum(container.get("restartCount", 0) for container in _containers(pod)),
                failure="" if is_ready or _leaves(pod) else why_waiting(pod),
                pod=pod["metadata"]["name"],
            )
        )
    return found


def why_waiting(pod: Object) -> str:
    """What keeps a pod from running, in the cluster's words; empty when nothing does, or it is only on its way."""
    return _hopeless(pod) or _waiting(pod) or _unscheduled(pod)


def routers(pods: Iterable[Object]) -> list[RouterPod]:
    """The routers that have an address; those that leave are there too, for their last counts."""
    found = []
    for pod in pods:
        address = (pod.get("status") or {}).get("podIP", "")
        if is_component(pod, ROUTER) and address and pod["status"].get("phase") == "Running":
            found.append(RouterPod(pod["metadata"]["name"], address, _is_ready(pod) and not _leaves(pod)))
    return sorted(found, key=lambda router: router.name)


def _leaves(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _conditions(pod: Object) -> Mapping[str, Object]:
    return {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or []}


def _is_ready(pod: Object) -> bool:
    return bool(_conditions(pod).get("Ready", {}).get("status") == "True")


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _hopeless(pod: Object) -> str:
    for container in _containers(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in HOPELESS:
            return f"{reason}: {waiting.get('message', container.get('image', ''))}"[:LONGEST_WORDS]
        if reason == "CrashLoopBackOff" and container.get("restartCount", 0) >= CRASHES_THAT_COUNT:
            ended = (container.get("lastState") or {}).get("terminated") or {}
            words = f"it ended with exit code {ended.get('exitCode')}" + (
                f", {ended['message']}" if ended.get("message") else ""
            )
            name = pod["metadata"]["name"]
            return f"CrashLoopBackOff: {words}, {container['restartCount']} times; `kubectl logs {name} --previous` tells more"[
                :LONGEST_WORDS
            ]
    return ""


def _waiting(pod: Object) -> str:
    for container in _containers(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return f"{waiting['reason']}: {waiting.get('message', '')}"[:LONGEST_WORDS]
    return ""


def _unscheduled(pod: Object) -> str:
    scheduled = _conditions(pod).get("PodScheduled", {})
    if scheduled.get("status") != "False":
        return ""
    return f"{scheduled.get('reason', 'Unschedulable')}: {scheduled.get('message', '')}"[:LONGEST_WORDS]
