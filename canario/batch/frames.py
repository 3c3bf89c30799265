"""pandas' frames against the card; the rules are those of every table (`checking`), the first row that does not fit is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from canario.batch.checking import TableCheck
from canario.errors import InputError
from canario.kernel.checks import describe
from canario.kernel.columns import dtype_of
from canario.kernel.rows import misfit_of_type
from canario.model.card import Card, Column


def columns_of_frame(card: Card, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """A frame's columns as a kernel takes them; NaN and None are null, and columns that the card lacks are left out.

    Raises InputError with the label of the first row that does not fit, and its column; or with all missing columns.
    """
    if not len(frame):
        TableCheck(card).check_schema(pa.Schema.from_pandas(frame, preserve_index=False))
        return {column.name: np.empty(0, dtype=dtype_of(column)) for column in card.columns}
    wanted = [column for column in card.columns if column.name in frame.columns]
    fields = {column.name: _array(column, frame) for column in wanted}
    fitted = TableCheck(card).fit(pa.RecordBatch.from_pydict(fields))
    if not fitted.all_fit:
        raise _misfit(card, frame, int(np.argmin(fitted.fits)), fitted.reasons[0], fitted.wrong_columns[0])
    return dict(fitted.columns)


def _array(column: Column, frame: pd.DataFrame) -> pa.Array[Any]:
    series: Any = frame[column.name]
    if isinstance(series, pd.DataFrame):
        raise InputError(f"the frame has several columns {column.name}", at=column.name, column=column.name)
    try:
        array: Any = pa.array(series, from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeError) as mixed:
        # Several types in one column: one of them is not the column's. Or a cell that no type of Arrow holds.
        for row, cell in enumerate(series):
            plain = cell.item() if isinstance(cell, np.generic) else cell
            reason = misfit_of_type(column, None if plain is pd.NA else plain)
            reason = reason or _unheld(column, plain)
            if reason:
                raise _misfit_of(column, frame, row, reason) from mixed
        raise InputError(f"{column.name} cannot be read: {mixed}", at=column.name, column=column.name) from mixed
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array  # pandas keeps words in chunks


def _unheld(column: Column, cell: Any) -> str:
    """Why no table can hold a cell, such as a number of a hundred digits or half a character; empty when one can."""
    try:
        pa.array([cell], from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeError) as wrong:
        return f"{column.name} cannot be read: {wrong}"
    return ""


def _misfit(card: Card, frame: pd.DataFrame, row: int, reason: str, name: str) -> InputError:
    return _misfit_of(next(column for column in card.columns if column.name == name), frame, row, reason)


def _misfit_of(column: Column, frame: pd.DataFrame, row: int, reason: str) -> InputError:
    return InputError(
        reason, at=f"row {frame.index[row]!r}, column {column.name}", hint=describe(column), column=column.name
    )
