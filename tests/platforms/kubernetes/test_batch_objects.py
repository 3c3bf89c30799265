"""What the controller asks the cluster for rows on a schedule: a CronJob of the stable version, with pods that the strictest standard admits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.model.deployment import ServedVersion
from canario.model.resource import BatchSchedule, ModelDeploymentSpec, RowsFormat
from canario.platforms.kubernetes.batch_objects import cron_job_of
from canario.platforms.kubernetes.naming import LONGEST_BATCH_NAME, batch_object, selector
from canario.platforms.kubernetes.objects import is_owned
from tests.platforms.kubernetes.plans import SCHEDULES, WEEKLY

RESOURCE: dict[str, Any] = {"metadata": {"name": "fraud", "namespace": "models", "uid": "u-1"}}
SPEC = ModelDeploymentSpec(image="fraud:v2", archives_claim="archives", service_account_name="fraud")
SERVED = ServedVersion(version="v2", image="fraud:v2")
ARCHIVED = replace(SERVED, version="v3", archive="fraud/fraud-v3.canario#sha256:" + "0" * 64)
schedules = SCHEDULES.filter(bool).flatmap(st.sampled_from)
either = st.sampled_from((SERVED, ARCHIVED))


def job_of(schedule: BatchSchedule, served: ServedVersion = SERVED) -> dict[str, Any]:
    found: dict[str, Any] = cron_job_of(RESOURCE, SPEC, served, schedule)["spec"]["jobTemplate"]["spec"]
    return found


def pod_of(schedule: BatchSchedule, served: ServedVersion = SERVED) -> dict[str, Any]:
    found: dict[str, Any] = job_of(schedule, served)["template"]["spec"]
    return found


@given(schedule=schedules, served=either)
def test_a_pod_is_admitted_by_the_restricted_standard_and_has_no_token(
    schedule: BatchSchedule, served: ServedVersion
) -> None:
    """Whatever the schedule says: nothing that Pod Security `restricted` forbids, and no way to the API server."""
    pod = pod_of(schedule, served)
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["securityContext"].items() >= security.items()
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert {next(key for key in volume if key != "name") for volume in pod["volumes"]} <= {
        "emptyDir",
        "persistentVolumeClaim",
    }


@given(schedule=schedules)
def test_each_partition_is_an_index_that_fails_alone(schedule: BatchSchedule) -> None:
    """One index a partition with retries of its own; bad rows are not tried again, a drained node costs no try, and no two pods write to one folder."""
    job = job_of(schedule)
    assert (job["completionMode"], job["completions"]) == ("Indexed", schedule.partitions)
    assert job["backoffLimitPerIndex"] == schedule.retries_an_index
    assert "maxFailedIndexes" not in job
    assert job["parallelism"] <= job["completions"]
    assert job["podReplacementPolicy"] == "Failed"
    actions = [(rule["action"], rule.get("onExitCodes", {}).get("values")) for rule in job["podFailurePolicy"]["rules"]]
    assert actions == [("Ignore", None), ("Ignore", [143]), ("FailIndex", [2, 3])]
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_a_version_by_image_is_copied_by_its_own_python() -> None:
    """The stable version's image gives the files, the scoring image the libraries; between them lies a volume that ends with the pod."""
    pod = pod_of(WEEKLY)
    (copying,), (scoring,) = pod["initContainers"], pod["containers"]
    assert copying["image"] == "fraud:v2"
    assert copying["command"][0] == "/opt/canario/bin/python"
    assert copying["volumeMounts"] == [{"name": "version", "mountPath": "/version"}]
    assert {"name": "version", "mountPath": "/version", "readOnly": True} in scoring["volumeMounts"]
    assert scoring["args"][scoring["args"].index("--version-folder") + 1] == "/version/model"
    assert "archives" not in str(pod)


def test_a_version_by_archive_is_read_from_where_servers_read_it() -> None:
    """No image of its own, no copy: the archive's claim, read-only, and its digest with it."""
    pod = pod_of(WEEKLY, ARCHIVED)
    (scoring,) = pod["containers"]
    assert "initContainers" not in pod
    assert scoring["args"][scoring["args"].index("--archive") + 1] == f"/archives/{ARCHIVED.archive}"
    assert {"name": "archives", "mountPath": "/archives", "readOnly": True} in scoring["volumeMounts"]
    address = replace(ARCHIVED, archive="https://archives.example/fraud-v3.canario")
    assert "'/archives" not in str(pod_of(WEEKLY, address))


def test_rows_and_answers_lie_on_the_claim_a_folder_a_run() -> None:
    """Paths are below the volume; the run's own name, which all its pods know and no other run has, is the answers' folder."""
    (scoring,) = pod_of(WEEKLY)["containers"]
    assert scoring["args"][:4] == ["score", "fraud", "/data/rows", "/data/scores/$(CANARIO_RUN)"]
    (name,) = [each for each in scoring["env"] if each["name"] == "CANARIO_RUN"]
    assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['batch.kubernetes.io/job-name']"
    assert {"name": "data", "mountPath": "/data"} in scoring["volumeMounts"]


def test_an_object_store_needs_no_volume_and_its_keys_stay_in_a_secret() -> None:
    """Addresses go to the command as they are; the cluster hands the Secret's keys to the process alone."""
    schedule = BatchSchedule(
        name="s3",
        input="s3://bucket/rows",
        output="s3://bucket/scores/",
        env_secret="bucket",  # noqa: S106 - a Secret's name
        format=RowsFormat.CSV,
    )
    pod = pod_of(schedule)
    (scoring,) = pod["containers"]
    assert scoring["args"][2:4] == ["s3://bucket/rows", "s3://bucket/scores/$(CANARIO_RUN)"]
    assert scoring["envFrom"] == [{"secretRef": {"name": "bucket"}}]
    assert "persistentVolumeClaim" not in str(pod)


@given(schedule=schedules)
def test_a_promotion_changes_the_next_run_and_nothing_that_it_is_found_by(schedule: BatchSchedule) -> None:
    """The same CronJob, owned by the same model; only what its Jobs are made of differs."""
    before, after = (cron_job_of(RESOURCE, SPEC, served, schedule) for served in (SERVED, ARCHIVED))
    assert before["metadata"] == after["metadata"]
    assert is_owned(before, RESOURCE)
    assert {key for key in before["spec"] if before["spec"][key] != after["spec"][key]} == {"jobTemplate"}
    template = after["spec"]["jobTemplate"]
    assert selector("fraud", "batch", "v3").items() <= template["metadata"]["labels"].items()
    assert template["metadata"]["labels"] == template["spec"]["template"]["metadata"]["labels"]


@given(model=st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True))
def test_every_schedule_s_name_leaves_room_for_its_jobs(model: str) -> None:
    """The cluster puts eleven characters behind it for a Job, and the index behind that for a pod's host name."""
    names = [batch_object(model, schedule) for schedule in ("a", "w" * 20, "w" * 19 + "x")]
    assert all(len(name) <= LONGEST_BATCH_NAME for name in names)
    assert len(set(names)) == 3


@pytest.mark.parametrize(("written", "found"), [("weekly", "fraud-score-weekly"), ("w", "fraud-score-w")])
def test_a_short_name_is_the_one_that_people_expect(written: str, found: str) -> None:
    """MODEL-score-NAME, as the notes of the chart say it."""
    assert batch_object("fraud", written) == found
