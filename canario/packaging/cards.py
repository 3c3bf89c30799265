"""Cards read from where people write them, and refused when they contradict themselves; the noun is canario.model.card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from canario.adapters.documents import read_document
from canario.errors import CardError
from canario.model.card import Card, Column, ColumnKind, Task
from canario.model.version import MODEL_PATTERN

NAME = re.compile(MODEL_PATTERN)
_UNQUOTABLE = frozenset('"\\')


def read_card(path: Path) -> Card:
    """The card in a file. Raises NotFound, or CardError with `at` naming the file and the field."""
    card = read_document(
        Card, path, error=CardError, hint="bentos/fraud/model.yaml and bentos/loan/model.yaml show every field"
    )
    check_card(card, at=str(path))
    return card


def check_card(card: Card, at: str) -> None:
    """Raise CardError for the first thing in a card that cannot be honoured."""
    for field, problem, hint in _contradictions(card):
        raise CardError(f"{field}: {problem}", at=f"{at}: {field}", hint=hint)


def _contradictions(card: Card) -> Iterator[tuple[str, str, str]]:
    if not NAME.fullmatch(card.name):
        yield "name", f"{card.name!r} is not a model's name", "use lower-case letters, digits and hyphens, at most 50"
    if not card.columns:
        yield "columns", "there are none", "a model needs a column at least"
    for number, column in enumerate(card.columns):
        place = f"columns.{number}"
        if column.name in card.column_names[:number] or column.name in ("", card.label.name):
            yield (
                f"{place}.name",
                f"{column.name!r} is empty or taken",
                "name each column once, and none like the label",
            )
        yield from _column_contradictions(column, place)
    label = card.label
    if label.task is Task.CLASSIFICATION and len(set(label.classes)) < max(2, len(label.classes)):
        yield "label.classes", "a classification needs two different classes or more", "list them in the model's order"
    if label.task is Task.REGRESSION and label.classes:
        yield "label.classes", "a regression has none", "remove them, or write `task: classification`"
    if not 0 <= label.threshold <= 1:
        yield "label.threshold", f"{label.threshold} is not a probability", "write a number from 0 to 1"
    if label.tolerance_percent <= 0:
        yield "label.tolerance_percent", "it must be more than 0", "20 lets an answer differ from the truth by a fifth"
    objectives = card.objectives
    if objectives.latency_milliseconds <= 0:
        yield "objectives.latency_milliseconds", "it must be more than 0", "write the longest answer time, such as 50"
    for name in ("slow_percent", "error_percent"):
        if not 0 <= getattr(objectives, name) <= 100:
            yield f"objectives.{name}", "it is not a share in percent", "write a number from 0 to 100"


def _column_contradictions(column: Column, place: str) -> Iterator[tuple[str, str, str]]:
    if not column.name.isprintable() or not _UNQUOTABLE.isdisjoint(column.name):
        # The reader of requests is made from the names, and takes none that JSON would have to escape.
        yield f"{place}.name", f"{column.name!r} has a quote, a backslash or a control character", "use another name"
    if (column.kind is ColumnKind.CATEGORY) != bool(column.categories):
        yield f"{place}.categories", "a category column has them, and no other", "list the words, or change the kind"
    if len(set(column.categories)) < len(column.categories) or "" in column.categories:
        yield f"{place}.categories", "a word is empty or there twice", "list each word once"
    bounds = (column.minimum, column.maximum)
    if any(bound is not None for bound in bounds) and column.kind not in (ColumnKind.NUMBER, ColumnKind.INTEGER):
        yield f"{place}.minimum", f"a {column.kind} column has no bounds", "remove minimum and maximum"
    if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        yield f"{place}.minimum", f"{column.minimum} lies above the maximum, {column.maximum}", "swap them"
    if column.longest_characters < 1:
        yield f"{place}.longest_characters", "it must be 1 at least", "200 is the default"
    if column.example is not None and not _fits(column):
        yield f"{place}.example", f"{column.example!r} is not allowed by the column itself", "choose one that is"


def _fits(column: Column) -> bool:
    example = column.example
    if column.kind is ColumnKind.BOOLEAN:
        return isinstance(example, bool)
    if column.kind is ColumnKind.CATEGORY:
        return example in column.categories
    if column.kind is ColumnKind.TEXT:
        return isinstance(example, str) and len(example) <= column.longest_characters
    if isinstance(example, bool | str) or example is None:
        return False
    whole = column.kind is ColumnKind.NUMBER or float(example).is_integer()
    low = column.minimum is None or example >= column.minimum
    return whole and low and (column.maximum is None or example <= column.maximum)
