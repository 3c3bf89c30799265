"""Whether a candidate answers the same rows better than stable did: paired figures with 95 % intervals, and the answer in words; pure.

Both answered the same rows, so what both got right or wrong says nothing: the pairs in which they differ decide. That is
why a few hundred rows show what two separate intervals could not.

Shares of rows (recall, accuracy): Newcombe's hybrid score interval of a paired difference (Newcombe 1998, Stat. Med.
17:2635, method 10). Precision has another denominator for each version; its difference is linearised row by row (the delta
method). Mean absolute error: the normal interval of the mean paired difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from canario.model.card import Label, Task
from canario.model.retraining import PairedFigure
from canario.quality.intervals import Z_95, wilson

MARGIN = 0.1
"""Two classes have two figures. One must be shown to be better; the other may be shown to be no worse than by this share."""

Answer = str | float


class Answered(NamedTuple):
    """One row's truth, and what both versions answered."""

    truth: Answer
    stable: Answer
    candidate: Answer


class Judgement(NamedTuple):
    """What the comparison says."""

    is_better: bool
    reason: str
    figures: tuple[PairedFigure, ...]


def compare(label: Label, rows: Sequence[Answered]) -> Judgement:
    """Judge a candidate by rows that neither version was trained on."""
    if label.task is Task.REGRESSION:
        return _by_one(_mean_absolute_error(label, rows))
    if len(label.classes) > 2:
        hits = [(row.candidate == row.truth, row.stable == row.truth) for row in rows]
        return _by_one(paired_share("accuracy", hits))
    return _two_classes(label.classes[1], rows)


def paired_share(name: str, hits: Sequence[tuple[bool, bool]]) -> PairedFigure:
    """The share of hits of (candidate, stable) over the same rows."""
    rows = len(hits)
    both = sum(candidate and stable for candidate, stable in hits)
    only_candidate = sum(candidate and not stable for candidate, stable in hits)
    only_stable = sum(stable and not candidate for candidate, stable in hits)
    if not rows:
        return PairedFigure(name=name, stable=0.0, candidate=0.0, gain=0.0, low=-1.0, high=1.0, rows=0)
    mine, other = both + only_candidate, both + only_stable
    share, other_share = mine / rows, other / rows
    low, high = wilson(mine, rows)
    other_low, other_high = wilson(other, rows)
    likeness = _likeness(both, only_candidate, only_stable, rows)
    gain = share - other_share
    return PairedFigure(
        name=name,
        stable=other_share,
        candidate=share,
        gain=gain,
        low=gain - _reach(share - low, other_high - other_share, likeness),
        high=gain + _reach(high - share, other_share - other_low, likeness),
        rows=rows,
    )


def _likeness(both: int, only_one: int, only_other: int, rows: int) -> float:
    """The correlation of the two, with Newcombe's correction for few rows."""
    neither = rows - both - only_one - only_other
    spread = (both + only_one) * (only_other + neither) * (both + only_other) * (only_one + neither)
    if not spread:
        return 0.0
    product: float = both * neither - only_one * only_other
    if product > 0:
        product = max(0, product - rows / 2)
    return product / sqrt(spread)


def _reach(mine: float, other: float, likeness: float) -> float:
    return sqrt(max(0.0, mine * mine - 2 * likeness * mine * other + other * other))


def _precision(positive: str, rows: Sequence[Answered]) -> PairedFigure:
    alarms = sum(row.candidate == positive for row in rows)
    other_alarms = sum(row.stable == positive for row in rows)
    if not alarms or not other_alarms:
        # Nobody can be precise who never speaks up.
        return PairedFigure(
            name="precision",
            stable=_share(sum(row.stable == row.truth == positive for row in rows), other_alarms),
            candidate=_share(sum(row.candidate == row.truth == positive for row in rows), alarms),
            gain=0.0,
            low=-1.0,
            high=1.0,
            rows=0,
        )
    share = sum(row.candidate == row.truth == positive for row in rows) / alarms
    other_share = sum(row.stable == row.truth == positive for row in rows) / other_alarms
    squares = 0.0
    for row in rows:
        is_right = row.truth == positive
        pull = (row.candidate == positive) * (is_right - share) / alarms
        other_pull = (row.stable == positive) * (is_right - other_share) / other_alarms
        squares += (pull - other_pull) ** 2
    gain, reach = share - other_share, Z_95 * sqrt(squares)
    return PairedFigure(
        name="precision",
        stable=other_share,
        candidate=share,
        gain=gain,
        low=gain - reach,
        high=gain + reach,
        rows=sum(positive in (row.candidate, row.stable) for row in rows),
    )


def _mean_absolute_error(label: Label, rows: Sequence[Answered]) -> PairedFigure:
    errors = [(abs(_number(row.stable, row.truth)), abs(_number(row.candidate, row.truth))) for row in rows]
    count = len(errors)
    stable, candidate = (_share(sum(each[place] for each in errors), count) for place in range(2))
    gain = stable - candidate
    squares = sum((before - after - gain) ** 2 for before, after in errors)
    reach = Z_95 * sqrt(squares / (count - 1) / count) if count > 1 else float("inf")
    return PairedFigure(
        name="mean absolute error",
        stable=stable,
        candidate=candidate,
        gain=gain,
        low=gain - reach,
        high=gain + reach,
        rows=count,
        unit=label.unit,
    )


def _number(answer: Answer, truth: Answer) -> float:
    return float(answer) - float(truth)


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def _by_one(figure: PairedFigure) -> Judgement:
    is_better = figure.low > 0
    verdict = "better" if is_better else "not shown to be better"
    return Judgement(is_better, f"{verdict}: {figure_words(figure)}", (figure,))


def _two_classes(positive: str, rows: Sequence[Answered]) -> Judgement:
    caught = [(row.candidate == positive, row.stable == positive) for row in rows if row.truth == positive]
    figures = (paired_share("recall", caught), _second(positive, rows))
    words = "; ".join(figure_words(figure) for figure in figures)
    if not any(figure.low > 0 for figure in figures):
        return Judgement(is_better=False, reason=f"not shown to be better: {words}", figures=figures)
    for figure in figures:
        if figure.low <= -MARGIN:
            reason = f"its {figure.name} may have fallen by {100 * MARGIN:.0f} points or more: {words}"
            return Judgement(is_better=False, reason=reason, figures=figures)
    return Judgement(is_better=True, reason=f"better: {words}", figures=figures)


def _second(positive: str, rows: Sequence[Answered]) -> PairedFigure:
    """What a gain in recall must not be bought with: precision.

    A stable version without a single alarm has none, and would never be bettered; accuracy over all rows then counts
    the false alarms.
    """
    is_silent = not any(row.stable == positive for row in rows)
    if is_silent and any(row.candidate == positive for row in rows):
        return paired_share("accuracy", [(row.candidate == row.truth, row.stable == row.truth) for row in rows])
    return _precision(positive, rows)


def figure_words(figure: PairedFigure) -> str:
    """`recall 83.7 % against 55.6 %, a gain of 18.2 to 37.1 points over 86 rows`; a regression's in its unit."""
    if figure.unit or figure.name == "mean absolute error":
        unit = f" {figure.unit}" if figure.unit else ""
        return (
            f"{figure.name} {figure.candidate:,.4g}{unit} against {figure.stable:,.4g}{unit},"
            f" a gain of {figure.low:,.3g} to {figure.high:,.3g}{unit} over {figure.rows:,} rows"
        )
    return (
        f"{figure.name} {figure.candidate:.1%} against {figure.stable:.1%},"
        f" a gain of {100 * figure.low:.1f} to {100 * figure.high:.1f} points over {figure.rows:,} rows"
    ).replace("%", " %")
