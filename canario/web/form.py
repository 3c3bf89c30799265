"""The form that a server shows to people, made from the model's card; sending it and answering is for the serving room.

The page is whole in itself: its style and its script are inside, and it asks for nothing but `predict` and `feedback`
beside it. Its Content-Security-Policy allows these two by their hashes and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from canario.model.card import Card, Column, ColumnKind
from canario.web.words import BRAZILIAN, FORM_WORDS


class Page(NamedTuple):
    """A page and the header that it must be sent with."""

    html: str
    content_security_policy: str
    """The value of the `Content-Security-Policy` header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column as the form shows it."""

    id: str
    column: Column
    title: str
    hint: str
    minimum: float | None
    maximum: float | None


def form_page(card: Card, version: str, language: str) -> Page:
    """The form of a version, in one of the languages of FORM_WORDS (KeyError otherwise; choose_language chooses one)."""
    words = FORM_WORDS[language]
    style, script = _static("form.css"), _static("form.js")
    fields = [_field(place, column, language) for place, column in enumerate(card.columns)]
    content = {
        "language": language,
        "words": words,
        "columns": [{"id": field.id, "name": field.column.name, "title": field.title} for field in fields],
        "label": {
            "task": card.label.task,
            "unit": card.label.unit,
            "classes": card.label.classes,
            "threshold": card.label.threshold,
        },
    }
    html = _template().render(
        card=card,
        version=version,
        language=language,
        languages={other: FORM_WORDS[other]["language"] for other in FORM_WORDS},
        words=words,
        fields=fields,
        kinds=ColumnKind,
        answer_title=card.label.title or _spoken_name(card.label.name),
        style=style,
        script=script,
        content=content,
    )
    return Page(html, _policy(style, script))


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("canario.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("form.html")


@cache
def _static(name: str) -> str:
    return (files("canario.web") / "static" / name).read_text(encoding="utf-8")


def _field(place: int, column: Column, language: str) -> Field:
    minimum, maximum = column.minimum, column.maximum
    if column.kind is ColumnKind.INTEGER:
        # A browser counts whole steps from the minimum, so that must be whole as well.
        minimum = None if minimum is None else math.ceil(minimum)
        maximum = None if maximum is None else math.floor(maximum)
    parts = (_sentence(column.description), _range(minimum, maximum, language))
    return Field(
        id=f"column-{place}",
        column=column,
        title=column.title or _spoken_name(column.name),
        hint=" ".join(part for part in parts if part),
        minimum=minimum,
        maximum=maximum,
    )


def _range(minimum: float | None, maximum: float | None, language: str) -> str:
    if minimum is None and maximum is None:
        return ""
    words = FORM_WORDS[language]
    kind = "at_most" if minimum is None else "at_least" if maximum is None else "between"
    low, high = (_spoken_number(bound or 0.0, language) for bound in (minimum, maximum))
    return _sentence(words[kind].format(low=low, high=high)).replace(" ", "\N{NO-BREAK SPACE}")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text[0].upper()}{text[1:]}."


def _spoken_name(name: str) -> str:
    spoken = name.replace("_", " ").replace("-", " ").strip()
    return spoken[:1].upper() + spoken[1:]


def _spoken_number(number: float, language: str) -> str:
    """`20000.5` as a reader writes it: `20,000.5`, in Brazil `20.000,5`."""
    text = f"{number:,.15g}"
    return text.translate(str.maketrans(",.", ".,")) if language == BRAZILIAN else text
