"""What helm/model brings for retrainings: a CronJob that is a good guest, and rights over its own model alone."""

from __future__ import annotations

import pytest

from canario.cli.commands.retrain import command as retrain
from canario.model.address import PlatformKind
from canario.model.retraining import Trigger
from canario.platforms.kubernetes.jobs import COOL_DOWN_ANNOTATION, job_of
from canario.platforms.kubernetes.naming import COMPONENT_LABEL, MODEL_LABEL, RETRAINING, retraining_object
from canario.retraining.alerts import Call
from tests.helm.charts import MODEL, Helm, Object, find

NAME = retraining_object("fraud")
ON = (*MODEL, "--set", "retraining.enabled=true,feedbackSecret=labels,archivesClaim=archives")


def cron_job(helm: Helm, *settings: str) -> Object:
    return find(helm.render("model", *ON, *settings), "CronJob", NAME)


def pod_of(job: Object) -> Object:
    spec: Object = job["spec"]["template"]["spec"]
    return spec


def test_there_is_none_unless_asked(helm: Helm) -> None:
    """Without `retraining.enabled` the chart makes neither a CronJob nor a right."""
    kinds = {one["kind"] for one in helm.render("model", *MODEL)}
    assert not kinds & {"CronJob", "Role", "RoleBinding"}


def test_it_needs_a_database_and_a_volume(helm: Helm) -> None:
    """What could never work is refused at the installation, with the two values that it needs."""
    said = helm.refusal("model", *MODEL, "--set", "retraining.enabled=true,feedbackSecret=labels")
    assert "archivesClaim" in said


def test_a_retraining_may_look_at_its_own_model_and_wish(helm: Helm) -> None:
    """Every right is bound to one name; no other model, no Secret and no pod is within reach."""
    (one, other) = find(helm.render("model", *ON), "Role", NAME)["rules"]
    assert (one["resources"], one["resourceNames"], one["verbs"]) == (["modeldeployments"], ["fraud"], ["get", "patch"])
    assert (other["resources"], other["resourceNames"], other["verbs"]) == (["configmaps"], ["fraud-state"], ["get"])


def test_its_pod_is_restricted_and_writes_to_the_volume_alone(helm: Helm) -> None:
    """As all pods of the charts; its group is the volume's, so that it may write there."""
    pod = pod_of(cron_job(helm)["spec"]["jobTemplate"])
    assert (
        pod["securityContext"].items() >= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}.items()
    )
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert [volume["name"] for volume in pod["volumes"] if "emptyDir" not in volume] == ["archives"]
    assert pod["serviceAccountName"] == NAME


@pytest.mark.parametrize(("schedule", "is_suspended"), [("", True), ("0 4 * * 1", False)])
def test_without_a_schedule_it_waits_to_be_asked(helm: Helm, schedule: str, is_suspended: bool) -> None:  # noqa: FBT001 - pytest passes both by name
    """A suspended CronJob is still what Jobs are made of."""
    spec = cron_job(helm, "--set-string", f"retraining.schedule={schedule}")["spec"]
    assert spec["suspend"] is is_suspended
    assert spec["concurrencyPolicy"] == "Forbid"


def test_a_job_that_is_asked_for_says_who_asks(helm: Helm) -> None:
    """The controller's Job is the CronJob's own but for its name and the last words of the command, which win."""
    made = cron_job(helm, "--set", "retraining.coolDownSeconds=60,retraining.maturitySeconds=5")
    made["metadata"] |= {"uid": "u-1"}
    assert made["metadata"]["annotations"][COOL_DOWN_ANNOTATION] == "60"
    call = Call(model="fraud", namespace="live", trigger=Trigger.ALERT, reason="CanarioDegradation: recall 54 %")
    job = job_of(made, call, ())
    assert job["metadata"]["labels"].items() >= {MODEL_LABEL: "fraud", COMPONENT_LABEL: RETRAINING}.items()
    (container,) = pod_of(job)["containers"]
    (before,) = pod_of(made["spec"]["jobTemplate"])["containers"]
    assert container["args"][: len(before["args"])] == before["args"]
    command = retrain.make_context("retrain", list(container["args"][1:]))
    assert command.params["trigger"] == "alert"
    assert command.params["reason"] == call.reason
    assert (command.params["model"], command.params["maturity"], command.params["cool_down"]) == ("fraud", 5, 60)
    assert command.params["on"] == PlatformKind.KUBERNETES.value
