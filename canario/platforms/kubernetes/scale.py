"""How many servers each version has, wants and may have, as the cluster's own objects say it."""

from __future__ import annotations

from collections.abc import Mapping

from canario.adapters.kubernetes_api import Object
from canario.platforms.kubernetes.cache import Seen
from canario.platforms.kubernetes.naming import SERVER, VERSION_LABEL, is_component

_BOUNDS = {
    "lowest": ("minReplicas", "minReplicaCount"),
    "highest": ("maxReplicas", "maxReplicaCount"),
}
"""As a HorizontalPodAutoscaler says it, and as KEDA's ScaledObject does."""


def servers_of(seen: Seen, ready: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """By version: `wanted` and `ready` servers; `lowest` and `highest` where something scales them."""
    servers: dict[str, dict[str, int]] = {}
    for each in seen.deployments:
        if is_component(each, SERVER):
            version = each["metadata"]["labels"][VERSION_LABEL]
            servers[version] = {"wanted": each["spec"].get("replicas", 1), "ready": ready.get(version, 0)}
    for scaler in (*seen.autoscalers, *(seen.scaled_objects or ())):
        version = (scaler["metadata"].get("labels") or {}).get(VERSION_LABEL)
        if version in servers:
            servers[version].update(_bounds(scaler["spec"]))
    return servers


def _bounds(spec: Object) -> dict[str, int]:
    return {kind: spec[name] for kind, names in _BOUNDS.items() for name in names if name in spec}
