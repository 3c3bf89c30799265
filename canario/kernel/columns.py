"""Rows in memory as a card has them: one typed array a column, to and from pandas; bounds and words are for `checks`.

number              float64, NaN is null
integer             int64; nullable: float64, NaN is null
boolean             bool; nullable: float64 of 0 and 1, NaN is null
category, text      object array of str, "" is null
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from canario.errors import InputError
from canario.kernel.kernel import Columns
from canario.model.card import Card, Column, ColumnKind

if TYPE_CHECKING:
    import pandas as pd


def dtype_of(column: Column) -> np.dtype[Any]:
    """The numpy type that carries a column."""
    if column.kind in (ColumnKind.CATEGORY, ColumnKind.TEXT):
        return np.dtype(object)
    if column.nullable or column.kind is ColumnKind.NUMBER:
        return np.dtype(np.float64)
    return np.dtype(np.int64 if column.kind is ColumnKind.INTEGER else np.bool_)


def columns_from_frame(card: Card, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """The card's columns of a frame, in the card's order; others are left out.

    Raises InputError, with `at` naming the column, when one is missing or holds what its kind cannot.
    """
    columns = {}
    for column in card.columns:
        if column.name not in frame.columns:
            raise InputError(
                f"there is no column {column.name}",
                at=column.name,
                hint=f"the card wants: {', '.join(card.column_names)}",
            )
        columns[column.name] = _array(column, frame[column.name])
    return columns


def frame_from_columns(card: Card, columns: Columns) -> pd.DataFrame:
    """The same as a frame whose columns have exactly the types above, so that training sees what serving sees."""
    import pandas as pd

    return pd.DataFrame(
        {column.name: pd.Series(columns[column.name], dtype=dtype_of(column), copy=False) for column in card.columns},
        copy=False,
    )


def _array(column: Column, series: pd.Series[Any]) -> NDArray[Any]:
    null = series.isna().to_numpy(dtype=bool)
    dtype = dtype_of(column)
    if dtype.kind == "O":
        return _words(column, series, null)
    if null.any() and not column.nullable:
        raise _misfit(column, "a value is missing, and the card does not say nullable")
    if dtype == np.int64 and series.dtype.kind in "iu":
        return series.to_numpy(dtype=np.int64)
    try:
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as wrong:
        raise _misfit(column, str(wrong)) from wrong
    present = numbers[~null]
    if column.kind is ColumnKind.INTEGER and not (present == np.trunc(present)).all():
        raise _misfit(column, "a value is not a whole number")
    if column.kind is ColumnKind.BOOLEAN and not np.isin(present, (0.0, 1.0)).all():
        raise _misfit(column, "a value is neither true nor false")
    return numbers.astype(dtype)


def _words(column: Column, series: pd.Series[Any], null: NDArray[np.bool_]) -> NDArray[np.object_]:
    words = np.empty(len(series), dtype=object)
    words[:] = list(series)
    words[null] = ""
    if not all(isinstance(word, str) for word in words):
        raise _misfit(column, "a value is not text")
    return words


def _misfit(column: Column, reason: str) -> InputError:
    return InputError(
        f"{column.name} does not hold what the card calls {column.kind}: {reason}",
        at=column.name,
        hint="mend the data or the column's kind in the card",
    )
