"""Figures of quality with 95 % intervals from labelled answers, under the names that a version's own scores have."""

from __future__ import annotations

from collections.abc import Iterable

from canario.model.card import Label, Task
from canario.model.feedback import LabelledPrediction
from canario.model.quality import Tally
from canario.model.version import Score
from canario.quality.cells import cell_of, differs, is_two_classes, tally_of_cells
from canario.quality.intervals import calibration_error, mean_interval, wilson

__all__ = ["MEASURES", "differs", "measure", "scores_of_tally", "series_name", "tally_of"]

MEASURES = ("accuracy", "recall", "precision", "calibration error", "mean absolute error")
"""The figures that become series of their own; a regression has `within N %` as well."""


def measure(label: Label, labelled: Iterable[LabelledPrediction]) -> tuple[Score, ...]:
    """The figures that fit the label; empty when there is no labelled answer."""
    return scores_of_tally(label, tally_of(label, labelled))


def tally_of(label: Label, labelled: Iterable[LabelledPrediction]) -> Tally:
    """The sums over labelled answers."""
    return tally_of_cells(label, (cell_of(label, each.label, each.score, each.truth) for each in labelled))


def scores_of_tally(label: Label, tally: Tally) -> tuple[Score, ...]:
    """The figures that fit the label; one that nothing can be said about (recall without positives) is left out.

    Two classes: accuracy, recall and precision at the working threshold, calibration error. More classes: accuracy.
    Regression: mean absolute error, and the share within the card's tolerance.
    """
    if not tally.labelled:
        return ()
    if label.task is Task.REGRESSION:
        return (
            _mean_absolute_error(label, tally),
            _share(f"within {label.tolerance_percent:g} %", tally.right, tally.labelled),
        )
    figures = [_share("accuracy", tally.right, tally.labelled)]
    if is_two_classes(label):
        if tally.positives:
            figures.append(_share("recall", tally.caught, tally.positives))
        if tally.alarms:
            figures.append(_share("precision", tally.caught, tally.alarms))
        error, low, high = calibration_error(tally.bins)
        figures.append(Score(name="calibration error", value=error, low=low, high=high, rows=tally.labelled))
    return tuple(figures)


def series_name(score: str) -> str:
    """A figure's name as a label of Prometheus series, and as an option of a command line has it."""
    return score.replace(" ", "-")


def _share(name: str, hits: int, rows: int) -> Score:
    low, high = wilson(hits, rows)
    return Score(name=name, value=hits / rows, low=low, high=high, rows=rows)


def _mean_absolute_error(label: Label, tally: Tally) -> Score:
    low, high = mean_interval(tally.error_sum, tally.error_square_sum, tally.labelled)
    value = tally.error_sum / tally.labelled
    return Score(name="mean absolute error", value=value, low=low, high=high, rows=tally.labelled, unit=label.unit)
