"""What people may set, and what they are told when they cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

import canario
from helm import documentation
from tests.helm.charts import CHARTS, MODEL, Helm, find

DEFINITION = CHARTS / "canario" / "files" / "modeldeployments.yaml"


@pytest.mark.parametrize("chart", documentation.CHARTS)
def test_the_charts_are_of_this_release(chart: str) -> None:
    """A chart installs the release that it was published with."""
    about = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
    assert about["appVersion"] == canario.__version__


@pytest.mark.parametrize("chart", documentation.CHARTS)
def test_helm_finds_nothing_to_complain_of(helm: Helm, chart: str) -> None:
    """`helm lint --strict` passes."""
    helm.run("lint", "--strict", str(CHARTS / chart))


@pytest.mark.parametrize(
    ("chart", "setting", "complaint"),
    [
        ("canario", "replica=2", "additional properties 'replica' not allowed"),
        ("canario", "replicas=0", "at '/replicas': minimum: got 0, want 1"),
        ("canario", "crds.keeps=true", "at '/crds': additional properties 'keeps' not allowed"),
        ("canario", "resources.limit.cpu=1", "at '/resources': additional properties 'limit' not allowed"),
        ("canario", "namespaces={Team}", "at '/namespaces/0': 'Team' does not match pattern"),
        ("canario", "imagePullPolicy=Sometimes", "at '/imagePullPolicy': value must be one of"),
        ("model", "strategy.typ=shadow", "at '/strategy': additional properties 'typ' not allowed"),
        (
            "model",
            "strategy.type=big-bang",
            "at '/strategy/type': value must be one of 'canary', 'blue-green', 'shadow'",
        ),
        ("model", "strategy.steps[0].weight=5", "at '/strategy/steps/0': additional properties 'weight' not allowed"),
        ("model", "strategy.gates[0].kind=luck", "at '/strategy/gates/0/kind': value must be one of"),
        ("model", "router.replicas=none", "at '/router/replicas': got string, want integer"),
        ("model", "resources.limits.memory=1Gib", "at '/resources/limits/memory': '1Gib' does not match pattern"),
        ("model", "watch.errorPercent=0", "at '/watch/errorPercent': exclusiveMinimum"),
        ("model", "tolerations[0].efect=NoSchedule", "additional properties 'efect' not allowed"),
        ("model", "autoscaling.minimum=2", "at '/autoscaling': additional properties 'minimum' not allowed"),
        ("model", "batch[0].name=weekly,batch[0].partition=8", "additional properties 'partition' not allowed"),
        ("model", "batch[0].name=weekly,batch[0].partitions=0", "at '/batch/0/partitions': minimum: got 0, want 1"),
        ("model", "batch[0].name=weekly", "at '/batch/0': missing properties 'input', 'output'"),
        ("model", "nameOverride=Fraud", "at '/nameOverride': 'Fraud' does not match pattern"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is(helm: Helm, chart: str, setting: str, complaint: str) -> None:
    """Helm refuses a value that it does not know or that cannot be, and says which."""
    assert complaint in helm.refusal(chart, *MODEL[: 2 * (chart == "model")], "--set", setting)


@pytest.mark.parametrize("settings", [(), ("--set", "image=fraud:v1,bento=fraud:v1")])
def test_a_model_has_one_image(helm: Helm, settings: tuple[str, ...]) -> None:
    """Neither image nor Bento, or both, is refused with what to set."""
    assert "set exactly one of `image` and `bento`" in helm.refusal("model", *settings)


@pytest.mark.parametrize("release", ["a" * 41, "fraud.eu", "2fast"])
def test_a_release_whose_name_cannot_name_a_model_is_told_so(helm: Helm, release: str) -> None:
    """A release's name that is no model's is refused with the rule and the way round it."""
    done = helm.run("template", release, str(CHARTS / "model"), *MODEL, check=False)
    assert "cannot name a model: at most 40 lower-case letters" in done.stderr
    assert helm.render("model", *MODEL, "--set", "nameOverride=fraud", release=release)


def spec_schema() -> dict[str, Any]:
    """The schema of a ModelDeployment's spec."""
    schema = yaml.safe_load(DEFINITION.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec: dict[str, Any] = schema["properties"]["spec"]
    return spec


def leaves(schema: dict[str, Any], path: str = "") -> set[str]:
    """The paths of a spec's fields; a list is one field, and what it lists has fields of its own."""
    inside = schema.get("items", schema).get("properties")
    if not inside or path.endswith(("resources", "Secrets", "tolerations")):
        return {path}
    return {leaf for name, part in inside.items() for leaf in leaves(part, f"{path}.{name}".removeprefix("."))}


def example_of(path: str) -> Any:
    """A value that differs from the default, for a field of the spec."""
    strings = {
        "version": "v9",
        "strategy.onTimeout": "roll-back",
        "strategy.type": "shadow",
        "imagePullPolicy": "Always",
    }
    structures = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
        "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "strategy.gates.kind": "slow",
        "strategy.gates.confidence": 0.9,
        "strategy.gates.alpha": 0.01,
        "bento": "fraud:v7",
        "imagePrefix": "registry.example/models/",
        "serviceAccountName": "scorer",
        "batch.schedule": "0 4 * * 2",
        "batch.timeZone": "Europe/Lisbon",
        "batch.longestSeconds": 90,
        "batch.format": "csv",
        "batch.keep": ["customer"],
        "batch.resources": {"requests": {"cpu": 2}},
        "batch.nodeSelector": {"disk": "fast"},
        "batch.tolerations": [{"key": "dedicated", "operator": "Exists"}],
    }
    schema = spec_schema()
    for part in path.split("."):
        schema = schema.get("items", schema)["properties"][part]
    kinds = {"integer": 7, "number": 7, "boolean": True, "string": strings.get(path, "other")}
    return structures.get(path, kinds.get(schema["type"]))


def setting_of(path: str, wanted: Any) -> str:
    """The Helm setting that brings a field of the spec about; a field of a list comes in a list of one."""
    entries: dict[str, dict[str, Any]] = {
        "strategy.steps": {"weightPercent": 10},
        "strategy.gates": {"kind": "errors"},
        "batch": {"name": "weekly", "input": "rows", "output": "scores", "claim": "data"},
    }
    listed, _, leaf = path.rpartition(".")
    if listed in entries:
        return f"{listed}={json.dumps([entries[listed] | {leaf: wanted}])}"
    return f"{'serviceAccount.name' if path == 'serviceAccountName' else path}={json.dumps(wanted)}"


@pytest.mark.parametrize("path", sorted(leaves(spec_schema())))
def test_every_field_of_the_resource_can_be_set(helm: Helm, path: str) -> None:
    """Whatever a ModelDeployment can say, the chart can say: nobody has to leave it for a field."""
    wanted = example_of(path)
    version = {"image": "version=v1", "bento": "version=v1", "imagePrefix": "bento=fraud:v1"}.get(
        path, "image=fraud:v1"
    )
    rendered = helm.render("model", "--set", version, "--set-json", setting_of(path, wanted))
    found = find(rendered, "ModelDeployment", "fraud")["spec"]
    for part in path.split("."):
        found = (found[0] if isinstance(found, list) else found)[part]
    assert found == wanted
