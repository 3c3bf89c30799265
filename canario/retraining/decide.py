"""Whether a retraining may begin, and whether there is something new and enough to learn from; pure."""

from __future__ import annotations

from collections.abc import Sequence

from canario.model.card import Label, Task
from canario.model.retraining import Lesson, Outcome, Retraining, RetrainingRequest

FEWEST_ROWS = 500
"""Labelled answers, of which a fifth judges."""
FEWEST_JUDGED = 30
"""Judged rows; with two classes, judged rows of the second class: with fewer, no gain of a sensible size can be shown."""


def why_not_now(past: Sequence[Retraining], request: RetrainingRequest, now_seconds: float) -> str:
    """What speaks against a training now, in words; empty when nothing does. Nobody else is at it: that is known already."""
    if request.wish and any(each.wish == request.wish and each.outcome is not Outcome.REFUSED for each in past):
        return f"what {request.wish} asked for has been done"
    trained = [each for each in past if each.outcome is not Outcome.REFUSED]
    if not trained:
        return ""
    passed = now_seconds - trained[-1].began_at_seconds
    # A clock that was set back must not make the cool-down last for ever.
    if 0 <= passed < request.cool_down_seconds:
        left = request.cool_down_seconds - passed
        return f"the last training began {_span(passed)} ago; the cool-down goes on for {_span(left)}"
    return ""


def why_not_from(
    past: Sequence[Retraining], label: Label, lesson: Lesson, stable: str, estimator: str, seed: int
) -> str:
    """What speaks against training this estimator on these rows, in words; empty when nothing does."""
    for each in reversed(past):
        if each.outcome is not Outcome.REJECTED or each.lesson is None:
            continue
        if (each.lesson.digest, each.stable, each.estimator, each.seed) == (lesson.digest, stable, estimator, seed):
            return f"no label has come since {estimator} was rejected on the same {lesson.rows:,} rows (retraining {each.number})"
    if lesson.rows < FEWEST_ROWS:
        return f"{lesson.rows:,} labelled answers are too few to learn from: {FEWEST_ROWS:,} at least"
    if label.task is Task.CLASSIFICATION and len(label.classes) == 2:
        if lesson.judged_positives < FEWEST_JUDGED:
            return (
                f"of the newest labelled answers, {lesson.judged_positives:,} of {stable} turned out to be"
                f" {label.classes[1]}: too few to compare two versions by, {FEWEST_JUDGED} at least"
            )
    elif lesson.judged_rows < FEWEST_JUDGED:
        return (
            f"of the newest labelled answers, {lesson.judged_rows:,} are of {stable}: too few to compare two versions by,"
            f" {FEWEST_JUDGED} at least"
        )
    return ""


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
