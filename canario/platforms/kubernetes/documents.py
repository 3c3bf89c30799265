"""The resource's nouns to and from the API server's JSON, whose names are camelCase; what they mean is for resource."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from canario.errors import UsageError

T = TypeVar("T")


def camel_case(name: str) -> str:
    """A field's name as the API server spells it: `weight_percent` is `weightPercent`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def camel_case_within(text: str) -> str:
    """A path or a sentence with every snake_case name spelled as the API server spells it."""
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda name: camel_case(name.group()), text)


def read_noun(kind: type[T], content: Any, at: str) -> T:
    """A noun from the API server's JSON. Raises UsageError with `at` in that JSON's own names."""
    try:
        return msgspec.convert(_renamed(kind, content, at), kind)
    except msgspec.ValidationError as wrong:
        message, _, path = str(wrong).partition(" - at `$")
        where = at + camel_case_within(path.rstrip("`"))
        raise UsageError(message, at=where, hint="`canario schema modeldeployment` shows what it may say") from wrong


def write_noun(noun: Any) -> Any:
    """A noun as the API server's JSON, without the fields that say nothing; the reverse of `read_noun`."""
    if is_dataclass(noun) and not isinstance(noun, type):
        written = {}
        for field in fields(noun):
            value = getattr(noun, field.name)
            if value is None or (value in ("", (), {}) and value == default_of(field)):
                continue
            written[camel_case(field.name)] = write_noun(value)
        return written
    if isinstance(noun, tuple):
        return [write_noun(part) for part in noun]
    return msgspec.to_builtins(noun)


def default_of(field: Field[Any]) -> Any:
    """A field's default value, or MISSING."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def content_kind(hint: Any) -> Any:
    """A field's type without `| None`."""
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def _renamed(hint: Any, content: Any, at: str) -> Any:
    kind = content_kind(hint)
    if get_origin(kind) is tuple and isinstance(content, list):
        return [_renamed(get_args(kind)[0], part, f"{at}[{index}]") for index, part in enumerate(content)]
    if not is_dataclass(kind) or not isinstance(content, Mapping):
        return content
    kinds = get_type_hints(kind)
    names = {camel_case(field.name): field.name for field in fields(kind)}
    for name in content:
        if name not in names:
            raise UsageError(f"there is no field {name}", at=f"{at}.{name}", hint=f"{at} has {', '.join(names)}")
    return {names[name]: _renamed(kinds[names[name]], value, f"{at}.{name}") for name, value in content.items()}
