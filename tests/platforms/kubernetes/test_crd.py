"""The custom resource definition: fresh in the chart, closed, and every field explained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from canario.model.resource import ModelDeploymentSpec
from canario.platforms.kubernetes.crd import as_yaml, custom_resource_definition
from canario.platforms.kubernetes.documents import write_noun

ROOT = Path(__file__).parents[3]
SCHEMA = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def parts(schema: dict[str, Any], at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a schema below spec and status, and where it is."""
    yield at, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{at}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from parts(schema[word], f"{at}[]")


PARTS = {at: part for root in ("spec", "status") for at, part in parts(SCHEMA["properties"][root], root)}


def test_the_chart_has_the_definition_of_this_release() -> None:
    """`python -m canario.platforms.kubernetes.crd > helm/canario/files/modeldeployments.yaml` renews it."""
    assert (ROOT / "helm/canario/files/modeldeployments.yaml").read_text() == as_yaml()


def test_kubectl_explain_explains_every_field() -> None:
    """Each field says what it is for, in words of its own."""
    silent = [at for at, part in PARTS.items() if not at.endswith("[]") and not part.get("description")]
    assert silent == []


def test_no_field_is_open() -> None:
    """A misspelt field is refused everywhere: nothing keeps what it does not know."""
    open_ = [at for at, part in PARTS.items() if "x-kubernetes-preserve-unknown-fields" in part]
    untyped = [at for at, part in PARTS.items() if "type" not in part and "x-kubernetes-int-or-string" not in part]
    assert (open_, untyped) == ([], [])


def test_every_list_has_an_end_and_a_kind() -> None:
    """Lists are bounded, so that checking stays cheap, and say how two writers' lists are merged."""
    lists = {at: part for at, part in PARTS.items() if part.get("type") == "array"}
    assert [at for at, part in lists.items() if "maxItems" not in part or "x-kubernetes-list-type" not in part] == []


def test_every_rule_says_what_to_do() -> None:
    """A refusal is a sentence for people, and names its field in the manner of a path."""
    rules = [rule for part in [SCHEMA, *PARTS.values()] for rule in part.get("x-kubernetes-validations", ())]
    assert len(rules) >= 30
    assert [rule for rule in rules if len(rule["message"]) < 30 or "\n" in rule["message"]] == []


def test_the_api_server_fills_in_what_canario_would() -> None:
    """The defaults that a person sees with `kubectl get -o yaml` are the ones that count."""

    def filled(schema: dict[str, Any]) -> Any:
        return {name: part["default"] for name, part in schema["properties"].items() if "default" in part}

    def shown(content: Any) -> Any:
        return {name: value for name, value in content.items() if value != {}}

    assert shown(filled(SCHEMA["properties"]["spec"])) == shown(write_noun(ModelDeploymentSpec()))
