"""What became of the rows that are scored on a schedule, read from Jobs and their pods; pure. No times but the cluster's own, so that nothing new is nothing to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from canario.adapters.kubernetes_api import Object
from canario.model.resource import BatchSchedule
from canario.model.resource_status import BatchRunStatus, BatchStatus
from canario.platforms.kubernetes.batch_objects import JOB_LABEL
from canario.platforms.kubernetes.naming import BATCH, VERSION_LABEL, batch_object, is_component
from canario.platforms.kubernetes.pods import LONGEST_WORDS, why_waiting

INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
MOST_RUNS, MOST_REASONS = 8, 8
_ERROR = re.compile(r"^error: ", re.MULTILINE)
_ENDS = {"Complete": "complete", "Failed": "failed"}


def batch_status(
    model: str,
    schedules: Iterable[BatchSchedule],
    stable: str,
    jobs: Sequence[Object],
    pods: Sequence[Object],
) -> tuple[BatchStatus, ...]:
    """Each schedule with its last runs, in the order of the spec."""
    told = []
    for schedule in schedules:
        name = batch_object(model, schedule.name)
        own = [job for job in jobs if is_component(job, BATCH) and _cron_job_of(job) == name]
        newest = sorted(own, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))[::-1]
        runs = tuple(_run(job, pods) for job in newest[:MOST_RUNS])
        told.append(BatchStatus(name=schedule.name, cron_job=name, version=stable, runs=runs))
    return tuple(told)


def batch_condition(told: Sequence[BatchStatus]) -> tuple[str, str, str]:
    """Whether the last run of each schedule went well, or goes on, as a condition: status, reason, message."""
    last = [(status, status.runs[0]) for status in told if status.runs]
    for status, run in last:
        if run.phase == "failed":
            why = f": {'; '.join(run.reasons)}" if run.reasons else ""
            what = f"index {run.failed_indexes} of {run.indexes}" if run.failed_indexes else "the run"
            done = f"{run.completed} done" if run.completed else "none done"
            return "False", "RunFailed", f"{status.name}: job/{run.job} with {run.version}: {what} failed, {done}{why}"
    for status, run in last:
        if run.phase == "running" and run.reasons:
            return "False", "RunHindered", f"{status.name}: job/{run.job}: {'; '.join(run.reasons)}"
    return "True", "Scheduled", "; ".join(_words(status) for status in told)


def count_of(intervals: str) -> int:
    """How many numbers are written as the cluster does it: `0-2,5` are four."""
    return sum(
        int(last or first) - int(first) + 1
        for first, _, last in (part.partition("-") for part in intervals.split(",") if part)
    )


def _words(status: BatchStatus) -> str:
    if not status.runs:
        return f"{status.name}: the next run takes {status.version}"
    run = status.runs[0]
    return f"{status.name}: {run.completed} of {run.indexes} done with {run.version} ({run.phase})"


def _run(job: Object, pods: Sequence[Object]) -> BatchRunStatus:
    metadata, status = job["metadata"], job.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or [] if each["status"] == "True"}
    end = next((conditions[kind] for kind in _ENDS if kind in conditions), None)
    phase = _ENDS[end["type"]] if end else "suspended" if "Suspended" in conditions else "running"
    completed, failed = str(status.get("completedIndexes") or ""), str(status.get("failedIndexes") or "")
    own = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get(JOB_LABEL) == metadata["name"]]
    reasons = _reasons(own, failed, is_running=phase == "running")
    if phase == "failed" and end and not failed:
        reasons = (str(end.get("message") or end.get("reason", ""))[:LONGEST_WORDS], *reasons)
    return BatchRunStatus(
        job=metadata["name"],
        version=metadata["labels"].get(VERSION_LABEL, ""),
        phase=phase,
        indexes=job["spec"].get("completions") or 1,
        completed=count_of(completed),
        failed=count_of(failed),
        completed_indexes=completed,
        failed_indexes=failed,
        reasons=reasons[:MOST_REASONS],
        started_at=status.get("startTime") or None,
        ended_at=status.get("completionTime") or (end and end.get("lastTransitionTime")) or None,
    )


def _reasons(pods: Sequence[Object], failed: str, *, is_running: bool) -> tuple[str, ...]:
    """By index that failed for good, its last pod's words; and what keeps others from starting."""
    words: dict[int, str] = {}
    for pod in sorted(pods, key=lambda each: each["metadata"]["creationTimestamp"]):
        index = int(pod["metadata"]["labels"].get(INDEX_LABEL, 0))
        if _holds(failed, index):
            words[index] = _last_words(pod) or words.get(index, "")
        elif is_running and "deletionTimestamp" not in pod["metadata"]:
            waiting = why_waiting(pod)
            if waiting:
                words[index] = waiting
    # Many partitions fail for one reason: it is told once, with the first of them.
    told: dict[str, int] = {}
    for index in sorted(words):
        if words[index]:
            told.setdefault(words[index], index)
    return tuple(f"index {index}: {each}" for each, index in told.items())


def _holds(intervals: str, index: int) -> bool:
    return any(
        int(first) <= index <= int(last or first)
        for first, _, last in (part.partition("-") for part in intervals.split(",") if part)
    )


def _last_words(pod: Object) -> str:
    """What a pod that failed says of it: the error of the command with its place, or how it ended."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        ended = (container.get("state") or {}).get("terminated") or {}
        if not ended or ended.get("exitCode") == 0:
            continue
        message = str(ended.get("message") or "")
        found = list(_ERROR.finditer(message))
        said = message[found[-1].end() :] if found else message
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        told = " ".join(line for line in (lines if found else lines[-2:]))
        return (told or f"{container['name']} ended with exit code {ended.get('exitCode')}, {ended.get('reason', '')}")[
            :LONGEST_WORDS
        ]
    return str(status.get("message") or "")[:LONGEST_WORDS]


def _cron_job_of(job: Object) -> str:
    owners = job["metadata"].get("ownerReferences") or []
    return next((str(owner["name"]) for owner in owners if owner["kind"] == "CronJob"), "")
