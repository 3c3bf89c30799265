"""Makes a chart's values.schema.json and the table in its README.md from the comments in its values.yaml, the one source.

A comment right above a value says what it is for. A line in it that begins with `@schema` holds, as YAML, what the default
cannot tell: a range, a pattern, what a list holds. `## A heading` begins a part of the table. The schema is closed: a key
that values.yaml does not name is refused, so that a typo is an error and not a silence. `python helm/documentation.py`
writes both files of every chart, `--check` only says which are stale.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from canario.errors import UsageError

FOLDER = Path(__file__).parent
CHARTS = ("canario", "model")
BEGIN, END = "<!-- values: made from values.yaml by `make charts` -->", "<!-- /values -->"
_ANNOTATION = "@schema "
_CLOSING = {"additionalProperties", "properties", "$ref"}
_TYPES = {"bool": "boolean", "int": "integer", "float": "number", "str": "string"}
_FROM_PARENTS = {
    "global": {"type": "object", "description": "What a parent chart shares with all its parts. Not used here."},
    "enabled": {"type": "boolean", "description": "For a parent chart's `condition`. Not used here."},
}


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a chart: where it is, what its comment says, and what it is when nobody sets it."""

    path: str
    line: int
    about: str
    heading: str
    annotation: dict[str, Any]
    default: Any
    parts: list[Value] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def read_values(text: str) -> list[Value]:
    """The values of a values.yaml in their order. Raises UsageError for one whose comment is missing or does not say enough."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise UsageError("values.yaml holds no values")
    return list(_read_mapping(root, "", text.splitlines()))


def schema(values: list[Value], definitions: dict[str, Any], title: str) -> dict[str, Any]:
    """The closed JSON schema of these values, with the shared definitions that it refers to."""
    body = _object_schema(values)
    body["properties"].update(_FROM_PARENTS)
    used = _referred(body, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **body,
        **({"$defs": {name: definitions[name] for name in sorted(used)}} if used else {}),
    }


def table(values: list[Value]) -> str:
    """The values as Markdown, a table a heading."""
    lines: list[str] = []
    for value in _flat(values):
        if value.heading:
            lines += ["", f"### {value.heading}", "", "| value | what it is for | default |", "| --- | --- | --- |"]
        if value.parts and not value.about:
            continue
        default = "" if value.parts else f"`{json.dumps(value.default)}`"
        about = value.about.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| `{value.path}` | {about} | {default} |")
    return "\n".join(lines).strip()


def made(chart: Path, definitions: dict[str, Any]) -> dict[Path, str]:
    """The files of a chart that follow from its values.yaml, with what they should hold."""
    values = read_values((chart / "values.yaml").read_text())
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    page = (chart / "README.md").read_text()
    if BEGIN not in page or END not in page:
        raise UsageError(
            "there is no place for the table of values", at=f"{chart.name}/README.md", hint=f"add {BEGIN} and {END}"
        )
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    return {
        chart / "values.schema.json": json.dumps(schema(values, definitions, about["description"]), indent=2) + "\n",
        chart / "README.md": f"{before}{BEGIN}\n\n{table(values)}\n\n{END}{after}",
    }


def main(arguments: list[str] | None = None) -> int:
    """Write what follows from each values.yaml; with `--check` write nothing and fail when something is stale."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    check: bool = parser.parse_args(arguments).check
    definitions = yaml.safe_load((FOLDER / "definitions.yaml").read_text())
    stale = [
        (path, content)
        for chart in CHARTS
        for path, content in made(FOLDER / chart, definitions).items()
        if not path.is_file() or path.read_text() != content
    ]
    for path, content in stale:
        if not check:
            path.write_text(content)
        sys.stderr.write(f"{'stale' if check else 'wrote'}: {path.relative_to(FOLDER.parent)}\n")
    return 1 if check and stale else 0


def _read_mapping(node: yaml.MappingNode, path: str, lines: list[str]) -> Iterator[Value]:
    for key, content in node.value:
        here = f"{path}.{key.value}".removeprefix(".")
        about, annotation, heading = _comment(lines, key.start_mark.line, here)
        divided = isinstance(content, yaml.MappingNode) and not _CLOSING & annotation.keys()
        parts = list(_read_mapping(content, here, lines)) if divided else []
        default = yaml.SafeLoader("").construct_document(content) if not parts else None
        value = Value(here, key.start_mark.line + 1, about, heading, annotation, default, parts)
        _refuse_undocumented(value)
        yield value


def _comment(lines: list[str], line: int, path: str) -> tuple[str, dict[str, Any], str]:
    """What the comment right above a line says: its prose, its annotations together, and the heading that it opens with."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    texts = [lines[place].strip().removeprefix("#").removeprefix(" ") for place in range(first, line)]
    annotation: dict[str, Any] = {}
    for text in texts:
        if text.startswith(_ANNOTATION):
            stated = yaml.safe_load(text.removeprefix(_ANNOTATION))
            if not isinstance(stated, dict):
                raise UsageError(f"@schema of {path} is no mapping", at=f"line {line + 1}", hint="such as {minimum: 1}")
            annotation |= stated
    heading = next((text.removeprefix("# ") for text in texts if text.startswith("# ")), "")
    prose = [text for text in texts if not text.startswith((_ANNOTATION, "# "))]
    return "\n".join(prose).strip(), annotation, heading


def _refuse_undocumented(value: Value) -> None:
    at = f"line {value.line}"
    if not value.parts and not value.about:
        raise UsageError(f"{value.path} has no comment", at=at, hint="say in the line above what it is for")
    if isinstance(value.default, list) and not {"items", "$ref"} & value.annotation.keys():
        raise UsageError(f"{value.path} does not say what it lists", at=at, hint="add # @schema {items: ...}")
    if isinstance(value.default, dict) and not _CLOSING & value.annotation.keys():
        raise UsageError(f"{value.path} does not say what it holds", at=at, hint="add # @schema {properties: ...}")


def _object_schema(values: list[Value]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {value.name: _value_schema(value) for value in values},
        "additionalProperties": False,
    }


def _value_schema(value: Value) -> dict[str, Any]:
    stated: dict[str, Any] = {"description": re.sub(r"\s+", " ", value.about)} if value.about else {}
    if value.parts:
        return stated | _object_schema(value.parts) | value.annotation
    if "$ref" not in value.annotation:
        stated |= _inferred(value)
    return {**stated, "default": value.default, **_closed(value.annotation)}


def _inferred(value: Value) -> dict[str, Any]:
    if isinstance(value.default, dict):
        return {"type": "object"}
    if isinstance(value.default, list):
        return {"type": "array"}
    kind = _TYPES.get(type(value.default).__name__)
    if kind is None and "type" not in value.annotation:
        raise UsageError(f"{value.path} has no type", at=f"line {value.line}", hint="add # @schema {type: ...}")
    return {"type": kind} if kind else {}


def _closed(content: Any) -> Any:
    """The same schema, in which every object that lists its properties takes no other."""
    if isinstance(content, list):
        return [_closed(part) for part in content]
    if not isinstance(content, dict):
        return content
    inner = {key: _closed(part) for key, part in content.items()}
    if isinstance(inner.get("properties"), dict) and "additionalProperties" not in inner:
        inner |= {"additionalProperties": False}
    return inner


def _referred(content: Any, definitions: dict[str, Any]) -> set[str]:
    """The names of the definitions that a schema refers to, directly or through another."""
    found: set[str] = set()
    waiting = [content]
    while waiting:
        for name in re.findall(r'"#/\$defs/([A-Za-z]+)"', json.dumps(waiting.pop())):
            if name not in definitions:
                raise UsageError(f"there is no definition {name}", at="helm/definitions.yaml", hint="write it there")
            if name not in found:
                found.add(name)
                waiting.append(definitions[name])
    return found


def _flat(values: list[Value]) -> Iterator[Value]:
    for value in values:
        yield value
        yield from _flat(value.parts)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as wrong:
        sys.exit(f"{wrong}: {wrong.hint}")
