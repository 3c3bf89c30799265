"""The few rows that a version brings to be warmed up with, read as if a client had sent them; walking them is for serving."""

from __future__ import annotations

from typing import Any

import msgspec
from numpy.typing import NDArray

from canario.errors import InputError, IntegrityError
from canario.kernel.limits import Limits
from canario.kernel.rows import RowsCodec, reason_and_place
from canario.model.card import Card, Column, ColumnKind


def read_warmup(card: Card, content: bytes, at: str) -> dict[str, NDArray[Any]]:
    """The rows of a `warmup.json`, by column. Raises IntegrityError, with `at`, when they are none or do not fit the card."""
    try:
        stored = msgspec.json.decode(content, type=dict[str, list[Any]])
        missing = [name for name in card.column_names if name not in stored]
        if missing:
            raise IntegrityError(f"the rows to warm up with have no column {missing[0]}", at=at)
        rows = zip(*(_cells(column, stored[column.name]) for column in card.columns), strict=True)
        named = [dict(zip(card.column_names, row, strict=True)) for row in rows]
        return RowsCodec(card, Limits()).listed(msgspec.json.encode(named))
    except InputError as misfit:
        raise IntegrityError(f"the rows to warm up with do not fit: {misfit}", at=at, hint=misfit.hint) from misfit
    except (ValueError, RecursionError) as broken:
        raise IntegrityError(
            f"the rows to warm up with cannot be read: {reason_and_place(broken)[0]}", at=at
        ) from broken


def _cells(column: Column, stored: list[Any]) -> list[Any]:
    """As clients write them: a boolean that may be missing is kept as the number that computes."""
    if column.kind is not ColumnKind.BOOLEAN:
        return stored
    return [bool(cell) if cell in (0, 1) else cell for cell in stored]
