"""A version as the API server's objects: a Deployment, a headless Service and, if asked for, an autoscaler; pure text, applied by the world."""

from __future__ import annotations

from collections.abc import Mapping

from canario.adapters.kubernetes_api import AUTOSCALERS, MODEL_DEPLOYMENTS, SCALED_OBJECTS, Object, Resource
from canario.model.deployment import ServedVersion
from canario.model.resource import ModelDeploymentSpec
from canario.platforms.kubernetes.documents import write_noun
from canario.platforms.kubernetes.naming import (
    GRPC_PORT,
    MODEL_LABEL,
    REST_PORT,
    SERVER,
    SERVER_OPERATOR_PORT,
    labels,
    selector,
    version_object,
)
from canario.platforms.kubernetes.resource import is_address
from canario.platforms.kubernetes.scaling import ScaledBy, Scaling, cpu_scaler_spec, scaled_object_spec

LINGER_SECONDS = 4
"""After SIGTERM: how long a server still takes requests. DNS names it for up to the cluster's cache time, the health checks notice in one second."""
GRACE_SECONDS = 45
STATE_FOLDER = "/var/lib/canario"
ARCHIVES_FOLDER = "/archives"
FEEDBACK_KEY = "url"
"""The key of the Secret that names the database of predictions and truths."""
FEEDBACK_SETTINGS = {
    "cohortSeconds": "CANARIO_COHORT_SECONDS",
    "maturitySeconds": "CANARIO_MATURITY_SECONDS",
    "qualityWindowSeconds": "CANARIO_QUALITY_WINDOW_SECONDS",
    "keptDays": "CANARIO_FEEDBACK_DAYS",
}
"""Keys that the Secret may have beside it, by the setting that each is: whoever writes or reads the database must agree on them."""


def owner_of(resource: Object) -> list[Object]:
    """What makes an object go when its ModelDeployment goes, also while no controller runs."""
    metadata = resource["metadata"]
    reference = {
        "apiVersion": MODEL_DEPLOYMENTS.api_version,
        "kind": MODEL_DEPLOYMENTS.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return [reference]


def is_owned(content: Object, resource: Object) -> bool:
    """Whether an object belongs to a ModelDeployment."""
    owners = content["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == resource["metadata"]["uid"] for owner in owners)


def deployment_of(
    resource: Object, spec: ModelDeploymentSpec, served: ServedVersion, replicas: int | None = None
) -> Object:
    """The servers of a version; without a number where an autoscaler, and nobody else, says how many there are."""
    model = resource["metadata"]["name"]
    chosen = selector(model, SERVER, served.version)
    content: Object = {
        "metadata": _metadata(resource, served),
        "spec": {
            "selector": {"matchLabels": chosen},
            "revisionHistoryLimit": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels(model, SERVER, served.version)},
                "spec": _pod(spec, served, chosen),
            },
        },
    }
    if replicas is not None:
        content["spec"]["replicas"] = replicas
    return content


def service_of(resource: Object, served: ServedVersion) -> Object:
    """The name under which the routers find a version's ready servers, with or without a controller."""
    model = resource["metadata"]["name"]
    ports = (("rest", REST_PORT), ("grpc", GRPC_PORT), ("operator", SERVER_OPERATOR_PORT))
    return {
        "metadata": _metadata(resource, served),
        "spec": {
            "clusterIP": "None",
            # A name server remembers for seconds that there was no address. The routers look at each server's health themselves,
            # every half second, so they may know of servers that are not ready yet.
            "publishNotReadyAddresses": True,
            "selector": selector(model, SERVER, served.version),
            "ports": [
                {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
                | ({"appProtocol": "kubernetes.io/h2c"} if name == "grpc" else {})
                for name, port in ports
            ],
        },
    }


def autoscaler_of(
    resource: Object, spec: ModelDeploymentSpec, served: ServedVersion, scaling: Scaling
) -> tuple[Resource, Object] | None:
    """What follows the load of a version, and of which kind it is; None when the number of servers is fixed."""
    if spec.autoscaling is None or scaling.by is ScaledBy.NOBODY:
        return None
    metadata = _metadata(resource, served)
    if scaling.by is ScaledBy.CPU:
        told = cpu_scaler_spec(resource, spec.autoscaling, served.version, scaling.bounds_of(served.version))
        return AUTOSCALERS, {"metadata": metadata, "spec": told}
    return SCALED_OBJECTS, {
        "metadata": metadata,
        "spec": scaled_object_spec(resource, spec.autoscaling, served.version, scaling),
    }


def _metadata(resource: Object, served: ServedVersion) -> Object:
    model = resource["metadata"]["name"]
    return {
        "name": version_object(model, served.version),
        "labels": labels(model, SERVER, served.version),
        "ownerReferences": owner_of(resource),
    }


def _pod(spec: ModelDeploymentSpec, served: ServedVersion, chosen: dict[str, str]) -> Object:
    pod: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_server(spec, served, chosen)],
        "volumes": [
            {"name": "state", "emptyDir": {}},
            {"name": "temporary", "emptyDir": {}},
            *archive_volumes(spec, served),
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": chosen},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
    }
    optional: Object = {
        "serviceAccountName": spec.service_account_name,
        "priorityClassName": spec.priority_class_name,
        "imagePullSecrets": [{"name": secret.name} for secret in spec.image_pull_secrets],
        "nodeSelector": dict(spec.node_selector),
        "tolerations": write_noun(spec.tolerations),
    }
    return pod | without_nothing(optional)


def _server(spec: ModelDeploymentSpec, served: ServedVersion, chosen: Mapping[str, str]) -> Object:
    return {
        "name": "server",
        "image": served.image,
        "imagePullPolicy": str(spec.image_pull_policy),
        "args": ["--linger-seconds", str(LINGER_SECONDS), "--longest-stop-seconds", "30", *archive_arguments(served)],
        "env": [
            {"name": "CANARIO_HOME", "value": STATE_FOLDER},
            # What is measured goes by the names that the resource has for it: an autoscaler asks by them.
            {"name": "CANARIO_KNOWN_AS", "value": f"{chosen[MODEL_LABEL]}:{served.version}"},
            {"name": "TMPDIR", "value": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
            *_feedback(spec),
        ],
        "ports": [
            {"name": "rest", "containerPort": REST_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "operator", "containerPort": SERVER_OPERATOR_PORT, "protocol": "TCP"},
        ],
        "resources": without_nothing(
            {"requests": dict(spec.resources.requests), "limits": dict(spec.resources.limits)}
        ),
        # A version loads and warms up before it listens: until then there is nothing to ask, and a liveness probe must not end it.
        # How long a candidate may take is for its plan (`startSeconds`); this is for a server that would hang for ever.
        "startupProbe": _probe("/livez", period_seconds=1, failures=1200),
        "readinessProbe": _probe("/readyz", period_seconds=2, failures=1),
        "livenessProbe": _probe("/livez", period_seconds=10, failures=3),
        # A server that cannot serve its version says why in its last lines: so does then its pod, and the rollout.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "state", "mountPath": STATE_FOLDER},
            {"name": "temporary", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
            *(
                {"name": each["name"], "mountPath": ARCHIVES_FOLDER, "readOnly": True}
                for each in archive_volumes(spec, served)
            ),
        ],
    }


def archive_arguments(served: ServedVersion) -> list[str]:
    """What a server or a run is told of an archive that it shall answer with."""
    if not served.archive:
        return []
    return ["--archive", served.archive if is_address(served.archive) else f"{ARCHIVES_FOLDER}/{served.archive}"]


def archive_volumes(spec: ModelDeploymentSpec, served: ServedVersion) -> list[Object]:
    """The volume of archives, for a version that lies there; others do not depend on it."""
    claim = spec.archives_claim or served.archives_claim
    if not served.archive or is_address(served.archive) or not claim:
        return []
    return [{"name": "archives", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}]


def _feedback(spec: ModelDeploymentSpec) -> list[Object]:
    """The database that predictions and truths go to, if there is one."""
    if not spec.feedback_secret:
        return []
    secret = spec.feedback_secret
    source = {"secretKeyRef": {"name": secret, "key": FEEDBACK_KEY}}
    # Models of one name in two namespaces may share a database.
    space = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    return [
        {"name": "CANARIO_FEEDBACK_URL", "valueFrom": source},
        {"name": "CANARIO_FEEDBACK_SPACE", "valueFrom": space},
        *(
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": True}}}
            for key, name in FEEDBACK_SETTINGS.items()
        ),
    ]


def _probe(path: str, *, period_seconds: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "rest"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def without_nothing(content: Object) -> Object:
    """The fields that say something."""
    return {key: value for key, value in content.items() if value}
