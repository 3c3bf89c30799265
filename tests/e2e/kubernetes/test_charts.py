"""The charts and manifests on a real cluster: what is installed answers, what is removed is gone, and what is not understood is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from canario.adapters.kubernetes_api import AUTOSCALERS, Object
from canario.platforms.kubernetes.naming import version_object
from demo.rows import sample_rows
from tests.e2e.kubernetes.kube import ROOT, Kube, until
from tests.e2e.kubernetes.model import CHART, Model
from tests.e2e.kubernetes.plans import held

MANIFESTS = ROOT / "k8s"
NAMESPACE = "canario"
STRATEGIES = ("canary", "blue-green", "shadow")
DERIVED = ("endpoint", "pod/", "replicaset")
"""What Kubernetes itself makes of the objects that are installed."""
SCALING = {"minReplicas": 1, "maxReplicas": 2, "cpuPercent": 70}


def test_helm_test_asks_over_both_protocols(at_rest: Model) -> None:
    """`helm test` predicts the model's own example over REST and gRPC through the Service, and leaves no pod."""
    model = at_rest
    told = model.kube.helm("test", model.name, f"--namespace={model.namespace}", "--timeout=90s")
    assert "Succeeded" in told
    assert "fraud-test" not in model.kubectl("get", "pods", "--output=name")


def test_a_value_that_the_chart_does_not_know_is_refused(at_rest: Model) -> None:
    """A typing error in the values changes nothing and is named."""
    model = at_rest
    before = model.resource()["metadata"]["generation"]
    with pytest.raises(AssertionError, match="wieght"):
        model.upgrade("v2", held(), wieght=10)
    assert model.resource()["metadata"]["generation"] == before


def test_the_next_chart_is_taken_over_without_a_failed_request(at_rest: Model, tmp_path: Path) -> None:
    """Another version of the chart alone begins no rollout, restarts no router and loses no request."""
    model = at_rest
    chart = Path(shutil.copytree(ROOT / CHART, tmp_path / "model"))
    about = chart / "Chart.yaml"
    about.write_text(about.read_text().replace("version: 0.1.0", "version: 0.2.0", 1))
    pods = {pod["metadata"]["uid"] for pod in model.killer.pods(model=model.name)}
    with model.traffic():
        place = (f"--namespace={model.namespace}", "--reuse-values")
        model.kube.helm("upgrade", model.name, str(chart), *place)
        model.wait_observed()
        time.sleep(2)  # whatever would restart has begun by now
        model.kube.helm("rollback", model.name, f"--namespace={model.namespace}")
        model.wait_observed()
    assert {pod["metadata"]["uid"] for pod in model.killer.pods(model=model.name)} == pods
    assert "rollout" not in model.status()


def test_a_model_answers_soon_after_its_installation_and_is_scaled_if_asked(
    at_rest: Model, report: Callable[[str], None]
) -> None:
    """From `helm install` to the first answer; autoscaling comes and goes with its value; nothing is left in the end."""
    kube, namespace = at_rest.kube, at_rest.namespace
    before, second = kube.objects(namespace), replace(at_rest, name="second")
    started = time.monotonic()
    second.upgrade("v1", held(), autoscaling=SCALING)
    until(lambda: answers(second), "the first answer")
    report(f"from `helm install` to the first answer: {time.monotonic() - started:.1f} s")
    second.wait_ready()
    installed = sorted(each for each in kube.objects(namespace) - before if not each.startswith(DERIVED))
    report(f"objects of one model with one version: {len(installed)}: {', '.join(installed)}")
    name = version_object("second", "v1")
    scaler = kube.api.get(AUTOSCALERS, name, namespace)
    assert scaler is not None
    assert scaler["spec"]["maxReplicas"] == 2
    second.upgrade("v1", held(), replicas=1)
    until(lambda: kube.api.get(AUTOSCALERS, name, namespace) is None, "the autoscaler to go", 30, second.told)
    second.uninstall()
    until(lambda: kube.objects(namespace) <= before, "nothing to be left")


@pytest.fixture(scope="module")
def without_helm(kube: Kube, canario_image: str, images: dict[str, str]) -> Iterator[Callable[[str], None]]:
    """`kubectl apply` of an example into the namespace of k8s/controller, with the images at hand."""
    if kube.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name"):
        pytest.skip(f"the namespace {NAMESPACE} is somebody else's")
    kube.namespaces.append(NAMESPACE)

    def apply(example: str) -> None:
        text = (MANIFESTS / example / f"{example}.yaml").read_text()
        text = text.replace("image: canario:0.1.0", f"image: {canario_image}")
        text = text.replace('image: "fraud:v1"', f'image: "{images["v1"]}"')
        objects: list[Object] = [each for each in yaml.safe_load_all(text) if each]
        definition = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
        others = [each for each in objects if each not in definition]
        # The definition that is in use stays as it is; the API server says whether it would take this one.
        for each in definition:
            kube.kubectl("apply", "--dry-run=server", "--filename=-", text=yaml.safe_dump(each))
        kube.kubectl("apply", f"--namespace={NAMESPACE}", "--filename=-", text=yaml.safe_dump_all(others))

    apply("controller")
    yield apply
    for example in STRATEGIES[:1]:
        kube.kubectl("delete", f"--namespace={NAMESPACE}", f"--filename={MANIFESTS / example}", "--ignore-not-found")
    kube.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


def test_the_examples_answer_without_helm(without_helm: Callable[[str], None], at_rest: Model) -> None:
    """`kubectl apply` of k8s/controller and of each strategy in turn gives a model that answers over REST and gRPC."""
    model = replace(at_rest, namespace=NAMESPACE)
    for strategy in STRATEGIES:
        without_helm(strategy)
        model.wait_ready()
        model.wait_observed()
        assert model.resource()["spec"]["strategy"]["type"] == strategy
        smoke = [sys.executable, "-m", "canario.serving.smoke", "--target", model.target, "--model", model.name]
        done = subprocess.run(smoke, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
        assert done.returncode == 0, done.stderr


def answers(model: Model) -> bool:
    """Whether a client gets a prediction."""
    try:
        row = sample_rows("fraud", most=1)
        return httpx.post(f"http://{model.target}/predict", json={"rows": row}, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
