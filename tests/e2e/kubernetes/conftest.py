"""What the scenarios on Kubernetes share: the cluster, the images in it, one controller, models of their own, and the ledger."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import keda, model_images
from tests.cluster.cluster import Cluster, up
from tests.cluster.running import Progress
from tests.cluster.settings import Settings
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary
from tests.e2e.kubernetes.steady import Ledger
from tests.parts import missing

SLOW_SECONDS = 240
LAST = "test_whole_suite.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scenarios may take minutes; what looks back on all others comes last."""
    for item in items:
        if not item.path.is_relative_to(Path(__file__).parent):
            continue
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
        item.add_marker(pytest.mark.real)
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster of KUBECONFIG, else the one that `make cluster` has started or now starts."""
    return up(Settings.from_environment())


@pytest.fixture(scope="session")
def kube(cluster: Cluster) -> Iterator[Kube]:
    """kubectl, helm and the API; what was made with it goes in the end."""
    access = Kube(cluster)
    yield access
    access.remove_namespaces()


@pytest.fixture(scope="session")
def canario_image(cluster: Cluster) -> str:
    """The image of controller, router and smoke test, in the cluster."""
    image = model_images.canario_image()
    cluster.load(image)
    return image


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> dict[str, str]:
    """The model's images by version, in the cluster."""
    names = model_images.e2e_images()
    cluster.load(*names.values())
    return names


@pytest.fixture(scope="session")
def with_keda(cluster: Cluster, kube: Kube) -> None:
    """KEDA beside the cluster; on somebody else's it must be there."""
    if cluster.audit_log is not None:
        keda.start(Settings.from_environment(), Progress())
    elif not kube.kubectl("get", "crd", "scaledobjects.keda.sh", "--ignore-not-found", "--output=name"):
        missing("the cluster of KUBECONFIG has no KEDA")


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """All that clients have seen."""
    return Ledger()


@pytest.fixture(scope="session")
def models_namespace(kube: Kube) -> str:
    """Where the models of the scenarios live, one after the other."""
    return kube.make_namespace(f"models-{uuid.uuid4().hex[:6]}")


@pytest.fixture(scope="session")
def controller(kube: Kube, canario_image: str, models_namespace: str, ledger: Ledger) -> Iterator[Controller]:
    """The release `canario` of the chart helm/canario, in a namespace of its own."""
    namespace = kube.make_namespace(f"canario-{uuid.uuid4().hex[:6]}")
    steering = Controller(kube, namespace, [models_namespace], canario_image, ledger)
    steering.install()
    yield steering
    steering.uninstall()


@pytest.fixture(scope="session")
def model(
    kube: Kube,
    images: dict[str, str],
    canario_image: str,
    controller: Controller,
    models_namespace: str,
    ledger: Ledger,
) -> Iterator[Model]:
    """The model that most scenarios share: v1 answers. In the end nothing of it is left, whatever it went through."""
    assert images
    before = kube.objects(models_namespace)
    one = Model(kube, models_namespace, ledger, canario_image)
    one.install("v1", canary())
    yield one
    one.uninstall()
    until(lambda: kube.objects(models_namespace) == before, "an empty namespace", 60)


@pytest.fixture
def at_rest(model: Model) -> Model:
    """The shared model with a good version as its stable one and nothing under way, whatever the test before left."""
    model.rest()
    return model


@pytest.fixture
def v1_answers(model: Model) -> Model:
    """The shared model with v1 as its stable version and nothing under way, whatever the test before left."""
    model.settle("v1")
    return model


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A figure that people want to see, past pytest's capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n    {line}", end="", flush=True)  # noqa: T201 - figures are printed

    return say
