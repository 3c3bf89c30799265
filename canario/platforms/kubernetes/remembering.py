"""The record of a model whose state somebody has removed, made anew from what its status still tells; keeping it is for the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from canario.adapters.kubernetes_api import Object
from canario.platforms.kubernetes.intent import Wanted, first_record, served_version
from canario.platforms.kubernetes.resource import plan_of, read_spec, replicas_of, version_of
from canario.platforms.kubernetes.state import Record


def remembered(resource: Object) -> Record | None:
    """What the status still knows when somebody has removed the state: who answered, and from which image."""
    status: Mapping[str, object] = resource.get("status") or {}
    spec = read_spec(resource["spec"])
    versions = status.get("versions")
    told = {each["name"]: each for each in versions if each.get("image")} if isinstance(versions, list) else {}
    served = {name: served_version(name, each["image"], each.get("archive", "")) for name, each in told.items()}
    stable = str(status.get("stable", ""))
    if stable not in served:
        return None
    wanted = Wanted(
        version=stable,
        image=served[stable].image,
        archive=served[stable].archive,
        plan=plan_of(spec),
        replicas=replicas_of(spec),
        latency_milliseconds=spec.objectives.latency_milliseconds,
    )
    record = first_record(resource["metadata"]["name"], wanted)
    wish = status.get("lastRequest")
    answered = {str(wish["id"]): str(wish.get("answer", ""))} if isinstance(wish, Mapping) else {}
    return replace(
        record,
        deployment=replace(record.deployment, served=served, next_rollout=_next_rollout(status)),
        taken_version=version_of(spec, record.deployment.model),
        refused="the state was removed by somebody, so its rollout was given up",
        answered=answered,
    )


def _next_rollout(status: Mapping[str, object]) -> int:
    history = status.get("history")
    names = [str(each["rollout"]) for each in history] if isinstance(history, list) else []
    rollout = status.get("rollout")
    if isinstance(rollout, Mapping):
        names.append(str(rollout.get("name", "")))
    numbers = [int(name.rpartition("-")[2]) for name in names if name.rpartition("-")[2].isdigit()]
    return max(numbers, default=0) + 1
