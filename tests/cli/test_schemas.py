"""The JSON Schemas that editors use: fresh, closed, explained, and true of the documents in the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml

from canario.adapters.schemas import json_schema
from canario.model.card import Card
from canario.model.rollout import RolloutSpec
from canario.platforms.kubernetes.editing import json_schema as resource_schema
from canario.stream.schemas import answer_schema, message_schema
from tests.platforms.kubernetes.wrong import GOOD
from tests.platforms.kubernetes.wrong_resources import UNKNOWN_FIELDS

ROOT = Path(__file__).parents[2]
SCHEMAS = {
    "model": lambda: json_schema(Card),
    "rollout": lambda: json_schema(RolloutSpec),
    "modeldeployment": resource_schema,
    "message": message_schema,
    "answer": answer_schema,
}
DOCUMENTS = sorted((ROOT / "bentos").glob("*/*.yaml"))


def schema(document: str) -> Any:
    return msgspec.json.decode((ROOT / "schemas" / f"{document}.schema.json").read_bytes())


@pytest.mark.parametrize("document", SCHEMAS)
def test_the_committed_schemas_are_fresh(document: str) -> None:
    """schemas/ says what this release reads; `canario schema model > schemas/model.schema.json` renews it."""
    assert (ROOT / "schemas" / f"{document}.schema.json").read_text() == SCHEMAS[document]()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_document_of_the_repository_fits_its_schema(path: Path) -> None:
    """The rooms' own cards and plans raise no complaint in an editor."""
    jsonschema_rs.validate(schema(path.stem), yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_typo_is_marked(path: Path) -> None:
    """A field that canario does not know is an error in the editor already."""
    content = yaml.safe_load(path.read_text())
    with pytest.raises(jsonschema_rs.ValidationError, match="Additional properties"):
        jsonschema_rs.validate(schema(path.stem), {**content, "colour": "blue"})


def test_an_editor_explains_the_fields() -> None:
    """Hovering over a field shows the sentence that stands under it in the source, units included."""
    step = schema("rollout")["$defs"]["Step"]["properties"]
    assert "requests at this weight" in step["minimum_requests"]["description"]
    resource = schema("modeldeployment")["properties"]["spec"]["properties"]
    assert "Either this or `bento`" in resource["image"]["description"]
    column = schema("model")["$defs"]["Column"]["properties"]
    assert "EUR" in column["unit"]["description"]


def test_a_resource_fits_its_schema() -> None:
    """A ModelDeployment raises no complaint in an editor, with or without its status."""
    jsonschema_rs.validate(schema("modeldeployment"), GOOD)
    jsonschema_rs.validate(schema("modeldeployment"), {**GOOD, "status": {"phase": "stable"}})


@pytest.mark.parametrize("name", UNKNOWN_FIELDS)
def test_a_typo_in_a_resource_is_marked(name: str) -> None:
    """An editor marks at once what the API server would refuse, or drop in silence."""
    with pytest.raises(jsonschema_rs.ValidationError, match="Additional properties"):
        jsonschema_rs.validate(schema("modeldeployment"), UNKNOWN_FIELDS[name].resource)


@pytest.mark.parametrize("body", [{"rows": [{"amount": 1.5, "channel": None}]}, {"amount": 1, "is_abroad": True}])
def test_a_message_fits_its_schema(body: dict[str, Any]) -> None:
    """One row and several are both messages."""
    jsonschema_rs.validate(schema("message"), body)


@pytest.mark.parametrize("body", [{}, [], {"rows": []}, {"rows": [{"amount": [1]}]}, {"amount": {"value": 1}}])
def test_what_is_no_message_is_marked(body: Any) -> None:
    """A client's own tests find what a worker would put with the dead."""
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema("message"), body)
