"""The reference of a version: how the rows that it was trained on were spread, for drift to compare with."""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def rows(self) -> int:
        return sum(self.counts) + self.nulls


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What `reference.json` holds. A text column is counted by its length in characters."""

    columns: dict[str, Spread]
    scores: Spread
    """The scores that the version gave to rows later than the ones it was trained on."""
