"""The manifests in k8s/ are the charts, rendered, and stand on their own."""

from __future__ import annotations

import pytest

from helm import rendering
from tests.helm.charts import ROOT, Helm, find, names, objects


@pytest.mark.parametrize("example", rendering.examples())
def test_the_manifests_are_those_of_the_charts(helm: Helm, example: str) -> None:
    """Who applies k8s/ gets what Helm would install; `make k8s` makes it."""
    committed = (rendering.MANIFESTS / example / f"{example}.yaml").read_text()
    assert committed == rendering.manifest(helm.program, example), "stale: make k8s"


def test_there_is_a_folder_a_strategy() -> None:
    """Each strategy and each other way in has an example, and each folder is one."""
    folders = {path.name for path in (ROOT / "k8s").iterdir() if path.is_dir()}
    assert folders == {"controller", "canary", "blue-green", "shadow", "stream", "batch"}


@pytest.mark.parametrize("strategy", ["canary", "blue-green", "shadow"])
def test_each_example_shows_its_strategy(strategy: str) -> None:
    """A reader of an example finds the strategy that its folder is named for, in any namespace."""
    text = (rendering.MANIFESTS / strategy / f"{strategy}.yaml").read_text()
    spec = find(objects(text), "ModelDeployment", "fraud")["spec"]
    assert spec["strategy"]["type"] == strategy
    assert not [one for one in objects(text) if "namespace" in one["metadata"]]


@pytest.mark.parametrize("example", rendering.examples())
def test_nothing_claims_to_be_helms(example: str) -> None:
    """Objects that kubectl applies are not labelled as a release's, so no tool takes them for one."""
    assert "helm.sh/" not in (text := (rendering.MANIFESTS / example / f"{example}.yaml").read_text())
    assert "managed-by" not in text


def test_the_controller_comes_with_its_namespace() -> None:
    """One command makes the namespace, restricted, and all that the controller needs in it."""
    rendered = objects((rendering.MANIFESTS / "controller" / "controller.yaml").read_text())
    labels = rendered[0]["metadata"]["labels"]
    assert (rendered[0]["kind"], labels) == ("Namespace", {"pod-security.kubernetes.io/enforce": "restricted"})
    assert ("CustomResourceDefinition", "modeldeployments.canario.dev") in names(rendered)
