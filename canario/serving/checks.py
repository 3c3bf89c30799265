"""Whether columns fit the card: bounds, words, lengths, nulls; the one place for it, shared by REST and gRPC, pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.errors import InputError
from canario.kernel.columns import dtype_of
from canario.kernel.kernel import Columns
from canario.model.card import Card, Column, ColumnKind

Where = Callable[[int, int], str]
"""The path inside the request of a value, by its row and its column's place in the card."""

LARGEST_INTEGER = 2**53
"""Beyond it a float64 tensor cannot carry every whole number, and REST and gRPC could differ."""


def describe(column: Column) -> str:
    """What the card allows in a column, as a hint for people: `amount: a number from 0 to 5000 EUR`."""
    unit = f" {column.unit}" if column.unit else ""
    empty = ", or empty" if column.nullable else ""
    match column.kind:
        case ColumnKind.CATEGORY:
            what = "one of " + ", ".join(column.categories)
        case ColumnKind.TEXT:
            what = f"text of at most {column.longest_characters} characters"
        case ColumnKind.BOOLEAN:
            what = "true or false"
        case _:
            what = ("a whole number" if column.kind is ColumnKind.INTEGER else "a number") + _range(column) + unit
    return f"{column.name}: {what}{empty}"


def _range(column: Column) -> str:
    low, high = column.minimum, column.maximum
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" from {low:g}"
    return f" up to {high:g}" if high is not None else ""


class CardCheck:
    """The card's rules, prepared once; numeric columns are compared all together, because one row must cost little."""

    def __init__(self, card: Card) -> None:
        numeric = [place for place, column in enumerate(card.columns) if column.kind.is_numeric]
        self._card = card
        self._numeric = [(place, card.columns[place].name) for place in numeric]
        self._words = [(place, column) for place, column in enumerate(card.columns) if not column.kind.is_numeric]
        self._allowed = {
            column.name: frozenset(column.categories) | ({""} if column.nullable else set())
            for _, column in self._words
        }
        self._low = np.array([_bound(card.columns[place], lower=True) for place in numeric])
        self._high = np.array([_bound(card.columns[place], lower=False) for place in numeric])
        self._nullable = np.array([card.columns[place].nullable for place in numeric], dtype=bool)
        self._any_nullable = bool(self._nullable.any())

    def __call__(self, columns: Columns, where: Where) -> None:
        """Raises InputError for a value that the card does not allow; the columns have their card's types already."""
        if self._numeric:
            self._check_numbers(columns, where)
        for place, column in self._words:
            words = columns[column.name].tolist()
            if column.kind is ColumnKind.CATEGORY:
                if not self._allowed[column.name].issuperset(words):
                    row = next(row for row, word in enumerate(words) if word not in self._allowed[column.name])
                    raise _misfit(column, _unknown_word(words[row]), where(row, place))
            elif len(max(words, key=len)) > column.longest_characters:
                row = next(row for row, word in enumerate(words) if len(word) > column.longest_characters)
                raise _misfit(column, f"is too long: {len(words[row])} characters", where(row, place))

    def _check_numbers(self, columns: Columns, where: Where) -> None:
        first = columns[self._numeric[0][1]]
        matrix = np.empty((len(first), len(self._numeric)))
        for index, (_, name) in enumerate(self._numeric):
            matrix[:, index] = columns[name]
        fits = (matrix >= self._low) & (matrix <= self._high)
        if self._any_nullable:
            fits |= np.isnan(matrix) & self._nullable
        if not fits.all():
            row, index = (int(part) for part in np.argwhere(~fits)[0])
            place = self._numeric[index][0]
            raise _misfit(self._card.columns[place], _odd_number(matrix[row, index]), where(row, place))


def as_column(column: Column, values: NDArray[Any], where: Callable[[int], str]) -> NDArray[Any]:
    """A tensor's values in the column's own type.

    Raises InputError for a number that an integer or boolean column cannot hold.
    """
    if column.kind is ColumnKind.INTEGER:
        fits = (values >= -LARGEST_INTEGER) & (values <= LARGEST_INTEGER) & (values == np.trunc(values))
    elif column.kind is ColumnKind.BOOLEAN:
        fits = (values == 0) | (values == 1)
    else:
        return values
    if column.nullable:
        fits |= np.isnan(values)
    if not fits.all():
        row = int(np.argmin(fits))
        raise _misfit(column, _odd_number(float(values[row])), where(row))
    return values.astype(dtype_of(column), copy=False)


def _bound(column: Column, *, lower: bool) -> float:
    bound = column.minimum if lower else column.maximum
    if bound is None:
        # The largest finite number, so that infinity does not fit.
        bound = LARGEST_INTEGER if column.kind is ColumnKind.INTEGER else float(np.finfo(np.float64).max)
        return -bound if lower else bound
    return float(bound)


def _unknown_word(word: str) -> str:
    return f"has no category {word[:60]!r}" if word else "must not be empty"


def _odd_number(number: float) -> str:
    if np.isnan(number):
        return "must not be empty (null or NaN)"
    return f"is {number:.15g}, which is not allowed"


def _misfit(column: Column, what: str, at: str) -> InputError:
    return InputError(f"{column.name} {what}", at=at, hint=describe(column))
