"""A retraining from end to end: labelled answers become rows, a candidate, a comparison with what stable really answered, a rollout.

Stable's answers are not computed again: they are in the history, as its users got them, so no second model is loaded and
nothing has to be believed about how it would have answered. Rows that another version answered, as the candidate of a
rollout does, teach like all others and do not judge.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from canario.errors import CanarioError, Conflict
from canario.model.card import Card, Task
from canario.model.feedback import LabelledPrediction
from canario.model.retraining import Lesson, Outcome, Retraining, RetrainingRequest
from canario.packaging.provenance import data_digest
from canario.packaging.publishing import Draft
from canario.packaging.rooms import EVENT_TIME, Room
from canario.packaging.training import LATER_SHARE, Trained, TrainingRequest, train_on
from canario.ports.feedback import FeedbackHistory
from canario.ports.retraining import Retrainings
from canario.retraining.comparison import Answered, Judgement, compare
from canario.retraining.decide import why_not_from, why_not_now

DAY_SECONDS = 86_400.0
MOST_ROWS = 500_000
"""The newest labelled answers that are held in memory; what is older is left out."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a retraining needs of the platform that it works for."""

    history: FeedbackHistory
    record: Retrainings
    stable: Callable[[], str]
    """The tag of the version that is to be bettered. Raises Conflict while no other may be tried, as during a rollout."""
    publish: Callable[[Draft], str]
    """Keep a version where the platform finds it; its tag."""
    begin: Callable[[str], str] | None
    """Begin a rollout of a tag by the model's plan; its name. None: nobody wants one."""
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class _Learned:
    """Labelled answers as rows, with the answers beside them."""

    answers: Sequence[LabelledPrediction]
    rows: pd.DataFrame
    lesson: Lesson


def retrain(room: Room, request: RetrainingRequest, around: Surroundings, progress: Progress) -> Retraining:
    """Train on fresh labels and roll out what is better; how it ended, which is on record by then.

    Raises Conflict when the model is being retrained already or may not change now, and whatever breaks on the way
    (recorded as failed); UsageError when the room cannot do what is asked. A candidate that is not better and a moment
    that is not right are no errors: see `outcome`.
    """
    room.build_estimator(_estimator_of(room, request), request.seed)  # a wrong name is told before anything is read
    with around.record.alone():
        past = around.record.all()
        begun = Retraining(
            number=_number(past),
            model=room.name,
            trigger=request.trigger,
            asked_for=request.reason,
            wish=request.wish,
            began_at_seconds=around.clock(),
            estimator=_estimator_of(room, request),
            seed=request.seed,
        )
        why_not = why_not_now(past, request, begun.began_at_seconds)
        if why_not:
            return _ended(around, begun, Outcome.REFUSED, why_not)
        try:
            begun = replace(begun, stable=around.stable())
        except Conflict as busy:
            return _ended(around, begun, Outcome.REFUSED, str(busy))
        around.record.keep(begun)
        try:
            return _attempt(room, begun, request, around, progress)
        except BaseException as failed:
            kept = next((each for each in around.record.all() if each.number == begun.number), begun)
            _ended(around, kept, Outcome.FAILED, _words(failed))
            raise


def rehearse(room: Room, request: RetrainingRequest, around: Surroundings, progress: Progress) -> Judgement | str:
    """Train and compare, and keep nothing: the comparison, or in words why there is none."""
    past, now_seconds = around.record.all(), around.clock()
    why_not = why_not_now(past, request, now_seconds)
    if why_not:
        return why_not
    stable = around.stable()
    learned = learn(room, request, around.history, stable, now_seconds, progress)
    if isinstance(learned, str):
        return learned
    estimator = _estimator_of(room, request)
    return why_not_from(past, room.card.label, learned.lesson, stable, estimator, request.seed) or _judged(
        room.card, learned, _trained(room, learned, request, progress), stable
    )


def _attempt(
    room: Room, begun: Retraining, request: RetrainingRequest, around: Surroundings, progress: Progress
) -> Retraining:
    learned = learn(room, request, around.history, begun.stable, begun.began_at_seconds, progress)
    if isinstance(learned, str):
        return _ended(around, begun, Outcome.REFUSED, learned)
    begun = replace(begun, lesson=learned.lesson)
    past = around.record.all()
    why_not = why_not_from(past, room.card.label, learned.lesson, begun.stable, begun.estimator, begun.seed)
    if why_not:
        return _ended(around, begun, Outcome.REFUSED, why_not)
    around.record.keep(begun)
    trained = _trained(room, learned, request, progress)
    judgement = _judged(room.card, learned, trained, begun.stable)
    progress(judgement.reason)
    begun = replace(begun, figures=judgement.figures)
    if not judgement.is_better:
        return _ended(around, begun, Outcome.REJECTED, judgement.reason)
    around.record.keep(begun)  # what was measured outlives a store that is full
    begun = replace(begun, candidate=around.publish(trained.draft))
    progress(f"published as {room.name}:{begun.candidate}")
    if around.begin is None:
        return _ended(around, begun, Outcome.PUBLISHED, judgement.reason)
    around.record.keep(begun)
    begun = replace(begun, rollout=around.begin(begun.candidate))
    return _ended(around, begun, Outcome.ROLLED_OUT, judgement.reason)


def learn(
    room: Room,
    request: RetrainingRequest,
    history: FeedbackHistory,
    stable: str,
    now_seconds: float,
    progress: Progress,
) -> _Learned | str:
    """The labelled answers of the last days as rows, in order of time; in words why there are none."""
    until = now_seconds - request.maturity_seconds
    since = until - request.days * DAY_SECONDS
    progress("reading labelled answers")
    known = (each for each in history.labelled(since, until) if _fits(room.card, each))
    answers = sorted(deque(known, maxlen=MOST_ROWS), key=lambda each: each.at_seconds)
    if not answers:
        return f"there are no labelled answers of the last {request.days:g} days"
    rows = rows_of(room.card, answers)
    cut = round(len(rows) * (1 - LATER_SHARE))
    judged = [each for each in answers[cut:] if each.version == stable]
    lesson = Lesson(
        digest=data_digest(rows),
        rows=len(answers),
        positives=_positives(room.card, answers),
        first_at_seconds=answers[0].at_seconds,
        last_at_seconds=answers[-1].at_seconds,
        judged_rows=len(judged),
        judged_positives=_positives(room.card, judged),
    )
    return _Learned(answers, rows, lesson)


def rows_of(card: Card, answers: Sequence[LabelledPrediction]) -> pd.DataFrame:
    """Answers as a room's generator gives rows: when, the card's columns, the truth."""
    columns: Mapping[str, list[Any]] = {name: [each.values.get(name) for each in answers] for name in card.column_names}
    times = np.array([round(each.at_seconds * 1e9) for each in answers], dtype="datetime64[ns]")
    return pd.DataFrame({EVENT_TIME: times, **columns, card.label.name: [each.truth for each in answers]})


def _trained(room: Room, learned: _Learned, request: RetrainingRequest, progress: Progress) -> Trained:
    lesson = learned.lesson
    progress(f"training on {lesson.rows:,} labelled answers, of which the newest fifth judges")
    words = {
        "from": "labelled answers",
        "first answer": _moment(lesson.first_at_seconds),
        "last answer": _moment(lesson.last_at_seconds),
    }
    return train_on(room, learned.rows, TrainingRequest(estimator=request.estimator, seed=request.seed), words)


def _judged(card: Card, learned: _Learned, trained: Trained, stable: str) -> Judgement:
    newest = learned.answers[len(learned.answers) - len(trained.judged) :]
    pairs = [
        Answered(each.truth, each.label, answer)
        for each, answer in zip(newest, trained.predictions.labels.tolist(), strict=True)
        if each.version == stable
    ]
    return compare(card.label, pairs)


def _estimator_of(room: Room, request: RetrainingRequest) -> str:
    return request.estimator or next(iter(room.estimators), "")


def _fits(card: Card, answer: LabelledPrediction) -> bool:
    """Whether a truth can be learned: somebody may have sent a word that is no class."""
    if card.label.task is Task.REGRESSION:
        return isinstance(answer.truth, int | float) and math.isfinite(answer.truth)
    return answer.truth in card.label.classes


def _positives(card: Card, answers: Iterable[LabelledPrediction]) -> int:
    if card.label.task is Task.REGRESSION or len(card.label.classes) != 2:
        return 0
    return sum(each.truth == card.label.classes[1] for each in answers)


def _number(past: Sequence[Retraining]) -> int:
    """One more than the last; a refusal makes room for the next one, so that a repeating alert fills no disk."""
    if not past:
        return 1
    return past[-1].number + (past[-1].outcome is not Outcome.REFUSED)


def _ended(around: Surroundings, retraining: Retraining, outcome: Outcome, reason: str) -> Retraining:
    ended = replace(retraining, outcome=outcome, reason=reason, ended_at_seconds=around.clock())
    around.record.keep(ended)
    return ended


def _words(failed: BaseException) -> str:
    if isinstance(failed, CanarioError):
        return str(failed)
    return "interrupted" if isinstance(failed, KeyboardInterrupt) else f"{type(failed).__name__}: {failed}"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
