"""Retrainings in a cluster: a Job made from a model's CronJob when an alert or a rollout asks for one; what it learns is the Job's affair.

Whether it is the time for one is decided on the record, in the Job. What is decided here keeps a cluster from filling with
Jobs that would find out: one at a time, none within the cool-down of the last, and one only for each thing that asks.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from canario.adapters.kubernetes_api import CRON_JOBS, JOBS, KubernetesApi, Object
from canario.errors import ClusterRefused, Conflict
from canario.platforms.kubernetes import metrics
from canario.platforms.kubernetes.naming import COMPONENT_LABEL, MODEL_LABEL, RETRAINING, retraining_object
from canario.platforms.kubernetes.resource import GROUP
from canario.retraining.alerts import Call

COOL_DOWN_ANNOTATION = f"{GROUP}/cool-down-seconds"
"""On the CronJob: the shortest time between the beginnings of two Jobs."""
REASON_ANNOTATION = f"{GROUP}/reason"
ASKED_ANNOTATION = f"{GROUP}/asked-by"
"""On a Job: what asked for it; a rollout asks once."""
ASKED_ALREADY = "it was asked for already"

_log = logging.getLogger(__name__)


class RetrainingJobs:
    """Makes the Jobs of the models of some namespaces."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    def ask(self, call: Call, now_seconds: float) -> str:
        """Have a model retrained; empty when a Job was made, or in words why none was.

        Asking again for the same makes no second Job. Raises Unavailable while the API server cannot be asked.
        """
        name = retraining_object(call.model)
        try:
            cron_job = self._api.get(CRON_JOBS, name, call.namespace)
            if cron_job is None:
                return f"there is no CronJob {name}: `helm upgrade ... --set retraining.enabled=true` brings one"
            made, _ = self._api.list(JOBS, call.namespace, f"{MODEL_LABEL}={call.model},{COMPONENT_LABEL}={RETRAINING}")
            why_not = _why_not(call, made, _cool_down_seconds(cron_job), now_seconds)
            if why_not:
                return why_not
            self._api.create(JOBS, job_of(cron_job, call, made), call.namespace)
        except Conflict:
            return ASKED_ALREADY
        except ClusterRefused as refused:
            return f"the cluster refuses: {refused.message}; `retraining.enabled` of the controller's chart gives it the right"
        metrics.WRITES.labels("jobs").inc()
        return ""


def job_of(cron_job: Object, call: Call, made: Sequence[Object]) -> Object:
    """The Job that a CronJob's template makes for whoever asks, after those that were made.

    Its name follows from the newest of them: of two who ask at the same time, one makes it and the other finds it made.
    """
    metadata, template = cron_job["metadata"], cron_job["spec"]["jobTemplate"]
    newest = max(made, key=_began_at)["metadata"]["uid"] if made else metadata["uid"]
    container, *others = template["spec"]["template"]["spec"]["containers"]
    words = ["--trigger", call.trigger.value, "--reason", call.reason, *(["--wish", call.wish] if call.wish else [])]
    pod = template["spec"]["template"]
    told = [{**container, "args": [*container.get("args", []), *words]}, *others]
    known = template.get("metadata") or {}
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {
            "name": f"{metadata['name']}-{hashlib.sha256(newest.encode()).hexdigest()[:8]}",
            "labels": known.get("labels") or {},
            "annotations": {
                **(known.get("annotations") or {}),
                "cronjob.kubernetes.io/instantiate": "manual",
                REASON_ANNOTATION: call.reason,
                ASKED_ANNOTATION: _asked_by(call),
            },
            "ownerReferences": [
                {
                    "apiVersion": CRON_JOBS.api_version,
                    "kind": CRON_JOBS.kind,
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {**template["spec"], "template": {**pod, "spec": {**pod["spec"], "containers": told}}},
    }


def _asked_by(call: Call) -> str:
    return f"{call.trigger.value} {call.wish}".strip()


def _why_not(call: Call, made: Sequence[Object], cool_down_seconds: float, now_seconds: float) -> str:
    """What speaks against making a Job beside those that were made; empty when nothing does."""
    asked = [(each["metadata"].get("annotations") or {}).get(ASKED_ANNOTATION) for each in made]
    if call.wish and _asked_by(call) in asked:
        return ASKED_ALREADY
    running = next((each["metadata"]["name"] for each in made if not _has_ended(each)), "")
    if running:
        return f"one is under way: job/{running}"
    newest = max((_began_at(each) for each in made), default=None)
    if newest is not None and 0 <= now_seconds - newest < cool_down_seconds:
        left = cool_down_seconds - (now_seconds - newest)
        return f"the last one began {now_seconds - newest:.0f} s ago; the cool-down goes on for {left:.0f} s"
    return ""


def _has_ended(job: Object) -> bool:
    conditions: Sequence[Mapping[str, str]] = (job.get("status") or {}).get("conditions") or []
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def _began_at(job: Object) -> float:
    return datetime.fromisoformat(job["metadata"]["creationTimestamp"]).timestamp()


def _cool_down_seconds(cron_job: Object) -> float:
    written = (cron_job["metadata"].get("annotations") or {}).get(COOL_DOWN_ANNOTATION, "")
    return float(written) if written.replace(".", "", 1).isdecimal() else 0.0


class AlertsTaken:
    """What an alert asks for becomes Jobs, in these namespaces; for canario.retraining.receiver."""

    def __init__(self, jobs: RetrainingJobs, namespaces: Sequence[str]) -> None:
        self._jobs, self._namespaces = jobs, tuple(namespaces)

    def take(self, calls: Sequence[Call]) -> dict[str, str]:
        """Have each model retrained; by model what came of it. Raises Unavailable while the cluster cannot be asked."""
        answers = {}
        for call in calls:
            name = f"{call.namespace}/{call.model}"
            if call.namespace not in self._namespaces:
                answers[name] = "this controller does not steer that namespace"
            else:
                answers[name] = self._jobs.ask(call, time.time()) or "a Job was made"
            _log.info("%s: %s: %s", name, call.reason, answers[name])
        return answers

    def metrics(self) -> bytes:
        """Nothing: the controller tells Prometheus elsewhere."""
        return b""
