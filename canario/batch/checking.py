"""Tables against the card, a record batch at a time: what fits becomes columns, what does not gets the reason that REST gives; files are for `reading`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canario.batch.cells import NOT_UTF8, Cells, is_readable, read_numbers, read_words
from canario.errors import InputError
from canario.kernel.checks import CardCheck
from canario.kernel.columns import dtype_of
from canario.kernel.kernel import Columns
from canario.kernel.rows import misfit_of_type
from canario.model.card import Card, Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """One record batch, checked."""

    columns: Columns
    """The rows that fit, in their order, as a kernel takes them."""
    fits: NDArray[np.bool_]
    """[n]: which rows these are."""
    reasons: tuple[str, ...] = ()
    """For each row that does not fit, in their order, what is wrong first, in the words of `POST /predict`."""
    wrong_columns: tuple[str, ...] = ()
    """Beside each reason the column that it is about."""

    @property
    def all_fit(self) -> bool:
        return not self.reasons


@dataclass(slots=True)
class _Misfits:
    """What has been found in a batch so far."""

    types: list[tuple[Column, NDArray[np.bool_], str]] = field(default_factory=list)
    """Cells that the column cannot hold at all, with the reason; in the card's order."""
    values: NDArray[np.bool_] | None = None
    """Rows with a value that the card does not allow."""

    def add_values(self, rows: NDArray[np.bool_] | None) -> None:
        if rows is not None:
            self.values = rows if self.values is None else self.values | rows


class TableCheck:
    """The card's rules for tables, prepared once."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._check = CardCheck(card)
        self._schema: pa.Schema | None = None

    def fit(self, batch: pa.RecordBatch) -> Fitted:
        """Check a batch; columns that the card does not have are left out.

        Numbers may come as text, as a CSV has them: an empty text is null then. Raises InputError when no row could fit:
        columns are missing, or are of types that their kinds cannot be read from; all of them are named.
        """
        self.check_schema(batch.schema)
        misfits = _Misfits()
        columns: dict[str, NDArray[Any]] = {}
        for place, column in enumerate(self._card.columns):
            cells = self._read(place, column, batch.column(column.name))
            columns[column.name] = cells.values
            self._judge(place, column, cells, misfits)
        if not misfits.types and misfits.values is None:
            return Fitted(columns=self._typed(columns), fits=np.ones(batch.num_rows, dtype=bool))
        reasons, wrong_columns = self._reasons(columns, misfits, batch.num_rows)
        fits = _is_none(reasons)
        return Fitted(
            columns=self._typed({name: values[fits] for name, values in columns.items()}),
            fits=fits,
            reasons=tuple(reasons[~fits]),
            wrong_columns=tuple(wrong_columns[~fits]),
        )

    def check_schema(self, schema: pa.Schema) -> None:
        """Raise InputError, naming all, when columns are missing, are there twice, or cannot be read from their types."""
        if self._schema is not None and schema.equals(self._schema):
            return
        missing = [name for name in self._card.column_names if not schema.get_all_field_indices(name)]
        wrong = [_unreadable(column, schema) for column in self._card.columns if column.name not in missing]
        reasons = [f"there is no column {', '.join(missing)}"] * bool(missing) + [reason for reason in wrong if reason]
        if reasons:
            raise InputError(
                "the table does not fit the card: " + "; ".join(reasons),
                at="the columns",
                hint=f"the card wants: {', '.join(self._card.column_names)}",
            )
        self._schema = schema

    def _read(self, place: int, column: Column, array: pa.Array[Any]) -> Cells:
        if column.kind.is_numeric:
            return read_numbers(column, array)
        return read_words(column, array, lambda word: self._check.allows_word(place, word))

    def _judge(self, place: int, column: Column, cells: Cells, misfits: _Misfits) -> None:
        if cells.null is not None and not column.nullable:
            misfits.types.append((column, cells.null, misfit_of_type(column, None)))
        if cells.unreadable is not None:
            reason = misfit_of_type(column, "") or f"{column.name} does not fit: {NOT_UTF8}"
            misfits.types.append((column, cells.unreadable, reason))
        if column.kind.is_numeric:
            misfits.add_values(self._check.number_misfits(place, cells.values))
        else:
            misfits.add_values(cells.not_allowed)

    def _typed(self, columns: dict[str, NDArray[Any]]) -> Columns:
        return {column.name: columns[column.name].astype(dtype_of(column), copy=False) for column in self._card.columns}

    def _reasons(
        self, columns: dict[str, NDArray[Any]], misfits: _Misfits, rows: int
    ) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """For each row the reason and the column, None where it fits. A wrong type is told before a wrong value, as REST does."""
        reasons = np.full(rows, None, dtype=object)
        wrong_columns = np.full(rows, None, dtype=object)
        for column, where, reason in reversed(misfits.types):
            reasons[where] = reason
            wrong_columns[where] = column.name
        if misfits.values is not None:
            numbers = [columns[self._card.columns[place].name] for place in self._check.numeric]
            words = {column.name: columns[column.name] for column in self._card.columns if not column.kind.is_numeric}
            for row in np.flatnonzero(misfits.values & _is_none(reasons)):
                misfit = self._check.misfit_of_row(
                    [float(values[row]) for values in numbers], {name: values[row] for name, values in words.items()}
                )
                if misfit is not None:
                    reasons[row], wrong_columns[row] = misfit.message, misfit.column
        return reasons, wrong_columns


def _is_none(cells: NDArray[np.object_]) -> NDArray[np.bool_]:
    none: NDArray[np.bool_] = cells == None  # noqa: E711 - cell by cell
    return none


def _unreadable(column: Column, schema: pa.Schema) -> str:
    """Why a column cannot be read at all; empty when it can."""
    places = schema.get_all_field_indices(column.name)
    if len(places) > 1:
        return f"the column {column.name} is there {len(places)} times"
    type_ = schema.field(places[0]).type
    return "" if is_readable(column, type_) else f"{column.name} is a {column.kind}, which cannot be read from {type_}"
