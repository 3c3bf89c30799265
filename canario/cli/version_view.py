"""A version drawn for a person; which one, and why it is shown, is for the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from canario.adapters.versions import StoredVersion
from canario.cli.figures import age, count, figure, local_time, percent, score
from canario.cli.printing import Output, pairs, print_document, say, table
from canario.model.card import Card, Column, ColumnKind
from canario.model.version import VersionRecord

if TYPE_CHECKING:
    from rich.console import RenderableType


def print_new_version(output: Output, stored: StoredVersion) -> None:
    """What has just been stored, and what to do with it."""
    record = stored.record
    print_document(
        output,
        record,
        lambda: words(summary(record) | {each.name: score(each, interval=True) for each in record.scores}),
    )
    say(f"next: `canario show {record.name}`, `canario serve {record.name}`, `canario up {record.name}`")


def summary(record: VersionRecord) -> dict[str, str]:
    """The facts that tell a version from the others, by name."""
    return {
        "version": str(record.name),
        "created": f"{local_time(record.created_at_seconds)} ({age(record.created_at_seconds)} ago)",
        "digest": record.digest,
        "estimator": record.estimator,
        "kernel": f"{record.kernel.kind}: {record.kernel.reason}",
    }


def words(facts: Mapping[str, str]) -> RenderableType:
    """Facts by name, a line each."""
    drawn = pairs()
    for name, value in facts.items():
        drawn.add_row(name.replace("_", " "), value or "-")
    return drawn


def scores(record: VersionRecord) -> RenderableType:
    """Every score with its interval and the rows it was measured on."""
    drawn = table("score", "value", "rows", numbers=("rows",))
    for each in record.scores:
        drawn.add_row(each.name, score(each, interval=True), count(each.rows))
    return drawn


def card_words(card: Card) -> RenderableType:
    """What a model is for, what it answers and what its users are promised."""
    label, objectives = card.label, card.objectives
    answer = f"{label.name} ({label.task}): {' or '.join(label.classes) or label.unit or 'a number'}"
    if len(label.classes) == 2:
        answer += f"; {label.classes[1]} from a score of {figure(label.threshold)}"
    return words(
        {
            "title": card.title,
            "description": " ".join(card.description.split()),
            "answers": answer,
            "objectives": f"answers within {figure(objectives.latency_milliseconds)} ms, at most "
            f"{percent(objectives.slow_percent)} later, at most {percent(objectives.error_percent)} failed",
            "owners": ", ".join(card.owners),
        }
    )


def columns(card: Card) -> RenderableType:
    """What a row must hold."""
    drawn = table("column", "kind", "unit", "allowed", "null")
    for column in card.columns:
        drawn.add_row(
            column.name, column.kind, column.unit or "-", _allowed(column), "yes" if column.nullable else "no"
        )
    return drawn


def _allowed(column: Column) -> str:
    if column.kind is ColumnKind.TEXT:
        return f"up to {column.longest_characters} characters"
    if column.categories:
        return ", ".join(column.categories)
    low, high = column.minimum, column.maximum
    if low is None and high is None:
        return "any"
    if high is None:
        return f"from {figure(low or 0.0)}"
    return f"up to {figure(high)}" if low is None else f"{figure(low)} to {figure(high)}"
