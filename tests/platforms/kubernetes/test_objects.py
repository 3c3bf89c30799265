"""What the controller asks the cluster for a version: pods that the strictest standard admits, found by labels that never change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from canario.model.deployment import ServedVersion
from canario.model.resource import ModelDeploymentSpec
from canario.platforms.kubernetes.naming import selector, version_object
from canario.platforms.kubernetes.objects import deployment_of, is_owned, owner_of, service_of
from tests.platforms.kubernetes.plans import resources

RESOURCE: dict[str, Any] = {"metadata": {"name": "fraud", "namespace": "models", "uid": "u-1"}}
SERVED = ServedVersion(version="v2", image="fraud:v2")


def pod_of(spec: ModelDeploymentSpec, served: ServedVersion = SERVED) -> dict[str, Any]:
    found: dict[str, Any] = deployment_of(RESOURCE, spec, served)["spec"]["template"]["spec"]
    return found


@given(spec=resources())
def test_a_server_s_pod_is_admitted_by_the_restricted_standard(spec: ModelDeploymentSpec) -> None:
    """Whatever the resource says: each field that Pod Security `restricted` looks at, and nothing that it forbids."""
    pod = pod_of(spec)
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert all("hostPort" not in port for port in container["ports"])
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & pod.keys()
    assert all(set(volume) == {"name", "emptyDir"} for volume in pod["volumes"])


@given(spec=resources())
def test_a_server_s_pod_knows_nothing_of_the_cluster(spec: ModelDeploymentSpec) -> None:
    """No token, no other Services' addresses: a model that is taken over reaches no API server."""
    pod = pod_of(spec)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


@given(spec=resources())
def test_a_server_can_write_only_where_it_must(spec: ModelDeploymentSpec) -> None:
    """Its home and /tmp are its own, empty at each start; the rest of the file system is read-only."""
    (container,) = pod_of(spec)["containers"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/var/lib/canario", "/tmp"]  # noqa: S108 - an emptyDir
    assert {each["name"]: each["value"] for each in container["env"]} == {
        "CANARIO_HOME": "/var/lib/canario",
        "CANARIO_KNOWN_AS": "fraud:v2",
        "TMPDIR": "/tmp",  # noqa: S108 - an emptyDir
    }


@given(one=resources(), other=resources())
def test_selectors_do_not_change_with_the_spec(one: ModelDeploymentSpec, other: ModelDeploymentSpec) -> None:
    """They are immutable in a cluster: any spec after any other can be applied over it."""
    first, second = (deployment_of(RESOURCE, spec, SERVED) for spec in (one, other))
    assert first["spec"]["selector"] == second["spec"]["selector"]
    assert first["metadata"] == second["metadata"]
    assert first["spec"]["template"]["metadata"] == second["spec"]["template"]["metadata"]
    assert service_of(RESOURCE, SERVED) == service_of(RESOURCE, SERVED)


@given(spec=resources())
def test_service_and_deployment_find_the_same_pods(spec: ModelDeploymentSpec) -> None:
    """One name, one selector, and every pod that is made carries it."""
    deployment, service = deployment_of(RESOURCE, spec, SERVED), service_of(RESOURCE, SERVED)
    chosen = selector("fraud", "server", "v2")
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == chosen
    assert chosen.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert deployment["metadata"]["name"] == service["metadata"]["name"] == version_object("fraud", "v2")


@given(spec=resources(), image=st.sampled_from(["fraud:v2", "localhost/x@sha256:" + "0" * 64]))
def test_a_version_runs_its_own_image_whatever_the_spec_says_now(spec: ModelDeploymentSpec, image: str) -> None:
    """The stable version is not the spec's image while another one is on trial."""
    (container,) = pod_of(spec, replace(SERVED, image=image))["containers"]
    assert container["image"] == image


@given(spec=resources())
def test_nothing_that_was_left_out_is_written(spec: ModelDeploymentSpec) -> None:
    """Empty fields stay the cluster's to fill in."""
    pod = pod_of(spec)
    for field in ("serviceAccountName", "priorityClassName", "imagePullSecrets", "nodeSelector", "tolerations"):
        assert pod.get(field, "something")


@given(spec=resources())
def test_no_server_is_taken_away_before_another_is_ready(spec: ModelDeploymentSpec) -> None:
    """A change of resources rolls without a gap, and a server finishes what it has within its grace."""
    deployment = deployment_of(RESOURCE, spec, SERVED)
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    pod = deployment["spec"]["template"]["spec"]
    arguments = pod["containers"][0]["args"]
    linger, longest = (
        float(arguments[arguments.index(name) + 1]) for name in ("--linger-seconds", "--longest-stop-seconds")
    )
    assert linger + longest < pod["terminationGracePeriodSeconds"]


def test_everything_goes_with_its_model() -> None:
    """Owned by the resource's uid, so that one of the same name, made later, is no owner."""
    spec = ModelDeploymentSpec(image="fraud:v2")
    for content in (deployment_of(RESOURCE, spec, SERVED), service_of(RESOURCE, SERVED)):
        assert content["metadata"]["ownerReferences"] == owner_of(RESOURCE)
        assert is_owned(content, RESOURCE)
        assert not is_owned(content, {"metadata": {**RESOURCE["metadata"], "uid": "u-2"}})
    assert not is_owned({"metadata": {}}, RESOURCE)


def test_a_version_by_archive_reads_its_volume_and_cannot_write_it() -> None:
    """The claim is mounted, read-only, for versions that lie there; a version by image does not depend on it."""
    spec = ModelDeploymentSpec(image="fraud:v1", archives_claim="archives")
    pod = pod_of(spec, replace(SERVED, archive="fraud/fraud-v2.canario#sha256:" + "0" * 64))
    volume = {"name": "archives", "persistentVolumeClaim": {"claimName": "archives", "readOnly": True}}
    assert volume in pod["volumes"]
    (container,) = pod["containers"]
    assert {"name": "archives", "mountPath": "/archives", "readOnly": True} in container["volumeMounts"]
    assert container["args"][-2:] == ["--archive", "/archives/fraud/fraud-v2.canario#sha256:" + "0" * 64]
    assert "archives" not in str(pod_of(spec))
    kept = replace(SERVED, archive="fraud-v2.canario", archives_claim="archives")
    assert volume in pod_of(replace(spec, archives_claim=""), kept)["volumes"]


def test_an_archive_behind_an_address_needs_no_volume() -> None:
    """The server fetches it itself."""
    address = "https://archives.example/fraud-v2.canario"
    pod = pod_of(ModelDeploymentSpec(image="fraud:v1", archives_claim="archives"), replace(SERVED, archive=address))
    assert pod["containers"][0]["args"][-2:] == ["--archive", address]
    assert [volume["name"] for volume in pod["volumes"]] == ["state", "temporary"]


def test_the_database_s_address_stays_in_its_secret() -> None:
    """It has a password in it: the pod names the Secret, and the cluster hands the value to the process alone."""
    pod = pod_of(ModelDeploymentSpec(image="fraud:v1", feedback_secret="fraud-feedback"))  # noqa: S106 - a Secret's name
    source = {"secretKeyRef": {"name": "fraud-feedback", "key": "url"}}
    assert {"name": "CANARIO_FEEDBACK_URL", "valueFrom": source} in pod["containers"][0]["env"]
    space = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    assert {"name": "CANARIO_FEEDBACK_SPACE", "valueFrom": space} in pod["containers"][0]["env"]
    assert "CANARIO_FEEDBACK" not in str(pod_of(ModelDeploymentSpec(image="fraud:v1")))
