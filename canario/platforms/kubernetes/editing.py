"""The JSON Schema of a ModelDeployment, so that editors complete and explain it; refusing is for the API server."""

from __future__ import annotations

import json
from typing import Any

from canario.model.resource import ModelDeploymentSpec
from canario.platforms.kubernetes.crd import object_schema
from canario.platforms.kubernetes.resource import API_VERSION, GROUP, KIND, NAME_PATTERN

_LIMITS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def json_schema() -> str:
    """The schema as text: closed, each field described; of the same making as the custom resource definition."""
    name = {"type": "string", "pattern": NAME_PATTERN, "description": "The model's name, and that of its Service."}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "A model that is served, and how a new version of it takes over.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": f"{GROUP}/{API_VERSION}"},
            "kind": {"const": KIND},
            "metadata": {"type": "object", "required": ["name"], "properties": {"name": name}},
            "spec": _for_editors(object_schema(ModelDeploymentSpec)),
            "status": {"type": "object", "description": "Where it stands; the controller writes it."},
        },
        "additionalProperties": False,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _for_editors(part: dict[str, Any]) -> dict[str, Any]:
    """A structural schema in the words of JSON Schema's draft 2020-12: without the rules, which only the API server can read."""
    plain = {word: value for word, value in part.items() if not word.startswith("x-kubernetes-")}
    for exclusive, inclusive in _LIMITS.items():
        if plain.pop(exclusive, False):
            plain[exclusive] = plain.pop(inclusive)
    if "properties" in plain:
        plain["properties"] = {name: _for_editors(below) for name, below in plain["properties"].items()}
        plain["additionalProperties"] = False
    elif "additionalProperties" in plain:
        plain["additionalProperties"] = _for_editors(plain["additionalProperties"])
    if "items" in plain:
        plain["items"] = _for_editors(plain["items"])
    return plain
