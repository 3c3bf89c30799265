"""What the status tells of rows on a schedule: the last runs, which partitions failed, and why in the words of their pods."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from canario.model.resource import BatchSchedule
from canario.model.resource_status import BatchStatus
from canario.platforms.kubernetes.batch_metrics import batch_family
from canario.platforms.kubernetes.batch_status import batch_condition, batch_status, count_of
from canario.platforms.kubernetes.naming import labels

WEEKLY = BatchSchedule(name="weekly", input="rows", output="scores", claim="data")
T0, T1 = "2026-11-23T03:00:00Z", "2026-11-23T03:10:00Z"
ERROR = (
    "scored 5 files\nerror: part-3.parquet is no Parquet file\n  at /data/rows/part-3.parquet\n  hint: write it again\n"
)


def job(name: str, version: str = "v1", *, created: str = T0, end: str = "", **status: Any) -> dict[str, Any]:
    conditions = [{"type": end, "status": "True", "lastTransitionTime": T1, "message": "Job has failed indexes"}]
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": created,
            "labels": labels("fraud", "batch", version),
            "ownerReferences": [{"kind": "CronJob", "name": "fraud-score-weekly"}],
        },
        "spec": {"completions": 8},
        "status": {"startTime": T0, **status, **({"conditions": conditions} if end else {})},
    }


def pod(job_name: str, index: int, container: dict[str, Any], *, created: str = T0) -> dict[str, Any]:
    marked = {"batch.kubernetes.io/job-name": job_name, "batch.kubernetes.io/job-completion-index": str(index)}
    return {
        "metadata": {"name": f"{job_name}-{index}", "creationTimestamp": created, "labels": marked},
        "status": {"containerStatuses": [{"name": "scoring", **container}]},
    }


def failed(code: int, message: str) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code, "reason": "Error", "message": message}}}


def told(jobs: list[dict[str, Any]], pods: list[dict[str, Any]] | None = None) -> BatchStatus:
    (status,) = batch_status("fraud", [WEEKLY], "v2", jobs, pods or [])
    return status


def test_a_schedule_that_never_ran_says_what_it_would_take() -> None:
    """The version that is stable now."""
    status = told([])
    assert (status.cron_job, status.version, status.runs) == ("fraud-score-weekly", "v2", ())
    assert batch_condition([status]) == ("True", "Scheduled", "weekly: the next run takes v2")


def test_progress_is_told_by_index() -> None:
    """How many are done and which, while it goes on; the version is the one that it began with."""
    (run,) = told([job("weekly-1", completedIndexes="0-2,5")]).runs
    assert (run.phase, run.version, run.completed, run.indexes) == ("running", "v1", 4, 8)
    assert run.completed_indexes == "0-2,5"
    assert (
        batch_condition([told([job("weekly-1", completedIndexes="0-2,5")])])[2]
        == "weekly: 4 of 8 done with v1 (running)"
    )


def test_a_bad_partition_is_told_with_its_reason() -> None:
    """The error of the command, where, and what to do, without what it said before; partitions that failed for one reason share a line."""
    jobs = [job("weekly-1", end="Failed", completedIndexes="0-2,5-7", failedIndexes="3-4")]
    pods = [pod("weekly-1", 3, failed(2, ERROR)), pod("weekly-1", 4, failed(2, ERROR)), pod("other", 3, failed(1, "x"))]
    status = told(jobs, pods)
    (run,) = status.runs
    assert (run.phase, run.failed, run.failed_indexes, run.ended_at) == ("failed", 2, "3-4", T1)
    (reason,) = run.reasons
    assert reason.startswith("index 3: part-3.parquet is no Parquet file at /data/rows/part-3.parquet")
    state, word, message = batch_condition([status])
    assert (state, word) == ("False", "RunFailed")
    assert "job/weekly-1 with v1: index 3-4 of 8 failed, 6 done: index 3: part-3" in message


def test_the_last_try_of_a_partition_is_the_one_that_is_told() -> None:
    """Earlier tries may have failed for other reasons."""
    pods = [
        pod("weekly-1", 3, failed(1, "error: the disk is full"), created=T1),
        pod("weekly-1", 3, failed(1, "error: the store is away"), created=T0),
    ]
    (run,) = told([job("weekly-1", failedIndexes="3")], pods).runs
    assert run.reasons == ("index 3: the disk is full",)


def test_what_keeps_pods_from_starting_is_told() -> None:
    """An image that is not there, a volume that nobody has: the run goes on, and says what it waits for."""
    waiting = {"state": {"waiting": {"reason": "ErrImageNeverPull", "message": "no such image"}}}
    status = told([job("weekly-1")], [pod("weekly-1", 0, waiting), pod("weekly-1", 1, waiting)])
    assert batch_condition([status]) == (
        "False",
        "RunHindered",
        "weekly: job/weekly-1: index 0: ErrImageNeverPull: no such image",
    )


def test_a_run_that_took_too_long_says_so() -> None:
    """The cluster's own words where no partition is to blame."""
    (run,) = told([job("weekly-1", end="Failed")]).runs
    assert run.reasons == ("Job has failed indexes",)


def test_the_newest_run_counts() -> None:
    """A run that failed is history once the next one has gone well."""
    jobs = [job("weekly-1", end="Failed", failedIndexes="3"), job("weekly-2", "v2", created=T1, end="Complete")]
    status = told(jobs)
    assert [run.job for run in status.runs] == ["weekly-2", "weekly-1"]
    assert batch_condition([status])[0] == "True"


def test_prometheus_is_told_when_a_run_last_went_well_and_when_one_failed() -> None:
    """By schedule: the end of the newest run of each kind; a run that goes on has no end."""
    later = "2026-11-30T03:00:00Z"
    jobs = [
        job("weekly-1", end="Complete", completionTime=T0),
        job("weekly-2", created=T1, end="Complete", completionTime=T1),
        job("weekly-3", created=later, end="Failed"),
        job("weekly-4", created=later),
    ]
    jobs[2]["status"]["conditions"][0]["lastTransitionTime"] = later
    (complete, failed_run) = batch_family([told(jobs)]).samples
    assert complete.labels == {"schedule": "weekly", "outcome": "complete"}
    assert complete.value == datetime.fromisoformat(T1).timestamp()
    assert failed_run.labels == {"schedule": "weekly", "outcome": "failed"}
    assert failed_run.value == datetime.fromisoformat(later).timestamp()


@given(numbers=st.sets(st.integers(0, 999)))
def test_intervals_are_counted(numbers: set[int]) -> None:
    """As the cluster writes them, neighbours joined."""
    ordered, parts = sorted(numbers), []
    while ordered:
        last = next(
            index
            for index in range(len(ordered))
            if index + 1 == len(ordered) or ordered[index + 1] > ordered[index] + 1
        )
        parts.append(str(ordered[0]) if last == 0 else f"{ordered[0]}-{ordered[last]}")
        ordered = ordered[last + 1 :]
    assert count_of(",".join(parts)) == len(numbers)
