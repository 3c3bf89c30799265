"""Whether a version from elsewhere fits this machine's libraries and the columns that its model has here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from canario.adapters.archives import check_libraries
from canario.adapters.homes import rooms_folder
from canario.adapters.versions import stored_versions
from canario.errors import SignatureMismatch
from canario.model.card import Card, Column
from canario.model.version import VersionRecord
from canario.packaging.cards import read_card
from canario.packaging.rooms import CARD_FILE

DECISIVE = ("scikit-learn", "numpy", "onnxruntime")
"""The libraries that compute the answers; their next major version may compute others, or refuse."""


def check_decisive_libraries(record: VersionRecord, path: Path) -> None:
    """Raise LibraryMismatch for the first decisive library whose major version here is not the recorded one."""
    check_libraries(record, path, DECISIVE)


def check_signature(record: VersionRecord, card: Card, path: Path) -> None:
    """Raise SignatureMismatch, naming the column, when a card does not fit its model's room or newest version here."""
    expected, where = _expected(record.name.model)
    if expected is None:
        return
    for field, found, wanted in _differences(card, expected):
        raise SignatureMismatch(
            f"{field} of {record.name} is {found}; {where} has {wanted}",
            at=f"{path}: {field}",
            hint="clients that fit the one would fail on the other: import it as a model of another name",
        )


def _expected(model: str) -> tuple[Card | None, str]:
    room = rooms_folder() / model / CARD_FILE
    if room.is_file():
        return read_card(room), f"the room {model}"
    versions = stored_versions(model)
    return (versions[0].card(), str(versions[0].record.name)) if versions else (None, "")


def _differences(card: Card, expected: Card) -> Iterator[tuple[str, str, str]]:
    ours = {column.name: column for column in expected.columns}
    theirs = {column.name: column for column in card.columns}
    for name in [*theirs, *ours]:
        if name not in ours or name not in theirs:
            yield f"column {name}", *(("there", "no such column") if name in theirs else ("missing", "one"))
        elif _signature(ours[name]) != _signature(theirs[name]):
            yield f"column {name}", _signature(theirs[name]), _signature(ours[name])
    for number, (found, wanted) in enumerate(zip(theirs, ours, strict=False)):
        if found != wanted:
            yield f"column number {number + 1}", found, wanted
    for field in ("name", "task", "classes", "unit"):
        found, wanted = getattr(card.label, field), getattr(expected.label, field)
        if found != wanted:
            yield f"label.{field}", str(found), str(wanted)


def _signature(column: Column) -> str:
    unit = f" in {column.unit}" if column.unit else ""
    return f"{column.kind}{unit}{', may be empty' if column.nullable else ''}"
