"""A ModelDeployment says which version, which image and which plan; what cannot be honoured is refused with the resource's own field."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from canario.errors import PlanError, UsageError
from canario.model.resource import ARCHIVE_PATTERN, ModelDeploymentSpec
from canario.model.rollout import Gate, GateKind, RolloutSpec, Step, StrategyKind
from canario.platforms.kubernetes.resource import (
    image_of,
    plan_of,
    read_spec,
    replicas_of,
    resource_parts,
    version_of,
    write_spec,
)
from canario.rollout.plan import default_plan, lint
from tests.platforms.kubernetes.plans import plans, resources
from tests.platforms.kubernetes.wrong import GOOD
from tests.platforms.kubernetes.wrong_resources import WRONG

MODEL = "fraud"
DIGEST = "@sha256:" + "0" * 64


@given(spec=resources())
def test_every_valid_resource_has_a_plan_that_can_be_honoured(spec: ModelDeploymentSpec) -> None:
    """Whatever is left out, the plan that comes of it passes lint, and the version has a name and an image."""
    lint(plan_of(spec))
    assert version_of(spec, MODEL)
    assert image_of(spec)
    assert 1 <= replicas_of(spec) <= 100


@given(plan=plans())
def test_every_plan_can_be_written_as_a_resource(plan: RolloutSpec) -> None:
    """A plan that lint accepts comes back the same from a resource, through the API server's JSON."""
    lint(plan)
    strategy, traffic, watch = resource_parts(plan)
    spec = ModelDeploymentSpec(image="fraud:v2", strategy=strategy, traffic=traffic, watch=watch)
    assert plan_of(read_spec(write_spec(spec))) == plan


@given(spec=resources())
def test_a_resource_comes_back_as_it_was_written(spec: ModelDeploymentSpec) -> None:
    """Writing and reading lose nothing."""
    assert read_spec(write_spec(spec)) == spec


@pytest.mark.parametrize("kind", StrategyKind)
def test_a_strategy_alone_is_a_whole_plan(kind: StrategyKind) -> None:
    """Who names a strategy and nothing else gets its default plan."""
    assert plan_of(read_spec({"image": "fraud:v2", "strategy": {"type": kind.value}})) == default_plan(kind)


def test_a_step_and_a_gate_default_to_what_a_plan_says() -> None:
    """What a person leaves out of a step or a gate is the same in a resource as in rollout.yaml."""
    strategy = {"steps": [{"weightPercent": 100}], "gates": [{"kind": "errors"}]}
    expected = RolloutSpec(steps=(Step(weight_percent=100),), gates=(Gate(kind=GateKind.ERRORS),))
    assert plan_of(read_spec({"image": "fraud:v2", "strategy": strategy})) == expected


def test_nothing_but_an_image_is_enough() -> None:
    """The shortest resource is a canary of two servers a version."""
    spec = read_spec({"image": "fraud:v2"})
    assert plan_of(spec) == default_plan(StrategyKind.CANARY)
    assert replicas_of(spec) == 2


@pytest.mark.parametrize("name", [name for name, wrong in WRONG.items() if wrong.is_a_plan])
def test_a_wrong_plan_is_refused_without_an_api_server_too(name: str) -> None:
    """A plan that reaches the controller all the same, through an older definition, is refused there, with field and hint."""
    with pytest.raises(PlanError) as refused:
        plan_of(read_spec(WRONG[name].resource["spec"]))
    assert refused.value.at.startswith(WRONG[name].at)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("fraud:v2", "v2"),
        ("localhost:5000/team/fraud:2026.11", "2026.11"),
        (f"registry.example/fraud:v2{DIGEST}", "v2"),
    ],
)
def test_the_version_is_the_tag(image: str, version: str) -> None:
    """Neither a registry's port nor a digest is taken for a tag."""
    assert version_of(read_spec({"image": image}), MODEL) == version


@pytest.mark.parametrize("image", ["fraud", "localhost:5000/fraud", "fraud:latest", f"fraud{DIGEST}", "fraud:V2"])
def test_a_version_without_a_name_must_be_named(image: str) -> None:
    """Where the image does not say which version it is, the resource must."""
    with pytest.raises(UsageError, match="version") as refused:
        version_of(read_spec({"image": image}), MODEL)
    assert refused.value.at == "spec.version"
    assert version_of(read_spec({"image": image, "version": "v3"}), MODEL) == "v3"


def test_a_bento_names_its_image() -> None:
    """A Bento is served from the image that `canario build --image` names for it."""
    spec = read_spec({"bento": "fraud:v2", "imagePrefix": "registry.example/models/"})
    assert image_of(spec) == "registry.example/models/fraud:v2"
    assert version_of(spec, MODEL) == "v2"


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"replica": 2}, "spec.replica"),
        ({"replicas": "two"}, "spec.replicas"),
        ({"strategy": {"steps": [{"weightPercent": 1}, {"weight": 2}]}}, "spec.strategy.steps[1].weight"),
        ({"strategy": {"gates": [{"kind": "luck"}]}}, "spec.strategy.gates[0].kind"),
        ({"watch": {"errorPercent": "1"}}, "spec.watch.errorPercent"),
    ],
)
def test_what_does_not_fit_is_named_as_it_was_written(change: dict[str, Any], at: str) -> None:
    """A refusal names the field in the resource's own spelling."""
    with pytest.raises(UsageError) as refused:
        read_spec({**GOOD["spec"], **change})
    assert refused.value.at == at


def test_waiting_for_labels_is_refused() -> None:
    """Without a database no label reaches the gates, so one that waits for them would hold every rollout; with one it may."""
    plan = default_plan(StrategyKind.CANARY)
    waiting = replace(plan, gates=tuple(replace(gate, blocking=True) for gate in plan.gates))
    strategy, traffic, watch = resource_parts(waiting)
    spec = ModelDeploymentSpec(image="fraud:v2", strategy=strategy, traffic=traffic, watch=watch)
    with pytest.raises(PlanError, match="no database keeps the labels") as refused:
        plan_of(spec)
    assert refused.value.at == "spec.strategy.gates[2].blocking"
    assert plan_of(replace(spec, feedback_secret="fraud-feedback")) == waiting  # noqa: S106 - a Secret's name


@pytest.mark.parametrize(
    ("archive", "version"),
    [
        ("fraud-v2.canario", "v2"),
        ("models/fraud/fraud-20261125-ab12cd34.canario", "20261125-ab12cd34"),
        ("fraud-v2.canario#sha256:" + "0" * 64, "v2"),
        ("https://archives.example/fraud/fraud-2026.11.canario?part=1", "2026.11"),
    ],
)
def test_the_version_is_in_the_archives_name(archive: str, version: str) -> None:
    """`canario export` names a file after its version; whose image serves it does not matter."""
    assert version_of(read_spec({"image": "fraud:v1", "archive": archive}), MODEL) == version


@pytest.mark.parametrize("archive", ["loan-v2.canario", "fraud.canario", "fraud-V2.canario", "fraud-/x.canario"])
def test_an_archive_that_names_no_version_needs_one(archive: str) -> None:
    """An archive of another name is served under the version that the resource names."""
    with pytest.raises(UsageError, match="does not say which version") as refused:
        version_of(read_spec({"image": "fraud:v1", "archive": archive}), MODEL)
    assert refused.value.at == "spec.version"
    assert version_of(read_spec({"image": "fraud:v1", "archive": archive, "version": "v2"}), MODEL) == "v2"


@pytest.mark.parametrize(
    "place",
    [
        "../fraud-v2.canario",
        "/etc/fraud-v2.canario",
        "fraud/../../x-v2.canario",
        ".hidden/fraud-v2.canario",
        "file:///fraud-v2.canario",
    ],
)
def test_no_archive_lies_outside_of_its_volume(place: str) -> None:
    """A path leads down from the volume and nowhere else."""
    assert not re.fullmatch(ARCHIVE_PATTERN, place)
