"""Labelled answers in cells: the smallest sums from which every figure of quality can be had, and which can be taken back.

A store keeps a few cells for each span of time in place of scanning all answers again; a truth that changes moves its
answer from one cell to another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from canario.model.card import Label, Task
from canario.model.quality import SCORE_BINS, ScoreBin, Tally


class Cell(NamedTuple):
    """Answers that are alike."""

    cell: int
    """Two classes: 4 times the score's bin, + 2 when the answer and + 1 when the truth is the second class. Else 1 for right."""
    rows: int
    score_sum: float = 0.0
    error_sum: float = 0.0
    error_square_sum: float = 0.0

    def with_(self, other: Cell) -> Cell:
        """Both together, of the same cell."""
        return Cell(
            self.cell,
            self.rows + other.rows,
            self.score_sum + other.score_sum,
            self.error_sum + other.error_sum,
            self.error_square_sum + other.error_square_sum,
        )

    def taken_back(self) -> Cell:
        """What undoes these sums."""
        return Cell(self.cell, -self.rows, -self.score_sum, -self.error_sum, -self.error_square_sum)


def differs(label: Label, answer: str | float, reference: str | float) -> bool:
    """Whether an answer contradicts a truth, or a copy's answer the user's.

    Classes: another word. Regression: further away than the label's tolerance, in percent of the reference.
    """
    if label.task is Task.REGRESSION and isinstance(answer, float) and isinstance(reference, float):
        return abs(answer - reference) > label.tolerance_percent / 100 * abs(reference)
    return answer != reference


def cell_of(label: Label, answer: str | float, score: float, truth: str | float) -> Cell:
    """The cell of one labelled answer."""
    if is_two_classes(label):
        second = label.classes[1]
        place = min(SCORE_BINS - 1, max(0, int(score * SCORE_BINS)))
        return Cell(4 * place + 2 * (answer == second) + (truth == second), 1, score)
    right = int(not differs(label, answer, truth))
    if label.task is Task.REGRESSION and isinstance(answer, float) and isinstance(truth, float):
        error = abs(answer - truth)
        return Cell(right, 1, 0.0, error, error * error)
    return Cell(right, 1)


def tally_of_cells(label: Label, cells: Iterable[Cell]) -> Tally:
    """The sums of all of them."""
    cells = list(cells)
    if is_two_classes(label):
        return _two_classes(cells)
    return Tally(
        labelled=sum(each.rows for each in cells),
        right=sum(each.rows for each in cells if each.cell),
        error_sum=max(0.0, sum(each.error_sum for each in cells)),
        error_square_sum=max(0.0, sum(each.error_square_sum for each in cells)),
    )


def is_two_classes(label: Label) -> bool:
    """Whether there is a second class whose share among truths and answers means something."""
    return label.task is Task.CLASSIFICATION and len(label.classes) == 2


def _two_classes(cells: list[Cell]) -> Tally:
    bins = [ScoreBin()] * SCORE_BINS
    labelled = right = positives = alarms = caught = 0
    for each in cells:
        is_alarm, is_positive = each.cell & 2 > 0, each.cell & 1 > 0
        labelled += each.rows
        right += each.rows * (is_alarm == is_positive)
        positives += each.rows * is_positive
        alarms += each.rows * is_alarm
        caught += each.rows * (is_alarm and is_positive)
        bins[each.cell // 4] += ScoreBin(each.rows, each.score_sum, each.rows * is_positive)
    return Tally(
        labelled=labelled,
        right=right,
        positives=positives,
        alarms=alarms,
        caught=caught,
        bins=tuple(bins) if labelled else (),
    )
