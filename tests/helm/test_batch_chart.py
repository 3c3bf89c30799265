"""What helm/model says of rows on a schedule: in the resource, from which the controller makes the CronJob, and in the notes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canario import __version__
from canario.model.deployment import ServedVersion
from canario.platforms.kubernetes.batch_objects import cron_job_of
from canario.platforms.kubernetes.naming import batch_object
from canario.platforms.kubernetes.resource import read_spec
from helm import rendering
from tests.helm.charts import MODEL, Helm, Object, find, objects
from tests.helm.test_notes import notes

WEEKLY = {"name": "weekly", "claim": "data", "input": "rows", "output": "scores", "partitions": 8}
BIG = {"limits": {"memory": "8Gi"}}


def on(*schedules: dict[str, Any]) -> tuple[str, ...]:
    return (*MODEL, "--set-json", f"batch={json.dumps(schedules)}")


def resource(helm: Helm, *schedules: dict[str, Any]) -> Object:
    return find(helm.render("model", *on(*schedules)), "ModelDeployment", "fraud")


def test_there_is_none_unless_asked(helm: Helm) -> None:
    """Without `batch` the resource says nothing of rows, and the chart never makes a CronJob for them: that is the controller's."""
    rendered = helm.render("model", *MODEL)
    assert "batch" not in find(rendered, "ModelDeployment", "fraud")["spec"]
    assert "CronJob" not in {one["kind"] for one in helm.render("model", *on(WEEKLY))}


def test_five_words_are_a_weekly_schedule(helm: Helm) -> None:
    """A name, a claim, where rows are, where answers go: the rest is weekly, in the trainer's image, with memory that has an end."""
    spec = read_spec(resource(helm, WEEKLY)["spec"])
    (schedule,) = spec.batch
    assert (schedule.schedule, schedule.time_zone) == ("0 3 * * 1", "Etc/UTC")
    assert schedule.image == f"canario-trainer:{__version__}"
    assert dict(schedule.resources.requests) == {"cpu": "500m", "memory": "512Mi"}
    cron_job = cron_job_of(
        {"metadata": {"name": "fraud", "uid": "u"}}, spec, ServedVersion(version="v1", image="fraud:v1"), schedule
    )
    assert cron_job["spec"]["jobTemplate"]["spec"]["completions"] == 8


def test_what_is_said_of_a_schedule_stands(helm: Helm) -> None:
    """Several schedules, each with its own image, resources and place."""
    spec = read_spec(resource(helm, WEEKLY, {**WEEKLY, "name": "daily", "image": "mine:1", "resources": BIG})["spec"])
    assert [each.name for each in spec.batch] == ["weekly", "daily"]
    assert spec.batch[1].image == "mine:1"
    assert (dict(spec.batch[1].resources.requests), dict(spec.batch[1].resources.limits)) == ({}, {"memory": "8Gi"})


@pytest.mark.parametrize("schedule", ["weekly", "a-very-long-schedule"])
@pytest.mark.parametrize("release", ["fraud", "a-model-whose-name-is-as-long-as-allowed"])
def test_the_notes_name_the_cron_job_that_the_controller_makes(helm: Helm, release: str, schedule: str) -> None:
    """Running it now is one line to copy, also where a name had to be shortened."""
    said = notes(helm, "model", release, *on({**WEEKLY, "name": schedule}))
    name = batch_object(release, schedule)
    assert f"  job={name}-$(date +%H%M%S) " in said
    assert f"  kubectl --namespace live create job --from=cronjob/{name} $job\n" in said


def test_the_example_is_a_schedule_of_eight_partitions() -> None:
    """Who has no Helm finds it in k8s/batch."""
    text = (rendering.MANIFESTS / "batch" / "batch.yaml").read_text()
    (schedule,) = read_spec(find(objects(text), "ModelDeployment", "fraud")["spec"]).batch
    assert schedule.partitions == 8
