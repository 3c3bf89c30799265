"""Counts rows into the bins of a reference, apart by when they were answered, so that it shows when something began to move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from canario.drift.bins import Cell, column_bins, placer, score_bins, score_place
from canario.drift.novelty import is_novel
from canario.model.card import Card
from canario.model.reference import Reference


@dataclass(slots=True)
class Counts:
    """The rows of some time."""

    begins_at_seconds: float
    columns: dict[str, list[int]]
    scores: list[int]
    new_words: dict[str, int] = field(default_factory=dict)
    """By column of texts: the rows with a word that no row trained on held."""
    rows: int = 0

    def add(self, other: Counts) -> None:
        """Take in the rows of another time."""
        self.begins_at_seconds = min(self.begins_at_seconds, other.begins_at_seconds)
        self.rows += other.rows
        for name, counts in other.columns.items():
            self.columns[name] = [here + there for here, there in zip(self.columns[name], counts, strict=True)]
        self.scores = [here + there for here, there in zip(self.scores, other.scores, strict=True)]
        for name, count in other.new_words.items():
            self.new_words[name] = self.new_words.get(name, 0) + count


class RowCounter:
    """Counts rows in whatever order they come."""

    def __init__(self, card: Card, reference: Reference, grain_seconds: float) -> None:
        """Rows are told apart by `grain_seconds`, and no finer."""
        self._reference = reference
        self._grain_seconds = grain_seconds
        self._columns = [(column.name, placer(column.kind, reference.columns[column.name])) for column in card.columns]
        self._vocabularies = {
            name: frozenset(spread.vocabulary) for name, spread in reference.columns.items() if spread.vocabulary
        }
        self._bins = {name: len(column_bins(reference.columns[name])) for name, _ in self._columns}
        self._score_bins = len(score_bins(card, reference))
        self._times: dict[int, Counts] = {}

    def add(self, at_seconds: float, values: Mapping[str, Cell], score: float) -> None:
        """Count one row; a value that is left out is missing."""
        time = int(at_seconds // self._grain_seconds)
        counts = self._times.get(time)
        if counts is None:
            counts = self._times[time] = self.nothing(at_seconds)
        counts.begins_at_seconds = min(counts.begins_at_seconds, at_seconds)
        counts.rows += 1
        counts.scores[score_place(self._reference, score)] += 1
        for name, place in self._columns:
            counts.columns[name][place(values.get(name))] += 1
        for name, words in self._vocabularies.items():
            text = values.get(name)
            if isinstance(text, str) and is_novel(words, text):
                counts.new_words[name] += 1

    def nothing(self, begins_at_seconds: float) -> Counts:
        """Counts of no row yet."""
        return Counts(
            begins_at_seconds,
            {name: [0] * bins for name, bins in self._bins.items()},
            [0] * self._score_bins,
            dict.fromkeys(self._vocabularies, 0),
        )

    def total(self) -> Counts:
        """All rows."""
        return self._merged(list(self._times.values()))

    def slices(self, fewest_rows: int, most_slices: int) -> list[Counts]:
        """The rows in order of time, cut into slices of at least so many rows each; fewer rows than that make none."""
        rows = max(fewest_rows, sum(counts.rows for counts in self._times.values()) // most_slices)
        cut: list[list[Counts]] = [[]]
        for time in sorted(self._times):
            if sum(counts.rows for counts in cut[-1]) >= rows:
                cut.append([])
            cut[-1].append(self._times[time])
        if len(cut) > 1 and sum(counts.rows for counts in cut[-1]) < rows:
            rest = cut.pop()
            cut[-1] += rest
        slices = [self._merged(part) for part in cut]
        return [each for each in slices if each.rows >= fewest_rows]

    def _merged(self, parts: list[Counts]) -> Counts:
        merged = self.nothing(min((each.begins_at_seconds for each in parts), default=0.0))
        for each in parts:
            merged.add(each)
        return merged
