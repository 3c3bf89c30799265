"""Joins what was answered with what turned out to be true, and shadow copies with what users got; judging the counts is for the engine.

Every prediction counts once, at the first truth that arrives for it. A truth that is changed later holds for whoever
asks the store, but not for these counts: a count that a rollout has been judged by never goes back, and comes out the
same however often and whenever it is read. Shadow copies are never labelled: nobody saw their answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from canario.adapters.homes import feedback_file, join_file, predictions_folder
from canario.errors import EvidenceLost, IntegrityError, Unavailable
from canario.feedback.database import Database
from canario.feedback.reading import Answered, log_files, read_answers
from canario.feedback.record import SCHEMA, Answer, Record
from canario.feedback.store import FeedbackStore, FirstTruth
from canario.model.card import Label, Task
from canario.model.evidence import Comparison

LONGEST_READ_BYTES = 4 * 1024 * 1024
"""What one call reads of the logs at most, so that a loop that has fallen behind still answers in a moment."""
MOST_TRUTHS = 10_000
"""What one call takes of the truths at most."""


class LabelCounts(NamedTuple):
    """What is known of one version's answers to users."""

    labelled: int
    wrong: int


class Unmatched(NamedTuple):
    """What found no partner; a truth for an id that nobody was given stays here for ever."""

    truths: int
    """Truths without a prediction, those that still wait included."""
    copies: int
    """Shadow copies without a user's answer, those that still wait included."""
    broken_lines: int
    """Lines of the logs that a failed write left unreadable."""


class Joiner:
    """The counts of one model, brought up to date with each question. One caller at a time in a process.

    What has been joined is remembered in a file of its own; without it everything is read again from the logs.
    """

    def __init__(self, model: str, label: Label) -> None:
        self._label = label
        self._folder = predictions_folder(model)
        self._truths = FeedbackStore(feedback_file(model))
        self._database = Database(join_file(model), SCHEMA)

    def counts(self) -> Mapping[str, LabelCounts]:
        """By version that has answered users; cumulative, never falling. Raises EvidenceLost."""
        rows = self._current("SELECT version, labelled, wrong FROM versions")
        return {version: LabelCounts(labelled, wrong) for version, labelled, wrong in rows}

    def comparison(self, stable: str, candidate: str) -> Comparison:
        """What the candidate's shadow copies showed against stable's answers; cumulative, never falling.

        Raises EvidenceLost.
        """
        rows = self._current(
            "SELECT pairs, flips, distance_sum FROM comparisons WHERE stable = ? AND candidate = ?", stable, candidate
        )
        return Comparison(pairs=rows[0][0], flips=rows[0][1], distance_sum=rows[0][2]) if rows else Comparison()

    def unmatched(self) -> Unmatched:
        """What found no partner so far. Raises EvidenceLost."""
        rows = self._current(
            "SELECT dropped_truths + (SELECT count(*) FROM early_truths),"
            " dropped_copies + (SELECT count(*) FROM copies WHERE NOT paired), broken_lines FROM totals"
        )
        return Unmatched(*rows[0])

    def close(self) -> None:
        """Let go of the files."""
        self._truths.close()
        self._database.close()

    def _current(self, question: str, *values: str) -> list[Any]:
        try:
            self._advance()
            with self._database.look() as connection:
                return connection.execute(question, values).fetchall()
        except (Unavailable, IntegrityError, OSError) as failed:
            raise EvidenceLost(f"labels cannot be joined now: {failed}", at=str(self._folder)) from failed

    def _advance(self) -> None:
        store = self._truths.token()
        with self._database.look() as connection:
            taken = Record(connection).truths_taken(store)
        # Truths are looked up before answers: whoever sends a truth has an answer, and that is in a log by then.
        truths = self._truths.first_truths(after=taken, most=MOST_TRUTHS)
        with self._database.look() as connection:
            record = Record(connection)
            grown = [name for name, size in log_files(self._folder) if record.offset(name) < size]
        if not grown and not truths:
            return
        with self._database.transaction() as connection:
            record = Record(connection)
            if self._take_lines(record, grown) and truths:
                self._take_truths(record, truths)
                record.set_truths_taken(store, truths[-1].number)
            record.drop_what_is_old()

    def _take_lines(self, record: Record, names: Sequence[str]) -> bool:
        """Read what is new in these logs; False when it was too much for one call."""
        left = LONGEST_READ_BYTES
        for name in names:
            if left <= 0:
                return False
            offset = record.offset(name)
            reading = read_answers(self._folder / name, offset, left)
            for line in reading.answers:
                if line.shadow:
                    self._take_copy(record, line)
                else:
                    self._take_answer(record, line)
            record.set_read(name, reading.offset, reading.broken)
            left -= reading.offset - offset
        return left > 0

    def _take_truths(self, record: Record, truths: Sequence[FirstTruth]) -> None:
        for _, prediction, truth in truths:
            answer = record.answer(prediction)
            if answer:
                self._judge(record, prediction, answer, truth)
            else:
                record.add_early_truth(prediction, truth)

    def _take_answer(self, record: Record, line: Answered) -> None:
        record.add_version(line.version)
        if not record.add_answer(line):
            return
        answer = Answer(line.version, line.label, line.score)
        for copy in record.copies_of(line.request, line.row):
            self._pair(record, answer, copy, line)
        truth = record.take_early_truth(line.prediction)
        if truth is not None:
            self._judge(record, line.prediction, answer, truth)

    def _take_copy(self, record: Record, line: Answered) -> None:
        if record.add_copy(line):
            copy = Answer(line.version, line.label, line.score)
            for answer in record.answers_to(line.request, line.row):
                self._pair(record, answer, copy, line)

    def _judge(self, record: Record, prediction: str, answer: Answer, truth: str | float) -> None:
        wrong = differs(self._label, answer.label, truth)
        record.add_judgement(prediction, answer.version, wrong=wrong)

    def _pair(self, record: Record, answer: Answer, copy: Answer, line: Answered) -> None:
        flipped = differs(self._label, copy.label, answer.label)
        record.add_pair(answer, copy, line.request, line.row, flipped=flipped)


def differs(label: Label, answer: str | float, reference: str | float) -> bool:
    """Whether an answer contradicts a truth, or a copy's answer the user's.

    Classes: another word. Regression: further away than the label's tolerance, in percent of the reference.
    """
    if label.task is Task.REGRESSION and isinstance(answer, float) and isinstance(reference, float):
        return abs(answer - reference) > label.tolerance_percent / 100 * abs(reference)
    return answer != reference
