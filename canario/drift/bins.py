"""Which bin a value falls in: one rule for the reference, for a server's counters and for reports.

The bins of a column have names and an order: "0" to "k", the places among the reference's edges; or the card's words and
"other" for none of them; and "null" for a missing value, always. A text is binned by its length in characters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.model.card import Card, ColumnKind
from canario.model.reference import Reference, Spread

OTHER = "other"
NULL = "null"
POSITIVE = "positive"
NEGATIVE = "negative"

Cell = float | int | bool | str | None


def column_bins(spread: Spread) -> tuple[str, ...]:
    """The names of a column's bins, in order, no two alike: a card's own word "other" takes in what is none of its words."""
    if spread.words:
        # A card's own word "null" is written with quotes, and so on.
        words = tuple(f'"{word}"' if word.strip('"') == NULL else word for word in spread.words)
        return (*words, NULL) if OTHER in words else (*words, OTHER, NULL)
    return (*(str(number) for number in range(len(spread.edges) + 1)), NULL)


def reference_rows(spread: Spread) -> tuple[int, ...]:
    """The rows of the reference in each of `column_bins`."""
    others = (0,) if spread.words and OTHER not in spread.words else ()
    return (*spread.counts, *others, spread.nulls)


def placer(kind: ColumnKind, spread: Spread) -> Callable[[Cell], int]:
    """A function from one cell (None, NaN or "" is null) to its place among `column_bins`; much quicker than numpy for one."""
    null = len(column_bins(spread)) - 1
    if spread.words:
        places, other = _places_of_words(spread)
        return lambda cell: null if cell is None or cell == "" else places.get(cell, other)  # type: ignore[arg-type]
    edges = spread.edges
    if kind is ColumnKind.TEXT:
        return lambda cell: bisect_right(edges, len(cell)) if isinstance(cell, str) and cell else null
    # NaN is the one number that differs from itself.
    return lambda cell: null if cell is None or cell != cell else bisect_right(edges, cell)  # noqa: PLR0124


def places(kind: ColumnKind, spread: Spread, values: NDArray[Any]) -> NDArray[np.intp]:
    """The places of many cells among `column_bins`; `values` as canario.kernel.columns has them (NaN or "" is null)."""
    null = len(column_bins(spread)) - 1
    if spread.words:
        by_word, other = _places_of_words(spread)
        by_word[""] = null
        return np.fromiter((by_word.get(word, other) for word in values.tolist()), np.intp, len(values))
    numbers = measured(kind, values)
    found = np.searchsorted(spread.edges, numbers, side="right")
    return np.where(np.isnan(numbers), null, found)


def _places_of_words(spread: Spread) -> tuple[dict[str, int], int]:
    """The place of each word of the card, and of all others."""
    by_word = {word: place for place, word in enumerate(spread.words)}
    return by_word, by_word.get(OTHER, len(by_word))


def count(kind: ColumnKind, spread: Spread, values: NDArray[Any]) -> NDArray[np.int64]:
    """The rows in each of `column_bins`."""
    bins = len(column_bins(spread))
    if not spread.words:
        return np.bincount(places(kind, spread, values), minlength=bins).astype(np.int64)
    # A word is looked up once, not once a row.
    words = Counter(values.tolist())
    return np.bincount(
        places(kind, spread, np.array(list(words), dtype=object)), weights=list(words.values()), minlength=bins
    ).astype(np.int64)


def measured(kind: ColumnKind, values: NDArray[Any]) -> NDArray[np.float64]:
    """What is binned of a column that is no category: the numbers, or the lengths of texts; NaN is null."""
    if kind is not ColumnKind.TEXT:
        return values.astype(np.float64)
    lengths = np.fromiter(map(len, values.tolist()), np.float64, len(values))
    return np.where(lengths == 0, np.nan, lengths)


def score_bins(card: Card, reference: Reference) -> tuple[tuple[str, str], ...]:
    """The names of the bins of scores, each with the answer that its rows get: positive, negative, or "" for all.

    The answer is known for two classes, when the card's threshold is an edge; a reference made before that was so has "".
    """
    edges, threshold = reference.scores.edges, card.label.threshold
    names = [str(number) for number in range(len(edges) + 1)]
    if len(card.label.classes) != 2 or threshold not in edges:
        return tuple((name, "") for name in names)
    first_positive = edges.index(threshold) + 1
    return tuple((name, POSITIVE if place >= first_positive else NEGATIVE) for place, name in enumerate(names))


def score_place(reference: Reference, score: float) -> int:
    """The place of one score among `score_bins`."""
    return bisect_right(reference.scores.edges, score)


def score_places(reference: Reference, scores: NDArray[np.float64] | Sequence[float]) -> NDArray[np.intp]:
    """The places of many scores among `score_bins`."""
    return np.searchsorted(reference.scores.edges, np.asarray(scores, dtype=np.float64), side="right")
