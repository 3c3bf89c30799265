"""Every pod of the charts meets the strictest of Kubernetes' pod security levels, and is a good guest on its node."""

from __future__ import annotations

import pytest

from tests.helm.charts import ALL_OF_THE_CONTROLLER, ALL_OF_THE_MODEL, CHARTS, Helm, Object, objects, pod_specs


@pytest.fixture(scope="module")
def pods(helm: Helm) -> dict[str, Object]:
    """All pods of both charts with everything on, the smoke test's too."""
    model = helm.run("template", "fraud", str(CHARTS / "model"), *ALL_OF_THE_MODEL).stdout
    rendered = [*objects(model), *helm.render("canario", *ALL_OF_THE_CONTROLLER, release="canario")]
    found = pod_specs(rendered)
    assert found.keys() == {"canario", "fraud-router", "fraud-test", "fraud-worker"}
    return found


def test_every_pod_is_restricted(pods: dict[str, Object]) -> None:
    """No pod runs as root, gains privileges, keeps capabilities, writes its root file system or goes without seccomp."""
    for spec in pods.values():
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        assert all(volume.keys() <= {"name", "emptyDir", "configMap"} for volume in spec["volumes"])


def test_only_the_controller_carries_a_token(pods: dict[str, Object]) -> None:
    """A pod that asks nothing of the API server cannot."""
    tokens = {name for name, spec in pods.items() if spec["automountServiceAccountToken"]}
    assert tokens == {"canario"}


def test_every_container_says_what_it_needs(pods: dict[str, Object]) -> None:
    """The scheduler knows each container's CPU and memory, and none can take a node's memory."""
    for spec in pods.values():
        for container in spec["containers"]:
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_pods_that_stay_are_spread(pods: dict[str, Object]) -> None:
    """Two of a kind go to two nodes where there are two, and to one where there is one."""
    for name in ("canario", "fraud-router", "fraud-worker"):
        for constraint in pods[name]["topologySpreadConstraints"]:
            assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
