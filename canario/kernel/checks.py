"""Whether columns fit the card: bounds, words, lengths, nulls; the one place for it, shared by every way in, pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.errors import InputError
from canario.kernel.columns import dtype_of
from canario.model.card import Card, Column, ColumnKind

Where = Callable[[int, int], str]
"""The path inside the request of a value, by its row and its column's place in the card."""

LARGEST_INTEGER = 2**53 - 1
"""Beyond it a float64 cannot carry every whole number, and JSON, REST tensors and gRPC could differ."""


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
    """The card's rules, prepared once; all numbers are compared together, because one row must cost little."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self.numeric = [place for place, column in enumerate(card.columns) if column.kind.is_numeric]
        """The places of the numeric columns in the card."""
        numeric = [card.columns[place] for place in self.numeric]
        self._row_of_place = {place: row for row, place in enumerate(self.numeric)}
        self._dtypes = [dtype_of(column) for column in numeric]
        # One row of numbers a column, so each of these is a column of its own.
        self._low = np.array([[_lowest(column)] for column in numeric])
        self._high = np.array([[_highest(column)] for column in numeric])
        self._nullable = np.array([[column.nullable] for column in numeric], dtype=bool)
        self._fractional = np.array([[column.kind is ColumnKind.NUMBER] for column in numeric], dtype=bool)
        self._allowed = {
            column.name: frozenset(column.categories) | ({""} if column.nullable else set())
            for column in card.columns
            if column.kind is ColumnKind.CATEGORY
        }

    def fitted(
        self, numbers: NDArray[np.float64], words: Mapping[str, NDArray[np.object_]], where: Where
    ) -> dict[str, NDArray[Any]]:
        """The card's columns, each in its own type.

        `numbers` has the shape [numeric columns, rows] and the card's order; NaN is null. `words` has the others, by
        name. Raises InputError for a value that the card does not allow.
        """
        if self.numeric:
            self._check_numbers(numbers, where)
        columns: dict[str, NDArray[Any]] = {}
        for place, column in enumerate(self._card.columns):
            row = self._row_of_place.get(place)
            if row is not None:
                columns[column.name] = numbers[row].astype(self._dtypes[row], copy=False)
            else:
                columns[column.name] = words[column.name]
                self._check_words(place, columns[column.name].tolist(), where)
        return columns

    def misfit_of_row(self, numbers: Sequence[float], words: Mapping[str, str]) -> InputError | None:
        """What is said of one row, its numbers in the order of `numeric`; None when it fits."""
        try:
            self.fitted(
                np.array([numbers], dtype=np.float64).T,
                {name: np.array([word], dtype=object) for name, word in words.items()},
                lambda _, place: self._card.columns[place].name,
            )
        except InputError as misfit:
            return misfit
        return None

    def number_misfits(self, place: int, values: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which of many numbers of one column the card does not allow, NaN being null; None when all fit.

        `values` has any numeric type. Two passes tell that all fit, which is the rule in large tables.
        """
        row = self._row_of_place[place]
        if values.dtype == np.bool_ or not len(values):
            return None
        low, high, nullable = self._low[row, 0], self._high[row, 0], self._nullable[row, 0]
        whole = values.dtype.kind in "iu" or self._fractional[row, 0]
        least, most = (np.fmin, np.fmax) if nullable else (np.minimum, np.maximum)
        if whole and least.reduce(values) >= low and most.reduce(values) <= high:
            return None
        fits = (values >= low) & (values <= high)
        if not whole:
            fits &= np.trunc(values) == values
        if nullable:
            fits |= np.isnan(values)
        return None if fits.all() else ~fits

    def allows_word(self, place: int, word: str) -> bool:
        """Whether a word may stand in a column of words."""
        column = self._card.columns[place]
        if column.kind is ColumnKind.CATEGORY:
            return word in self._allowed[column.name]
        return len(word) <= column.longest_characters

    def _check_numbers(self, numbers: NDArray[np.float64], where: Where) -> None:
        fits = (numbers >= self._low) & (numbers <= self._high)
        fits &= (np.trunc(numbers) == numbers) | self._fractional
        fits |= np.isnan(numbers) & self._nullable
        if not fits.all():
            row, index = (int(part) for part in np.argwhere(~fits.T)[0])
            place = self.numeric[index]
            raise _misfit(self._card.columns[place], _odd_number(numbers[index, row]), where(row, place))

    def _check_words(self, place: int, words: list[str], where: Where) -> None:
        column = self._card.columns[place]
        if column.kind is ColumnKind.CATEGORY:
            allowed = self._allowed[column.name]
            if not allowed.issuperset(words):
                row = next(row for row, word in enumerate(words) if word not in allowed)
                raise _misfit(column, _unknown_word(words[row]), where(row, place))
        elif len(max(words, key=len)) > column.longest_characters:
            row = next(row for row, word in enumerate(words) if len(word) > column.longest_characters)
            raise _misfit(column, f"is too long: {len(words[row])} characters", where(row, place))


def _lowest(column: Column) -> float:
    if column.kind is ColumnKind.BOOLEAN:
        return 0.0
    # Without a bound the smallest finite number, so that infinity does not fit.
    smallest = -LARGEST_INTEGER if column.kind is ColumnKind.INTEGER else np.finfo(np.float64).min
    return float(smallest if column.minimum is None else max(smallest, column.minimum))


def _highest(column: Column) -> float:
    if column.kind is ColumnKind.BOOLEAN:
        return 1.0
    largest = LARGEST_INTEGER if column.kind is ColumnKind.INTEGER else np.finfo(np.float64).max
    return float(largest if column.maximum is None else min(largest, column.maximum))


def _unknown_word(word: str) -> str:
    return f"has no category {word[:60]!r}" if word else "must not be empty"


def _odd_number(number: float) -> str:
    if np.isnan(number):
        return "must not be empty (null or NaN)"
    return f"is {number:.15g}, which is not allowed"


def _misfit(column: Column, what: str, at: str) -> InputError:
    return InputError(f"{column.name} {what}", at=at, hint=describe(column), column=column.name)
