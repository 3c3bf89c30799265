"""The reference of a version: how the rows that it was trained on were spread, for drift to compare with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One column's values, or the scores, counted in bins."""

    edges: tuple[float, ...] = ()
    """Numbers: the inner edges, rising, in the column's unit. Bin 0 lies below the first edge; a bin holds its lower edge."""
    words: tuple[str, ...] = ()
    """Categories: one bin a word, in the card's order."""
    counts: tuple[int, ...]
    """Rows in each bin: len(edges) + 1 or len(words)."""
    nulls: int = 0
    """Rows without a value."""
    vocabulary: tuple[str, ...] = ()
    """Texts: the words of the rows trained on, in lower case and in order; empty when they are not known."""
    judged_rows: int = 0
    """Texts: the rows from which it is known how often a row holds a word that no other row held."""
    novel_rows: int = 0
    """Of these, those that held one."""

    @property
    def rows(self) -> int:
        return sum(self.counts) + self.nulls


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What `reference.json` holds. A text column is counted by its length in characters.

    Versions made before a field was there have its default.
    """

    columns: dict[str, Spread]
    scores: Spread
    """The scores that the version gave to rows later than the ones it was trained on. Two classes: the card's threshold is
    an edge, so that all rows of a bin got the same answer."""
    positives: tuple[int, ...] = ()
    """Two classes, and the truth was known: of the rows in each bin of the scores, those that were of the second class."""
    importances: dict[str, float] = field(default_factory=dict)
    """By column: how far its values move the scores, as a share of all columns (0 to 1, 1 in all); empty when not measured."""
