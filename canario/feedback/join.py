"""Joins what was answered with what turned out to be true, and shadow copies with what users got; judging the counts is for the engine.

Every prediction counts once, at the first truth that arrives for it. A truth that is changed later holds for whoever
asks for the history, but not for these counts: a count that a rollout has been judged by never goes back, and comes out the
same however often and whenever it is read. Shadow copies are never labelled: nobody saw their answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from canario.adapters.database import Database
from canario.adapters.homes import feedback_file, join_file, predictions_folder
from canario.errors import EvidenceLost, IntegrityError, Unavailable
from canario.feedback.joined import Joined, labelled_prediction
from canario.feedback.reading import Answered, log_files, read_answers
from canario.feedback.record import SCHEMA, SCHEMA_NUMBER, Record
from canario.feedback.settings import feedback_settings
from canario.feedback.store import Arrived, FeedbackStore
from canario.feedback.sums import Answer, Sums
from canario.model.card import Label
from canario.model.evidence import Comparison
from canario.model.feedback import LabelCounts, LabelledPrediction, Unmatched
from canario.model.quality import Cohort, Delays
from canario.quality.cells import differs

T = TypeVar("T")

LONGEST_READ_BYTES = 4 * 1024 * 1024
"""What one call reads of the logs at most, so that a loop that has fallen behind still answers in a moment."""
MOST_TRUTHS = 10_000
"""What one call takes of the truths at most."""
PAGE_ROWS = 1000
"""Labelled answers that are read at once."""


class Joiner:
    """The counts and the history of one model, brought up to date with each question. One caller at a time in a process.

    What has been joined is remembered in a file of its own; without it everything is read again from the logs.
    """

    def __init__(self, model: str, label: Label, *, keeps_values: bool = True) -> None:
        """`keeps_values`: whether the rows themselves are remembered, which only `labelled` needs."""
        self._label = label
        self._folder = predictions_folder(model)
        self._truths = FeedbackStore(feedback_file(model))
        self._database = Database(join_file(model), SCHEMA, SCHEMA_NUMBER)
        self._keeps_values = keeps_values
        self._cohort_seconds = feedback_settings().cohort_seconds

    def counts(self) -> Mapping[str, LabelCounts]:
        """By version that has answered users; cumulative, never falling. Raises EvidenceLost."""
        return self._current(Joined.counts)

    def predictions(self) -> Mapping[str, int]:
        """By version: the answers that users got; cumulative, never falling. Raises EvidenceLost."""
        return self._current(Joined.predictions)

    def delays(self) -> Mapping[str, Delays]:
        """By version: how long first truths took; cumulative, never falling. Raises EvidenceLost."""
        return self._current(Joined.delays)

    def comparison(self, stable: str, candidate: str) -> Comparison:
        """What the candidate's shadow copies showed against stable's answers; cumulative, never falling.

        Raises EvidenceLost.
        """
        return self._current(lambda joined: joined.comparison(stable, candidate))

    def unmatched(self) -> Unmatched:
        """What found no partner so far. Raises EvidenceLost."""
        return self._current(Joined.unmatched)

    def began_at_seconds(self) -> float | None:
        """When the cohort of the oldest answer that is known begins; None before the first. Raises EvidenceLost."""
        return self._current(Joined.began_at_seconds)

    def cohorts(self, since_seconds: float, until_seconds: float, cohort_seconds: float = 3600) -> Sequence[Cohort]:
        """Answers and labels by version and span of time; oldest first, then by version, empty ones left out.

        The spans that begin from `since_seconds` to before `until_seconds`. Raises EvidenceLost.
        """
        seconds = max(cohort_seconds, self._cohort_seconds)
        return self._current(lambda joined: joined.cohorts(self._label, since_seconds, until_seconds, seconds))

    def labelled(self, since_seconds: float, until_seconds: float) -> Iterator[LabelledPrediction]:
        """Answers given from `since_seconds` to before `until_seconds` whose truth is known, with the truth that holds now.

        In the order of the answers' time. Raises EvidenceLost.
        """
        self.catch_up()
        after = (since_seconds, -1)
        while page := self._labelled_page(after, until_seconds):
            yield from map(labelled_prediction, page)
            after = (page[-1][0], page[-1][1])

    def catch_up(self) -> None:
        """Join everything that is there now, however long that takes. Raises EvidenceLost."""
        while self._told(self._advance):
            pass

    def close(self) -> None:
        """Let go of the files; a later question would open them again."""
        self._truths.close()
        self._database.close()

    def _labelled_page(self, after: tuple[float, int], until_seconds: float) -> list[Sequence[Any]]:
        return self._looked(lambda joined: joined.labelled_page(after, until_seconds, PAGE_ROWS))

    def _current(self, question: Callable[[Joined], T]) -> T:
        self._told(self._advance)
        return self._looked(question)

    def _looked(self, question: Callable[[Joined], T]) -> T:
        def look() -> T:
            with self._database.look() as connection:
                return question(Joined(connection))

        return self._told(look)

    def _told(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (Unavailable, IntegrityError, OSError) as failed:
            raise EvidenceLost(f"labels cannot be joined now: {failed}", at=str(self._folder)) from failed

    def _advance(self) -> bool:
        """Join a bounded piece of what is new; whether it was too much for one piece."""
        store = self._truths.token()
        with self._database.look() as connection:
            taken = Record(connection).truths_taken(store)
        # Truths are looked up before answers: whoever sends a truth has an answer, and that is in a log by then.
        truths = self._truths.arrived(after=taken, most=MOST_TRUTHS)
        with self._database.look() as connection:
            record = Record(connection)
            grown = [name for name, size in log_files(self._folder) if record.offset(name) < size]
        if not grown and not truths:
            return False
        with self._database.transaction() as connection:
            piece = _Piece(Record(connection), self._label, self._cohort_seconds, keeps_values=self._keeps_values)
            read_bytes = piece.take_logs(self._folder, grown)
            # Another process may have taken these truths meanwhile, and later ones that change them.
            takes_truths = read_bytes < LONGEST_READ_BYTES and piece.record.truths_taken(store) == taken
            if takes_truths and truths:
                piece.take_truths(truths)
                piece.record.set_truths_taken(store, truths[-1].number)
            piece.finish()
        return (bool(truths) and not takes_truths) or read_bytes >= LONGEST_READ_BYTES or len(truths) == MOST_TRUTHS


class _Piece:
    """What one transaction joins."""

    def __init__(self, record: Record, label: Label, cohort_seconds: float, *, keeps_values: bool) -> None:
        self.record = record
        self._label = label
        self._keeps_values = keeps_values
        self._sums = Sums(label, cohort_seconds)
        self._versions = set(record.versions())

    def take_logs(self, folder: Path, names: Sequence[str]) -> int:
        """Read what is new in these logs, a bounded piece of it; how many bytes that was."""
        read_bytes = 0
        for name in names:
            if read_bytes >= LONGEST_READ_BYTES:
                break
            offset = self.record.offset(name)
            reading = read_answers(folder / name, offset, LONGEST_READ_BYTES - read_bytes)
            for line in reading.answers:
                if line.shadow:
                    self._take_copy(line)
                else:
                    self._take_answer(line)
            self.record.set_read(name, reading.offset, reading.broken)
            read_bytes += reading.offset - offset
        return read_bytes

    def take_truths(self, truths: Sequence[Arrived]) -> None:
        """Join these truths with the answers that are known."""
        for truth in truths:
            answer = self.record.answer(truth.prediction)
            if answer is None:
                self.record.add_early_truth(truth.prediction, truth.truth, truth.at_seconds)
            else:
                self._judge(truth.prediction, answer, truth.truth, truth.at_seconds)

    def finish(self) -> None:
        """Write down what it adds up to."""
        self.record.add(self._sums)
        self.record.drop_what_is_old()

    def _take_answer(self, line: Answered) -> None:
        if not self.record.add_answer(line, keeps_values=self._keeps_values):
            return
        self._versions.add(line.version)
        self._sums.answered(line.version, line.at_seconds)
        answer = Answer(line.version, line.label, line.score, line.at_seconds)
        for copy in self.record.copies_of(line.request, line.row):
            self._pair(answer, copy, line)
        early = self.record.take_early_truth(line.prediction)
        if early is not None:
            self._judge(line.prediction, answer, early.first, early.first_at_seconds)
            if early.present != early.first:
                known = answer._replace(truth=early.first)
                self._judge(line.prediction, known, early.present, early.present_at_seconds)

    def _take_copy(self, line: Answered) -> None:
        if self.record.add_copy(line):
            copy = Answer(line.version, line.label, line.score)
            for answer in self.record.answers_to(line.request, line.row, self._versions):
                self._pair(answer, copy, line)

    def _judge(self, prediction: str, answer: Answer, truth: str | float, at_seconds: float) -> None:
        if answer.truth is None:
            self._sums.labelled(answer, truth, at_seconds)
        if answer.truth != truth:
            self._sums.holds(answer, truth)
            self.record.set_truth(prediction, truth, at_seconds)

    def _pair(self, answer: Answer, copy: Answer, line: Answered) -> None:
        flipped = differs(self._label, copy.label, answer.label)
        self.record.add_pair(answer, copy, line.request, line.row, flipped=flipped)
