"""Rows of named columns, as `POST /predict` takes them: JSON to columns by types that are made from the card once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from canario.errors import InputError, TooLarge
from canario.kernel.checks import CardCheck, describe
from canario.kernel.limits import Limits
from canario.model.card import Card, Column, ColumnKind
from canario.model.feedback import Value

_JSON_TYPES: dict[ColumnKind, type] = {
    ColumnKind.NUMBER: float,
    # 40.0 is a whole number too, as many languages write it; the check against the card finds the ones that are not.
    ColumnKind.INTEGER: float,
    ColumnKind.BOOLEAN: bool,
    ColumnKind.CATEGORY: str,
    ColumnKind.TEXT: str,
}
_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<at>.*)`)?", re.DOTALL)
_FIELD = re.compile(r"field `(.*)`$", re.DOTALL)


def reason_and_place(wrong: Exception) -> tuple[str, str]:
    """Msgspec's message, parted into what is wrong and the path where, such as `[2].amount`."""
    if isinstance(wrong, RecursionError):
        return "it is nested too deeply", ""
    if isinstance(wrong, UnicodeDecodeError):
        return "it is not UTF-8", ""
    found = _MESSAGE.fullmatch(str(wrong))
    what, at = (found["what"], found["at"] or "") if found else (str(wrong), "")
    member = _FIELD.search(what)
    return what, f"{at}.{member[1]}" if member else at


class RowsCodec:
    """Reads one row or many; made once for a card."""

    def __init__(self, card: Card, limits: Limits) -> None:
        self._card = card
        self._limits = limits
        self._check = CardCheck(card)
        row = msgspec.defstruct(
            "Row",
            [_field(index, column) for index, column in enumerate(card.columns)],
            rename={f"c{index}": column.name for index, column in enumerate(card.columns)},
            forbid_unknown_fields=True,
            kw_only=True,
            frozen=True,
            gc=False,
        )
        self._members = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._one = msgspec.json.Decoder(row)
        self._many = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]  # made a line above, from the card
        self._numbers = [f"c{place}" for place in self._check.numeric]
        self._words = [
            (f"c{place}", column.name) for place, column in enumerate(card.columns) if not column.kind.is_numeric
        ]
        self._names = card.column_names

    def columns(self, body: bytes) -> dict[str, NDArray[Any]]:
        """The columns of `{"rows": [{...}, ...]}` or of one row object. Raises InputError with the value's path."""
        return self._fitted(*self._rows(body))

    def listed(self, body: bytes) -> dict[str, NDArray[Any]]:
        """The same of a JSON list of rows, as files have them; nothing that a server takes."""
        try:
            rows = self._many.decode(body)
        except UnicodeDecodeError as broken:
            raise _not_utf8(body) from broken
        except (ValueError, RecursionError) as wrong:
            self._refuse(wrong, "rows")
        self._check_number(rows, "rows")
        return self._fitted(rows, "rows")

    def columns_of(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
        """The same of rows in memory, as Python or numpy has them. Raises what `columns` raises."""
        plain = [
            {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
            for row in rows
        ]
        try:
            read = msgspec.convert(plain, self._many.type)
        except (ValueError, RecursionError) as wrong:
            self._refuse(wrong, "rows")
        self._check_number(read, "rows")
        return self._fitted(read, "rows")

    def _fitted(self, rows: Sequence[Any], prefix: str) -> dict[str, NDArray[Any]]:
        # None becomes NaN, True becomes 1.
        numbers = np.array([[getattr(row, field) for row in rows] for field in self._numbers], dtype=np.float64)
        words = {name: words_array([getattr(row, field) for row in rows]) for field, name in self._words}
        names = self._names
        return self._check.fitted(
            numbers, words, lambda row, place: f"rows[{row}].{names[place]}" if prefix else names[place]
        )

    def _rows(self, body: bytes) -> tuple[Sequence[Any], str]:
        try:
            members = self._members.decode(body)
        except UnicodeDecodeError as broken:
            raise _not_utf8(body) from broken
        except (ValueError, RecursionError) as broken:
            raise InputError(
                f"the body is not a JSON object: {reason_and_place(broken)[0]}",
                hint='send {"rows": [{...}]} or one row as an object',
            ) from broken
        prefix = "rows" if "rows" in members and "rows" not in self._card.column_names else ""
        try:
            rows = self._many.decode(members.pop(prefix)) if prefix else [self._one.decode(body)]
        except UnicodeDecodeError as broken:
            raise _not_utf8(body) from broken
        except (ValueError, RecursionError) as wrong:
            self._refuse(wrong, prefix)
        if members and prefix:
            raise InputError(
                f"there is nothing beside rows but {next(iter(members))}", at=next(iter(members)), hint="leave it out"
            )
        self._check_number(rows, prefix)
        return rows, prefix

    def _check_number(self, rows: Sequence[Any], prefix: str) -> None:
        if not rows:
            raise InputError("there is no row", at=prefix, hint="send at least one")
        if len(rows) > self._limits.most_rows:
            raise TooLarge(
                f"{len(rows)} rows are too many",
                at=prefix,
                hint=f"send at most {self._limits.most_rows} rows in one request",
            )

    def _refuse(self, wrong: Exception, prefix: str) -> NoReturn:
        what, place = reason_and_place(wrong)
        at = f"{prefix}{place}".removeprefix(".")
        column = next((column for column in self._card.columns if f".{at}".endswith(f".{column.name}")), None)
        if column is None:
            row = ", ".join(self._card.column_names)
            raise InputError(what, at=at, hint=f"a row has: {row}") from wrong
        reason = "is missing" if "missing required" in what else f"does not fit: {what}"
        raise InputError(f"{column.name} {reason}", at=at, hint=describe(column), column=column.name) from wrong


def _not_utf8(body: bytes) -> InputError:
    """Msgspec counts from the word's own beginning; who sent the body can look for a place in it."""
    where = ""
    try:
        body.decode()
    except UnicodeDecodeError as broken:
        where = f" from byte {broken.start} on"
    return InputError(f"the body is not UTF-8{where}", at="body", hint="encode all text as UTF-8")


def _field(index: int, column: Column) -> tuple[Any, ...]:
    return (f"c{index}", _cell_type(column), *([None] if column.nullable else []))


def _cell_type(column: Column) -> Any:
    kind = _JSON_TYPES[column.kind]
    return kind | None if column.nullable else kind


def misfit_of_type(column: Column, cell: object) -> str:
    """What `POST /predict` says of a cell whose type is not the column's; empty when it is."""
    try:
        msgspec.convert(cell, _cell_type(column))
    except ValueError as wrong:
        return f"{column.name} does not fit: {reason_and_place(wrong)[0]}"
    return ""


def words_array(words: Sequence[str | None]) -> NDArray[np.object_]:
    """Words as a column, empty where one is null."""
    array = np.empty(len(words), dtype=object)
    array[:] = ["" if word is None else word for word in words]
    return array


def json_cells(column: Column, values: NDArray[Any]) -> list[Value]:
    """A column's values as JSON carries them, null where one is missing: what `RowsCodec` would read again."""
    cells: list[Value] = values.tolist()
    if column.kind is ColumnKind.CATEGORY:
        return [cell or None for cell in cells]
    if values.dtype != np.float64:
        return cells
    kind = {ColumnKind.INTEGER: int, ColumnKind.BOOLEAN: bool}.get(column.kind, float)
    return [None if cell != cell else kind(cell) for cell in cells]  # noqa: PLR0124 - only NaN differs from itself
