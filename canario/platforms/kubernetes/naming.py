"""What the objects of a model are called and labelled: the contract between charts, controller and commands."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from canario.platforms.kubernetes.resource import GROUP

MODEL_LABEL = f"{GROUP}/model"
COMPONENT_LABEL = f"{GROUP}/component"
VERSION_LABEL = f"{GROUP}/version"
NUDGE_ANNOTATION = f"{GROUP}/nudge"
"""On router pods: which configuration was last written. Its change makes the kubelet look at the mounted one at once."""
EPOCH_ANNOTATION = f"{GROUP}/epoch"
"""On what only the leader may write: the leader's fencing token."""
CONTROLLER_ANNOTATION = f"{GROUP}/controller"
"""On the state: the namespace of the controller that wrote it last, where its lease is found."""
LEASE_NAME = "canario-controller"

SERVER, ROUTER, STATE, RETRAINING, BATCH = "server", "router", "state", "retraining", "batch"
WORKER = "worker"

REST_PORT, GRPC_PORT, SERVER_OPERATOR_PORT = 3000, 3001, 3002
CLIENTS_PORT, ROUTER_OPERATOR_PORT, ROUTER_ADMIN_PORT = 8080, 9901, 9900

FIELD_MANAGER = "canario-controller"
LONGEST_NAME = 63
LONGEST_BATCH_NAME = 48
"""Of a CronJob whose Jobs have indexes: its Job's name is eleven characters longer, and a pod's host name has the index behind that."""
_RESERVED = frozenset({ROUTER, STATE, RETRAINING, WORKER, "journal", "servers"})
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def version_object(model: str, version: str) -> str:
    """The name of a version's Deployment and Service: `fraud-v2`; with a few letters of a hash where that is no DNS label."""
    name = f"{model}-{version}"
    if _LABEL.fullmatch(version) and version not in _RESERVED and len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(version.encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-")
    room = LONGEST_NAME - len(model) - len(digest) - 2
    return "-".join(part for part in (model, slug[:room].strip("-"), digest) if part)


def router_object(model: str) -> str:
    """The name of the router's Deployment, and of the ConfigMap with its configuration."""
    return f"{model}-{ROUTER}"


def worker_object(model: str) -> str:
    """The name of the Deployment that answers messages, and of what scales it."""
    return f"{model}-{WORKER}"


def retraining_object(model: str) -> str:
    """The name of the CronJob that retrains a model, and of its service account; Jobs that are asked for begin with it."""
    return f"{model}-{RETRAINING}"


def batch_object(model: str, schedule: str) -> str:
    """The name of the CronJob of a schedule of rows: `fraud-score-weekly`; with a few letters of a hash where that is too long."""
    name = f"{model}-score-{schedule}"
    if len(name) <= LONGEST_BATCH_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_BATCH_NAME - len(digest) - 1].rstrip('-')}-{digest}"


def state_object(model: str) -> str:
    """The name of the ConfigMap with the state and the newest part of the journal."""
    return f"{model}-{STATE}"


def journal_object(model: str, first_number: int) -> str:
    """The name of the ConfigMap with a finished part of the journal, by its first entry's number."""
    return f"{model}-journal-{first_number:010d}"


def labels(model: str, component: str, version: str = "") -> dict[str, str]:
    """The labels of what the controller makes."""
    return {
        "app.kubernetes.io/name": model,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "canario",
        "app.kubernetes.io/managed-by": "canario",
        **selector(model, component, version),
    }


def selector(model: str, component: str, version: str = "") -> dict[str, str]:
    """The labels by which it is found, which never change."""
    chosen = {MODEL_LABEL: model, COMPONENT_LABEL: component}
    return chosen | {VERSION_LABEL: version} if version else chosen


def is_component(content: Mapping[str, object], component: str) -> bool:
    """Whether an object carries a component's label; a server is one only with a version."""
    metadata = content["metadata"]
    assert isinstance(metadata, Mapping)  # noqa: S101 - every object has them
    found = metadata.get("labels") or {}
    return bool(found.get(COMPONENT_LABEL) == component and (component != SERVER or VERSION_LABEL in found))
