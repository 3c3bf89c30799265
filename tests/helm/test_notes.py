"""After an installation Helm says what to type next, and it is right for these very values."""

from __future__ import annotations

import pytest

from tests.helm.charts import CHARTS, MODEL, Helm


def notes(helm: Helm, chart: str, release: str, *settings: str) -> str:
    """What Helm says after installing into the namespace `live`."""
    said = helm.run(
        "install", release, str(CHARTS / chart), "--namespace", "live", "--dry-run=client", *settings
    ).stdout
    return said.partition("NOTES:\n")[2]


@pytest.mark.parametrize(
    "command",
    [
        "kubectl --namespace live get modeldeployment fraud\n",
        "kubectl --namespace live wait modeldeployment/fraud --for=condition=Ready --timeout=5m\n",
        "kubectl --namespace live port-forward service/fraud 8080:8080\n",
        "helm test fraud --namespace live --logs\n",
        "helm upgrade fraud helm/model --namespace live --reset-then-reuse-values --set image=fraud:NEW_TAG\n",
        "canario status fraud --on kubernetes --namespace live\n",
        "canario abort fraud --on kubernetes --namespace live\n",
        "canario rollback fraud VERSION --on kubernetes --namespace live",
    ],
)
def test_a_new_model_is_followed_by_the_commands_for_it(helm: Helm, command: str) -> None:
    """See it, wait for it, reach it, test it, roll out, undo: each is there to copy."""
    assert f"  {command}" in notes(helm, "model", "fraud", *MODEL)


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ("image=registry.example:5000/a/fraud:v1", "--set image=registry.example:5000/a/fraud:NEW_TAG\n"),
        ("image=fraud@sha256:ab,version=v1", "--set image=fraud:NEW_TAG,version=NEW_VERSION\n"),
        ("bento=fraud:v1", "--set bento=fraud:NEW_TAG\n"),
        ("image=fraud:v1,service.type=LoadBalancer", "get service fraud --output jsonpath='{.status.loadBalancer"),
        ("image=fraud:v1,service.type=NodePort", "get service fraud --output jsonpath='{.spec.ports[0].nodePort}'\n"),
        (
            "image=fraud:v1,strategy.steps[0].weightPercent=10,strategy.steps[0].approval=true",
            "canario promote fraud --on kubernetes --namespace live\n",
        ),
    ],
)
def test_the_commands_follow_the_values(helm: Helm, settings: str, command: str) -> None:
    """Another image, another Service or a step that waits for a person changes what is said."""
    assert command in notes(helm, "model", "fraud", "--set", settings)


def test_the_controller_says_how_models_come_and_go(helm: Helm) -> None:
    """The first model's command uses the controller's own image, and removing everything is one command."""
    said = notes(helm, "canario", "canario", "--set", "image=registry.example/canario:7")
    assert "--namespace live --set image=fraud:v1,router.image=registry.example/canario:7\n" in said
    assert "kubectl delete customresourcedefinition modeldeployments.canario.dev" in said


def test_what_uninstalling_removes_is_said_before(helm: Helm) -> None:
    """Whoever lets the definition go with the release is told that the models go too."""
    said = notes(helm, "canario", "canario", "--set", "crds.keep=false")
    assert "removes the definition of ModelDeployment too, and with it every model" in said
    assert "ModelDeployment" not in notes(helm, "canario", "canario", "--set", "crds.install=false")


def test_a_model_that_scales_says_what_that_needs(helm: Helm) -> None:
    """Where to look, and what must be there for a figure of Prometheus'; by the CPU nothing must, and a fixed number is not spoken of."""
    look = "get modeldeployment fraud --output jsonpath='{.status.conditions"
    measured = notes(helm, "model", "fraud", *MODEL, "--set", "autoscaling.requestsPerSecond=50")
    by_cpu = notes(helm, "model", "fraud", *MODEL, "--set", "autoscaling.cpuPercent=70")
    assert (look in measured, look in by_cpu) == (True, True)
    assert ("needs KEDA" in measured, "needs KEDA" in by_cpu) == (True, False)
    assert look not in notes(helm, "model", "fraud", *MODEL)
