"""Documents that people write (YAML) and records that canario keeps (JSON), to and from the nouns of canario.model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from canario.adapters.files import write_atomically
from canario.errors import IntegrityError, NotFound, UsageError

T = TypeVar("T")


class _WithoutAliases(yaml.SafeLoader):
    """Some hundred bytes of aliases of aliases stand for more than any memory holds, so none is followed."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = self.peek_event()  # type: ignore[no-untyped-call]  # its stub lacks the type
            raise ValueError(f"line {alias.start_mark.line + 1} has the alias *{alias.anchor[:40]}; write it out")
        return super().compose_node(parent, index)


def read_document(kind: type[T], path: Path, error: type[UsageError] = UsageError, hint: str = "") -> T:
    """Read a YAML file that a person wrote into a noun.

    Raises `error` with `at` set to file and field when it does not fit, NotFound when there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as missing:
        raise NotFound(f"there is no file {path}", at=str(path), hint=hint) from missing
    except (OSError, UnicodeDecodeError) as unreadable:
        raise error(f"{path.name} cannot be read: {unreadable}", at=str(path), hint=hint) from unreadable
    return parse_document(kind, text, at=str(path), error=error, hint=hint)


def parse_document(kind: type[T], text: str, at: str, error: type[UsageError] = UsageError, hint: str = "") -> T:
    """The same from text; `at` names where it came from."""
    try:
        content = yaml.load(text, Loader=_WithoutAliases)  # noqa: S506 - it is a SafeLoader
        written = msgspec.json.encode(content)
    except yaml.YAMLError as broken:
        raise error(f"this is not YAML: {broken}", at=at, hint=hint) from broken
    except RecursionError as endless:
        raise error("it is nested too deep, or holds itself", at=at, hint=hint) from endless
    except (TypeError, ValueError) as wrong:
        raise error(f"it does not fit: {wrong}", at=at, hint=hint) from wrong
    return parse_json(kind, written, at, error, hint)


def parse_json(kind: type[T], text: str | bytes, at: str, error: type[UsageError] = UsageError, hint: str = "") -> T:
    """The same from JSON that a person or another program wrote."""
    from pydantic import TypeAdapter, ValidationError  # slow to import, and records do without

    try:
        # JSON mode reads lists into tuples and words into enums; strict still refuses "3" where 3 belongs.
        return TypeAdapter(kind).validate_json(text, strict=True, extra="forbid")
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole document"
        raise error(f"{field}: {first['msg']}", at=f"{at}: {field}", hint=hint) from wrong
    except (TypeError, ValueError) as wrong:
        raise error(f"it does not fit: {wrong}", at=at, hint=hint) from wrong


def to_yaml(noun: Any) -> str:
    """A noun as YAML, in the order of its fields, without the fields that have no content."""
    return str(yaml.safe_dump(_bare(msgspec.to_builtins(noun)), sort_keys=False, allow_unicode=True, width=110))


def _bare(content: Any) -> Any:
    if isinstance(content, dict):
        bare = {key: _bare(value) for key, value in content.items()}
        return {key: value for key, value in bare.items() if value is not None and value not in ("", [], {})}
    if isinstance(content, list | tuple):
        return [_bare(value) for value in content]
    return content


def read_record(kind: type[T], path: Path) -> T:
    """Read a JSON record that canario wrote. Raises NotFound, or IntegrityError when it is not what was written."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as missing:
        raise NotFound(f"there is no file {path}", at=str(path)) from missing
    except (msgspec.DecodeError, msgspec.ValidationError) as broken:
        raise IntegrityError(f"{path.name} is not what was written: {broken}", at=str(path)) from broken


def write_record(path: Path, noun: Any) -> None:
    """Write a noun as JSON, whole or not at all."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(noun), indent=2) + b"\n")
