"""Rows scored on a schedule, as the API server's objects: a CronJob whose Jobs have an index a partition; pure, applied by the world.

The CronJob is the controller's, not the chart's, as it names the stable version: what runs next is what is stable then. A Job that has
begun keeps the version that it began with.
"""

from __future__ import annotations

from canario import __version__
from canario.adapters.kubernetes_api import Object
from canario.model.deployment import ServedVersion
from canario.model.resource import BatchSchedule, ModelDeploymentSpec
from canario.platforms.kubernetes.documents import write_noun
from canario.platforms.kubernetes.naming import BATCH, batch_object, labels
from canario.platforms.kubernetes.objects import (
    ARCHIVES_FOLDER,
    STATE_FOLDER,
    archive_arguments,
    archive_volumes,
    owner_of,
    without_nothing,
)

JOB_LABEL = "batch.kubernetes.io/job-name"
"""On a Job's pods, by the cluster itself: the Job's name, which is the name of the run's folder too."""
GROUP_ID = 65532
"""The group that may write to the volume of rows; the images run as its user."""
DATA_FOLDER, VERSION_FOLDER, TEMPORARY_FOLDER = "/data", "/version", "/tmp"  # noqa: S108 - an emptyDir of the pod's own
PACKED_FOLDER = "/srv/model/version"
"""Where an image of a model keeps its version (canario/packaging/image.dockerfile)."""
PACKED_PYTHON = "/opt/canario/bin/python"
SCORING = "scoring"
"""The container that scores."""
STOPPED, USAGE, REJECTED = 143, 2, 3
"""How `canario score` ends when it was told to stop, when it cannot read what it was given, and when too many rows do not fit."""
LATE_SECONDS = 3600
"""How late a run may still begin, after a time without a control plane."""
KEPT_RUNS = 3
"""So many runs that ended well are kept, and so many that failed, with their pods' last words."""


def cron_job_of(resource: Object, spec: ModelDeploymentSpec, served: ServedVersion, schedule: BatchSchedule) -> Object:
    """The CronJob of a schedule, for the version that is stable now."""
    model = resource["metadata"]["name"]
    marked = labels(model, BATCH, served.version)
    return {
        "metadata": {
            "name": batch_object(model, schedule.name),
            # A change of version alone changes what the next Job is, not what the CronJob is called or found by.
            "labels": labels(model, BATCH),
            "ownerReferences": owner_of(resource),
        },
        "spec": {
            "schedule": schedule.schedule,
            "timeZone": schedule.time_zone,
            "suspend": schedule.suspend,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATE_SECONDS,
            "successfulJobsHistoryLimit": KEPT_RUNS,
            "failedJobsHistoryLimit": KEPT_RUNS,
            "jobTemplate": {
                "metadata": {"labels": marked},
                "spec": {
                    "completionMode": "Indexed",
                    "completions": schedule.partitions,
                    "parallelism": min(schedule.parallelism, schedule.partitions),
                    "backoffLimitPerIndex": schedule.retries_an_index,
                    # Of two pods of one partition the first has ended before the second begins: they write to one folder.
                    "podReplacementPolicy": "Failed",
                    "podFailurePolicy": {"rules": _failure_rules()},
                    "activeDeadlineSeconds": schedule.longest_seconds,
                    "template": {"metadata": {"labels": marked}, "spec": _pod(model, spec, served, schedule)},
                },
            },
        },
    }


def _failure_rules() -> list[Object]:
    """Which ends of a pod count: a drained node is nobody's fault, and bad rows stay bad."""
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": {"containerName": SCORING, "operator": "In", "values": [STOPPED]}},
        {
            "action": "FailIndex",
            "onExitCodes": {"containerName": SCORING, "operator": "In", "values": [USAGE, REJECTED]},
        },
    ]


def _pod(model: str, spec: ModelDeploymentSpec, served: ServedVersion, schedule: BatchSchedule) -> Object:
    pod: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "fsGroup": GROUP_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
        },
        "containers": [_scoring(model, spec, served, schedule)],
        "volumes": [
            {"name": "state", "emptyDir": {}},
            {"name": "temporary", "emptyDir": {}},
            *([] if served.archive else [{"name": "version", "emptyDir": {}}]),
            *([{"name": "data", "persistentVolumeClaim": {"claimName": schedule.claim}}] if schedule.claim else []),
            *archive_volumes(spec, served),
        ],
    }
    optional: Object = {
        "initContainers": [] if served.archive else [_copying(spec, served, schedule)],
        "serviceAccountName": spec.service_account_name,
        "imagePullSecrets": [{"name": secret.name} for secret in spec.image_pull_secrets],
        "nodeSelector": dict(schedule.node_selector),
        "tolerations": write_noun(schedule.tolerations),
    }
    return pod | without_nothing(optional)


def _copying(spec: ModelDeploymentSpec, served: ServedVersion, schedule: BatchSchedule) -> Object:
    """The version out of its image, by that image's own Python: what is scored with is what serves."""
    copy = f"import shutil; shutil.copytree({PACKED_FOLDER!r}, '{VERSION_FOLDER}/model', dirs_exist_ok=True)"
    return {
        "name": "version",
        "image": served.image,
        "imagePullPolicy": str(spec.image_pull_policy),
        "command": [PACKED_PYTHON, "-c", copy],
        "resources": _resources(schedule),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _closed(),
        "volumeMounts": [{"name": "version", "mountPath": VERSION_FOLDER}],
    }


def _scoring(model: str, spec: ModelDeploymentSpec, served: ServedVersion, schedule: BatchSchedule) -> Object:
    archives = archive_volumes(spec, served)
    version = archive_arguments(served) or ["--version-folder", f"{VERSION_FOLDER}/model"]
    return {
        "name": SCORING,
        "image": schedule.image or f"canario-trainer:{__version__}",
        "imagePullPolicy": str(spec.image_pull_policy),
        "args": [
            *("score", model, _place(schedule.input), f"{_place(schedule.output).rstrip('/')}/$(CANARIO_RUN)"),
            *version,
            *("--indexes", str(schedule.partitions), "--format", schedule.format.value),
            *("--most-rejects-percent", f"{schedule.most_rejects_percent:.10g}"),
            *(["--rows-a-part", str(schedule.rows_a_part)] if schedule.rows_a_part else []),
            *(f"--keep={column}" for column in schedule.keep),
        ],
        "env": [
            {"name": "CANARIO_RUN", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{JOB_LABEL}']"}}},
            {"name": "CANARIO_HOME", "value": STATE_FOLDER},
            {"name": "BENTOML_HOME", "value": f"{STATE_FOLDER}/bentoml"},
            {"name": "HOME", "value": STATE_FOLDER},
            {"name": "TMPDIR", "value": TEMPORARY_FOLDER},
        ],
        **({"envFrom": [{"secretRef": {"name": schedule.env_secret}}]} if schedule.env_secret else {}),
        "resources": _resources(schedule),
        # Why a partition failed is in its last lines: so it is then in its pod, and in the status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _closed(),
        "volumeMounts": [
            {"name": "state", "mountPath": STATE_FOLDER},
            {"name": "temporary", "mountPath": TEMPORARY_FOLDER},
            *([] if served.archive else [{"name": "version", "mountPath": VERSION_FOLDER, "readOnly": True}]),
            *([{"name": "data", "mountPath": DATA_FOLDER}] if schedule.claim else []),
            *({"name": each["name"], "mountPath": ARCHIVES_FOLDER, "readOnly": True} for each in archives),
        ],
    }


def _place(written: str) -> str:
    """An address as it is, a path below the volume where the volume is."""
    return written if "://" in written else f"{DATA_FOLDER}/{written}"


def _resources(schedule: BatchSchedule) -> Object:
    return without_nothing({"requests": dict(schedule.resources.requests), "limits": dict(schedule.resources.limits)})


def _closed() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
