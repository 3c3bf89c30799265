"""A real API server refuses a wrong resource when it is applied, names the field and says what to do; it agrees with lint on any plan."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kubernetes import client, config

from canario.errors import UsageError
from canario.platforms.kubernetes.resource import API_VERSION, GROUP, PLURAL, plan_of, read_spec, version_of, write_spec
from tests.parts import missing
from tests.platforms.kubernetes.plans import images, resources, strategies
from tests.platforms.kubernetes.wrong import GOOD, Wrong
from tests.platforms.kubernetes.wrong_resources import WRONG

UNDECIDED = "too many for"
"""What lint says where only arithmetic can tell: the one thing of a plan that the API server lets pass."""


class Cluster:
    """The API server, asked without anything being kept."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._objects = client.CustomObjectsApi()

    def create(self, resource: dict[str, Any]) -> dict[str, Any]:
        """What would be kept, defaults filled in. Raises ApiException when it is refused."""
        kept = self._objects.create_namespaced_custom_object(
            GROUP, API_VERSION, self.namespace, PLURAL, resource, dry_run="All", field_validation="Strict"
        )
        return cast("dict[str, Any]", kept)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if not os.environ.get("KUBECONFIG"):
        missing("no KUBECONFIG: `make cluster` starts a cluster")
    config.load_kube_config()  # type: ignore[no-untyped-call]
    core = client.CoreV1Api()
    namespace = f"wrong-{uuid.uuid4().hex[:8]}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
    yield Cluster(namespace)
    core.delete_namespace(namespace)


def refusal(cluster: Cluster, resource: dict[str, Any]) -> str:
    """What the API server says; nothing when it takes the resource."""
    try:
        cluster.create(resource)
    except client.ApiException as refused:
        if refused.status not in (400, 422):
            raise
        return str(refused.body).replace('\\"', '"')
    return ""


def test_the_good_resource_is_taken(cluster: Cluster) -> None:
    """What the wrong ones differ from is right, and comes back with every default filled in."""
    spec = read_spec(cluster.create(GOOD)["spec"])
    assert spec == read_spec(GOOD["spec"])


@pytest.mark.parametrize("name", [name for name, wrong in WRONG.items() if wrong.refused_by == "api-server"])
def test_the_api_server_refuses(cluster: Cluster, name: str) -> None:
    """Each is refused on `kubectl apply` already, with the field and a way out."""
    wrong = WRONG[name]
    said = refusal(cluster, wrong.resource)
    assert said, f"{name} was taken"
    assert wrong.words in said
    assert _names(said, wrong), said


@pytest.mark.parametrize("name", [name for name, wrong in WRONG.items() if wrong.refused_by == "condition"])
def test_what_only_arithmetic_can_tell_is_left_to_the_condition(cluster: Cluster, name: str) -> None:
    """The API server takes these; the controller refuses them as read from it, with the field and a way out."""
    wrong = WRONG[name]
    with pytest.raises(UsageError, match=wrong.words) as refused:
        plan_of(read_spec(cluster.create(wrong.resource)["spec"]))
    assert refused.value.at == wrong.at
    assert refused.value.hint


@given(spec=resources())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_valid_resource_is_taken_and_comes_back_the_same(cluster: Cluster, spec: Any) -> None:
    """Nothing that is right is refused, and what is read back is what was written."""
    kept = cluster.create({**GOOD, "spec": write_spec(spec)})
    assert read_spec(kept["spec"]) == spec


@given(strategy=strategies())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_api_server_and_lint_agree(cluster: Cluster, strategy: dict[str, Any]) -> None:
    """Whatever plan somebody writes: what lint refuses the API server refuses, and nothing else."""
    spec = GOOD["spec"] | {"strategy": strategy}
    said = refusal(cluster, {**GOOD, "spec": spec})
    fault = fault_of(spec)
    assume(UNDECIDED not in fault)
    assert bool(said) == bool(fault), f"the API server: {said or 'yes'}; lint: {fault or 'yes'}"


@given(image=images(), version=st.sampled_from(("", "v7")))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_api_server_and_canario_read_the_same_version(cluster: Cluster, image: str, version: str) -> None:
    """An image whose name says no version is refused by both, or by neither."""
    spec = GOOD["spec"] | {"image": image} | ({"version": version} if version else {})
    said = refusal(cluster, {**GOOD, "spec": spec})
    assert bool(said) == bool(fault_of(spec)), said


def fault_of(spec: dict[str, Any]) -> str:
    """What canario says; nothing when it takes the version and the plan."""
    try:
        version_of(read_spec(spec), "fraud")
        plan_of(read_spec(spec))
    except UsageError as fault:
        return fault.message
    return ""


def _names(said: str, wrong: Wrong) -> bool:
    """Whether the refusal names the field; the resource's own name is named by the rule."""
    return wrong.at == "metadata.name" or wrong.at in said
