"""A real API server takes all that the charts make, in a namespace that enforces the strictest pod security.

Needs KUBECONFIG; `make cluster` starts a cluster and says what to set. Each run has a namespace of its own, and what is
cluster-wide there already (the resource's definition) is left as it was.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helm import rendering
from tests.helm.charts import CHARTS, MODEL, ROOT, Helm, objects
from tests.helm.test_controller_chart import ALLOWED, ALLOWED_TO_LEAD, as_sets

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="KUBECONFIG names no cluster; `make cluster` starts one"),
]
DEFINITION = CHARTS / "canario" / "files" / "modeldeployments.yaml"
KEDA_GROUP = "keda.sh"
"""Its objects are only understood where it is installed."""
MADE_BY_CLUSTER = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
KINDS = "configmaps,cronjobs,deployments,horizontalpodautoscalers,leases,networkpolicies,pods,poddisruptionbudgets,rolebindings,roles,secrets,serviceaccounts,services"


@dataclass(frozen=True, slots=True)
class Cluster:
    """kubectl in one namespace."""

    program: str
    namespace: str

    def run(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """One command; when it fails, the test fails with kubectl's own words."""
        done = subprocess.run(
            [self.program, "--namespace", self.namespace, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def dry_run(self, manifest: str) -> list[str]:
        """What the API server would make of a manifest, as it says: every check of it runs, and nothing is stored."""
        said = self.run(
            "apply", "--dry-run=server", "--server-side", "--force-conflicts", "--filename", "-", stdin=manifest
        )
        return said.splitlines()

    def left(self) -> set[tuple[str, str]]:
        """What is in the namespace once its pods have gone, but for what every namespace holds."""
        self.run("wait", "--for=delete", "pods", "--all", "--timeout=90s", check=False)
        return self.objects()

    def objects(self) -> set[tuple[str, str]]:
        """Kind and name of what is in the namespace, but for what every namespace holds and for events."""
        listed = json.loads(self.run("get", KINDS, "--output", "json"))["items"]
        return {(one["kind"], one["metadata"]["name"]) for one in listed} - MADE_BY_CLUSTER


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A namespace of our own that takes restricted pods only."""
    bin_folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "canario" / "cluster" / "bin"
    program = shutil.which("kubectl", path=bin_folder) or shutil.which("kubectl")
    assert program, "there is no kubectl on PATH"
    made = Cluster(program, f"charts-test-{uuid.uuid4().hex[:8]}")
    made.run("create", "namespace", made.namespace)
    try:
        made.run("label", "namespace", made.namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield made
    finally:
        made.run("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture(scope="module")
def definition(cluster: Cluster) -> Iterator[None]:
    """The resource's definition: the cluster's own where there is one, ours for this run where there is none."""
    name = "customresourcedefinition/modeldeployments.canario.dev"
    ours = not cluster.run("get", name, "--ignore-not-found", "--output", "name")
    if ours:
        cluster.run("apply", "--server-side", "--filename", str(DEFINITION))
    cluster.run("wait", "--for=condition=Established", "--timeout=60s", name)
    yield
    if ours:
        cluster.run("delete", name)


@pytest.mark.parametrize("example", rendering.examples())
def test_the_api_server_takes_every_manifest(cluster: Cluster, definition: None, example: str) -> None:
    """Each folder of k8s/ can be applied: its fields exist, its values are valid, its plan is accepted."""
    text = (ROOT / "k8s" / example / f"{example}.yaml").read_text()
    if KEDA_GROUP in text and not cluster.run("get", "crd", f"scaledobjects.{KEDA_GROUP}", "--ignore-not-found"):
        text = "---\n".join(each for each in text.split("---\n") if f"apiVersion: {KEDA_GROUP}/" not in each)
    manifest = re.sub(rf'namespace: "?{rendering.NAMESPACE}"?\n', f"namespace: {cluster.namespace}\n", text)
    said = cluster.dry_run(manifest)
    assert len(said) == len(objects(text))
    assert all(line.endswith("(server dry run)") for line in said)


def test_the_strictest_pod_security_admits_every_pod(helm: Helm, cluster: Cluster) -> None:
    """Controller, router, worker and smoke test are admitted where `restricted` is enforced."""
    stream = ("--set", "stream.enabled=true,stream.brokerSecret=broker")
    model = helm.run("template", "fraud", str(CHARTS / "model"), *MODEL, *stream).stdout
    rendered = [*objects(model), *helm.render("canario", release="canario")]
    pods = {
        one["metadata"]["name"]: one["spec"]["template"] if one["kind"] == "Deployment" else one
        for one in rendered
        if one["kind"] in ("Deployment", "Pod")
    }
    for name, pod in pods.items():
        spec = {key: part for key, part in pod["spec"].items() if key != "serviceAccountName"}
        alone: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        assert cluster.dry_run(json.dumps(alone)) == [f"pod/{name} serverside-applied (server dry run)"]


def rights(cluster: Cluster, account: str) -> set[tuple[str, str, str]]:
    """Group, resource and verb of all that the API server lets a service account do in the namespace."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": cluster.namespace},
    }
    identity = f"system:serviceaccount:{cluster.namespace}:{account}"
    said = cluster.run(
        "create", "--validate=false", "--as", identity, "--output", "json", "--filename", "-", stdin=json.dumps(review)
    )
    return {
        (group, resource, verb)
        for rule in json.loads(said)["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@contextmanager
def released(helm: Helm, cluster: Cluster, release: str, chart: Path, *settings: str) -> Iterator[None]:
    """A release, from its installation until it is gone."""
    place = ("--namespace", cluster.namespace)
    helm.run("install", release, str(chart), *place, *settings)
    try:
        yield
    finally:
        helm.run("uninstall", release, *place, "--wait", "--timeout", "90s")


def published_later(chart: Path) -> None:
    """Make a chart the next version of itself."""
    about = chart / "Chart.yaml"
    about.write_text(about.read_text().replace("0.1.0", "0.2.0"))


def test_the_controller_is_installed_upgraded_and_gone(helm: Helm, cluster: Cluster, tmp_path: Path) -> None:
    """The API server itself says that the controller may do what is on the list; an upgrade is taken; nothing is left."""
    chart = Path(shutil.copytree(CHARTS / "canario", tmp_path / "canario"))
    settings = ("--set", "crds.install=false")
    allowed = as_sets(ALLOWED) | as_sets(ALLOWED_TO_LEAD)
    wanted = {(group, resource, verb) for (group, resource), verbs in allowed.items() for verb in verbs}
    with released(helm, cluster, "canario", chart, *settings):
        assert rights(cluster, "canario") - rights(cluster, "default") == wanted
        published_later(chart)
        helm.run("upgrade", "canario", str(chart), "--namespace", cluster.namespace, *settings)
    assert cluster.left() == set()


def test_a_model_is_installed_upgraded_and_gone(helm: Helm, cluster: Cluster, definition: None, tmp_path: Path) -> None:
    """The next chart and a new image are taken, and nothing of a model is left after it."""
    chart = Path(shutil.copytree(CHARTS / "model", tmp_path / "model"))
    place = ("--namespace", cluster.namespace)
    with released(helm, cluster, "fraud", chart, *MODEL):
        published_later(chart)
        helm.run("upgrade", "fraud", str(chart), *place, "--reuse-values", "--set", "image=fraud:v2")
        asked = cluster.run("get", "modeldeployment", "fraud", "--output", "jsonpath={.spec.image}")
        assert asked == "fraud:v2"
    assert cluster.left() == set()
    assert cluster.run("get", "modeldeployments", "--output", "name") == ""


@pytest.mark.parametrize("keep", [True, False])
def test_the_definition_stays_or_goes_as_asked(helm: Helm, cluster: Cluster, tmp_path: Path, *, keep: bool) -> None:
    """Uninstalling keeps the definition and the models, or with `crds.keep=false` leaves nothing of either.

    The definition is one of another group, as the cluster's own may be in use.
    """
    chart = Path(shutil.copytree(CHARTS / "canario", tmp_path / "canario"))
    group = f"{cluster.namespace}.dev"
    file = chart / "files" / "modeldeployments.yaml"
    file.write_text(file.read_text().replace("canario.dev", group).replace("mdep", "mdeptrial"))
    name = f"customresourcedefinition/modeldeployments.{group}"
    try:
        with released(helm, cluster, "canario", chart, "--set", f"crds.keep={str(keep).lower()}"):
            assert cluster.run("get", name, "--output", "name")
        left = cluster.run("get", name, "--ignore-not-found", "--output", "name")
        assert bool(left) == keep
        assert cluster.left() == set()
    finally:
        cluster.run("delete", name, "--ignore-not-found")


def test_a_failed_smoke_test_leaves_no_pod(helm: Helm, cluster: Cluster, definition: None) -> None:
    """`helm test` on a model that does not answer fails, and its pod is gone."""
    with released(helm, cluster, "fraud", CHARTS / "model", *MODEL):
        done = helm.run("test", "fraud", "--namespace", cluster.namespace, "--timeout", "5s", check=False)
        assert done.returncode != 0
        assert ("Pod", "fraud-test") not in cluster.objects()
