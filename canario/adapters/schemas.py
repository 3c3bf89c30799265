"""JSON Schemas generated from the nouns, so that editors know what a document may say; checking is for documents."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import textwrap
from dataclasses import is_dataclass
from typing import Any

from pydantic import TypeAdapter


def json_schema(kind: type[Any]) -> str:
    """The JSON Schema of a noun as text: closed, and each field described by the docstring under it."""
    schema = TypeAdapter(kind).json_schema()
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    nouns = {noun.__name__: noun for noun in _nouns_within(kind)}
    for name, part in {kind.__name__: described, **schema.get("$defs", {})}.items():
        _complete(part, nouns[name])
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _nouns_within(kind: type[Any]) -> list[type[Any]]:
    """The noun itself and every noun or enum of the modules that it and its fields come from."""
    module = inspect.getmodule(kind)
    return [value for value in vars(module).values() if inspect.isclass(value)]


def _complete(part: dict[str, Any], noun: type[Any]) -> None:
    part.pop("title", None)
    if not is_dataclass(noun):
        return
    # A document is read with unknown fields forbidden; the schema says the same, so that an editor marks a typo.
    part["additionalProperties"] = False
    for field, sentence in sentences_under_fields(noun).items():
        part["properties"][field]["description"] = sentence
    for field in part["properties"].values():
        field.pop("title", None)


def sentences_under_fields(noun: type[Any]) -> dict[str, str]:
    """The docstring that stands under each field in a class's source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(noun))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is a class
    return {
        field.target.id: inspect.cleandoc(str(below.value.value))
        for field, below in itertools.pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    }
