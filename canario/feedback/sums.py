"""What new answers and truths add to the counts of versions and cohorts, collected in memory for one write; the same for every store."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from canario.model.card import Label
from canario.model.feedback import LabelCounts
from canario.model.quality import DELAY_BOUNDS_SECONDS, Cohort, Delays
from canario.quality.cells import Cell, cell_of, differs, is_two_classes, tally_of_cells
from canario.quality.maturity import delay_bin


class Answer(NamedTuple):
    """What a version said about a row."""

    version: str
    label: str | float
    score: float
    at_seconds: float = 0.0
    truth: str | float | None = None
    """What holds now, if anything is known."""


class VersionSums(NamedTuple):
    """What is added to a version's counts."""

    predictions: int = 0
    labelled: int = 0
    wrong: int = 0
    positives: int = 0
    missed: int = 0
    delay_sum_seconds: float = 0.0


Place = tuple[float, str]
"""Where a cohort begins, in seconds since 1970, and its version."""


class Sums:
    """The collector; a store adds what it holds and drops it."""

    def __init__(self, label: Label, cohort_seconds: float) -> None:
        self._label = label
        self._cohort_seconds = cohort_seconds
        self.versions: dict[str, VersionSums] = {}
        self.delays: Counter[tuple[str, int]] = Counter()
        self.predictions: Counter[Place] = Counter()
        self._cells: defaultdict[Place, dict[int, Cell]] = defaultdict(dict)

    def answered(self, version: str, at_seconds: float, rows: int = 1) -> None:
        """A version gave answers to users."""
        self._add(version, VersionSums(predictions=rows))
        self.predictions[self._place(version, at_seconds)] += rows

    def labelled(self, answer: Answer, truth: str | float, truth_at_seconds: float) -> None:
        """The first truth of an answer: the only one that counts for its version."""
        seconds = max(0.0, truth_at_seconds - answer.at_seconds)
        is_wrong = differs(self._label, answer.label, truth)
        is_positive = is_two_classes(self._label) and truth == self._label.classes[1]
        self._add(
            answer.version,
            VersionSums(
                labelled=1,
                wrong=int(is_wrong),
                positives=int(is_positive),
                missed=int(is_positive and is_wrong),
                delay_sum_seconds=seconds,
            ),
        )
        self.delays[(answer.version, delay_bin(seconds))] += 1

    def holds(self, answer: Answer, truth: str | float) -> None:
        """A truth that holds from now on, in place of the one in `answer` if there is one."""
        cells = self._cells[self._place(answer.version, answer.at_seconds)]
        added = [cell_of(self._label, answer.label, answer.score, truth)]
        if answer.truth is not None:
            added.append(cell_of(self._label, answer.label, answer.score, answer.truth).taken_back())
        for cell in added:
            cells[cell.cell] = cells[cell.cell].with_(cell) if cell.cell in cells else cell

    def cells(self) -> Iterator[tuple[float, str, Cell]]:
        """Every cell that has changed, with its cohort's begin and version, in a fixed order."""
        for begins_at_seconds, version in sorted(self._cells):
            for _, cell in sorted(self._cells[(begins_at_seconds, version)].items()):
                yield begins_at_seconds, version, cell

    def _add(self, version: str, added: VersionSums) -> None:
        present = self.versions.get(version, VersionSums())
        self.versions[version] = VersionSums(
            predictions=present.predictions + added.predictions,
            labelled=present.labelled + added.labelled,
            wrong=present.wrong + added.wrong,
            positives=present.positives + added.positives,
            missed=present.missed + added.missed,
            delay_sum_seconds=present.delay_sum_seconds + added.delay_sum_seconds,
        )

    def _place(self, version: str, at_seconds: float) -> Place:
        return begin_of(at_seconds, self._cohort_seconds), version


def begin_of(at_seconds: float, cohort_seconds: float) -> float:
    """Where the cohort of a moment begins."""
    return math.floor(at_seconds / cohort_seconds) * cohort_seconds


def window_of(since_seconds: float, until_seconds: float, cohort_seconds: float) -> tuple[float, float]:
    """From where to where the small cohorts lie of those large ones that begin within a window; the end is not included."""
    return tuple(math.ceil(edge / cohort_seconds) * cohort_seconds for edge in (since_seconds, until_seconds))  # type: ignore[return-value]


def cohorts_of(
    label: Label,
    cohort_seconds: float,
    predictions: Iterable[tuple[float, str, int]],
    cells: Iterable[tuple[float, str, int, int, float, float, float]],
) -> list[Cohort]:
    """Cohorts from rows of (begin, version, predictions) and (begin, version, *cell), both of smaller cohorts."""
    answers: Counter[Place] = Counter()
    for begins_at_seconds, version, number in predictions:
        answers[(begin_of(begins_at_seconds, cohort_seconds), version)] += number
    found: defaultdict[Place, list[Cell]] = defaultdict(list)
    for begins_at_seconds, version, cell, rows, score_sum, error_sum, error_square_sum in cells:
        place = (begin_of(begins_at_seconds, cohort_seconds), version)
        found[place].append(Cell(cell, rows, score_sum, error_sum, error_square_sum))
    return [
        Cohort(
            version=version,
            begins_at_seconds=begins_at_seconds,
            seconds=cohort_seconds,
            predictions=answers[(begins_at_seconds, version)],
            tally=tally_of_cells(label, found.get((begins_at_seconds, version), ())),
        )
        for begins_at_seconds, version in sorted(answers)
    ]


def label_counts(rows: Iterable[Sequence[object]]) -> dict[str, LabelCounts]:
    """Counts from rows of (version, labelled, wrong, positives, missed)."""
    return {str(version): LabelCounts(*counts) for version, *counts in rows}  # type: ignore[arg-type]


def delays_of(bins: Iterable[tuple[str, int, int]], sums: Mapping[str, float]) -> dict[str, Delays]:
    """Delays from rows of (version, bin, truths) and the versions' sums."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(DELAY_BOUNDS_SECONDS) + 1))
    for version, place, truths in bins:
        counts[version][place] += truths
    return {version: Delays(tuple(counts[version]), seconds) for version, seconds in sums.items()}
