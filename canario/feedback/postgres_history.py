"""The history of a model in PostgreSQL: joins what servers shipped with the truths that arrived, and answers from the sums.

A truth waits until its prediction is there: servers ship their logs a moment after they have answered. It is looked for
at once, then ever more rarely, so that an id that nobody was given costs next to nothing. A truth and its prediction may
be committed in any order: the join looks at the truth, and whichever comes last, the next look finds both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from canario.errors import EvidenceLost, IntegrityError, Unavailable
from canario.feedback.postgres import Connection, PostgresDatabase, value_of
from canario.feedback.postgres_sums import add_sums
from canario.feedback.retention import CLEAR_EVERY_SECONDS, clear_old
from canario.feedback.settings import feedback_settings
from canario.feedback.sums import Answer, Sums, cohorts_of, delays_of, label_counts, window_of
from canario.model.card import Label
from canario.model.feedback import LabelCounts, LabelledPrediction, Unmatched
from canario.model.quality import Cohort, Delays

T = TypeVar("T")

MOST_TRUTHS = 10_000
"""What one transaction joins at most."""
PAGE_ROWS = 2000
"""Labelled answers that are read at once."""
LONGEST_LOOK_SECONDS = 3600.0
"""How rarely an unknown id is looked for in the end."""


class PostgresHistory:
    """One model's. One caller at a time; several processes may ask, and take turns joining."""

    def __init__(self, url: str, model: str, label: Label) -> None:
        """Raises UsageError for an address or setting that cannot be."""
        self._database = PostgresDatabase(url)
        self._model, self._label = model, label
        self._settings = feedback_settings()
        self._clears_at = 0.0

    def counts(self) -> Mapping[str, LabelCounts]:
        """By version that has answered users; cumulative, never falling. Raises EvidenceLost."""
        self._advance()
        return label_counts(
            self._rows("SELECT version, labelled, wrong, positives, missed FROM versions WHERE model = %s", self._model)
        )

    def predictions(self) -> Mapping[str, int]:
        """By version: the answers that users got; cumulative, never falling. Raises EvidenceLost."""
        return dict(self._rows("SELECT version, predictions FROM versions WHERE model = %s", self._model))

    def delays(self) -> Mapping[str, Delays]:
        """By version: how long first truths took; cumulative, never falling. Raises EvidenceLost."""
        self._advance()
        sums = dict(self._rows("SELECT version, delay_sum_seconds FROM versions WHERE model = %s", self._model))
        return delays_of(self._rows("SELECT version, bin, truths FROM delays WHERE model = %s", self._model), sums)

    def unmatched(self) -> Unmatched:
        """What found no partner so far; copies are joined elsewhere. Raises EvidenceLost."""
        self._advance()
        ((waiting, dropped, broken),) = self._rows(
            "SELECT (SELECT count(*) FROM truths WHERE model = %s AND look_at_seconds IS NOT NULL AND version IS NULL),"
            " coalesce(sum(dropped_truths), 0), coalesce(sum(broken_lines), 0) FROM totals WHERE model = %s",
            self._model,
            self._model,
        )
        return Unmatched(truths=int(waiting) + int(dropped), broken_lines=int(broken))

    def began_at_seconds(self) -> float | None:
        """When the cohort of the oldest answer that is known begins; None before the first. Raises EvidenceLost."""
        ((found,),) = self._rows("SELECT min(begins_at_seconds) FROM cohorts WHERE model = %s", self._model)
        return None if found is None else float(found)

    def cohorts(self, since_seconds: float, until_seconds: float, cohort_seconds: float = 3600) -> Sequence[Cohort]:
        """Answers and labels by version and span of time; oldest first, then by version, empty ones left out.

        The spans that begin from `since_seconds` to before `until_seconds`. Raises EvidenceLost.
        """
        seconds = max(cohort_seconds, self._settings.cohort_seconds)
        self._advance()
        within = "WHERE model = %s AND begins_at_seconds >= %s AND begins_at_seconds < %s"
        window = (self._model, *window_of(since_seconds, until_seconds, seconds))
        return cohorts_of(
            self._label,
            seconds,
            self._rows(f"SELECT begins_at_seconds, version, predictions FROM cohorts {within}", *window),  # noqa: S608 - fixed words
            self._rows(
                "SELECT begins_at_seconds, version, cell, rows, score_sum, error_sum, error_square_sum"  # noqa: S608
                f" FROM cells {within}",
                *window,
            ),
        )

    def labelled(self, since_seconds: float, until_seconds: float) -> Iterator[LabelledPrediction]:
        """Answers given from `since_seconds` to before `until_seconds` whose truth is known, with the truth that holds now.

        In the order of the answers' time. Raises EvidenceLost.
        """
        self.catch_up()
        after: tuple[float, str] = (since_seconds, "")
        while page := self._labelled_page(after, until_seconds):
            yield from map(_labelled_prediction, page)
            after = (page[-1][0], page[-1][1])

    def catch_up(self) -> None:
        """Join everything that is there now, however long that takes. Raises EvidenceLost."""
        while self._advance() == MOST_TRUTHS:
            pass

    def close(self) -> None:
        """Let go of the connection; a later question would open it again."""
        self._database.close()

    def _advance(self) -> int:
        """Join a bounded piece of what is new; how many truths were looked at."""
        looked_at = self._run(
            lambda connection: _join(connection, self._model, self._label, self._settings.cohort_seconds)
        )
        if time.monotonic() >= self._clears_at:
            self._clears_at = time.monotonic() + CLEAR_EVERY_SECONDS
            oldest_seconds = time.time() - self._settings.kept_days * 86400
            while self._run(lambda connection: clear_old(connection, self._model, oldest_seconds)):
                pass
        return looked_at

    def _labelled_page(self, after: tuple[float, str], until_seconds: float) -> list[tuple[Any, ...]]:
        return self._rows(
            "SELECT t.predicted_at_seconds, t.prediction, t.version, p.label_word, p.label_number, p.score, p.row_values,"
            " t.word, t.number, t.at_seconds FROM truths t JOIN predictions p USING (model, prediction)"
            " WHERE t.model = %s AND (t.predicted_at_seconds, t.prediction) > (%s, %s) AND t.predicted_at_seconds < %s"
            " ORDER BY t.predicted_at_seconds, t.prediction LIMIT %s",
            self._model,
            *after,
            until_seconds,
            PAGE_ROWS,
        )

    def _rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        return self._run(lambda connection: connection.execute(question, values).fetchall())

    def _run(self, work: Callable[[Connection], T]) -> T:
        try:
            return self._database.run(work)
        except (Unavailable, IntegrityError) as failed:
            raise EvidenceLost(f"labels cannot be joined now: {failed.message}", at=failed.at) from failed


def _join(connection: Connection, model: str, label: Label, cohort_seconds: float) -> int:
    """One transaction's piece; how many truths it looked at."""
    locked = connection.execute(
        "SELECT pg_try_advisory_xact_lock(hashtext('canario'), hashtext(%s))", (model,)
    ).fetchone()
    if locked is None or not locked[0]:
        return 0  # somebody else joins right now
    now_seconds = time.time()
    rows = connection.execute(
        "SELECT t.prediction, t.word, t.number, t.first_word, t.first_number, t.first_at_seconds, t.version,"
        " t.summed_word, t.summed_number, p.version, p.label_word, p.label_number, p.score, p.at_seconds"
        " FROM truths t LEFT JOIN predictions p USING (model, prediction)"
        " WHERE t.model = %s AND t.look_at_seconds <= %s ORDER BY t.look_at_seconds LIMIT %s FOR UPDATE OF t SKIP LOCKED",
        (model, now_seconds, MOST_TRUTHS),
    ).fetchall()
    found = [row for row in rows if row[9] is not None]
    sums = Sums(label, cohort_seconds)
    for row in found:
        _sum_up(sums, row)
    connection.execute(
        "UPDATE truths SET look_at_seconds = NULL, version = found.version, predicted_at_seconds = found.at_seconds,"
        " summed_word = word, summed_number = number"
        " FROM unnest(%s::text[], %s::text[], %s::float8[]) AS found (prediction, version, at_seconds)"
        " WHERE truths.model = %s AND truths.prediction = found.prediction",
        ([row[0] for row in found], [row[9] for row in found], [row[13] for row in found], model),
    )
    connection.execute(
        "UPDATE truths SET look_at_seconds = %s + least(%s, power(2, least(looks, 20))), looks = looks + 1"
        " WHERE model = %s AND prediction = ANY(%s)",
        (now_seconds, LONGEST_LOOK_SECONDS, model, [row[0] for row in rows if row[9] is None]),
    )
    add_sums(connection, model, sums)
    return len(rows)


def _sum_up(sums: Sums, row: tuple[Any, ...]) -> None:
    _, word, number, first_word, first_number, first_at_seconds, joined, summed_word, summed_number, *answered = row
    version, label_word, label_number, score, at_seconds = answered
    answer = Answer(version, value_of(label_word, label_number), score, at_seconds)
    truth = value_of(word, number)
    if joined is None:
        sums.labelled(answer, value_of(first_word, first_number), first_at_seconds)
        sums.holds(answer, truth)
    elif value_of(summed_word, summed_number) != truth:
        sums.holds(answer._replace(truth=value_of(summed_word, summed_number)), truth)


def _labelled_prediction(row: tuple[Any, ...]) -> LabelledPrediction:
    at_seconds, prediction, version, label_word, label_number, score, values, word, number, truth_at_seconds = row
    return LabelledPrediction(
        prediction=prediction,
        version=version,
        at_seconds=at_seconds,
        label=value_of(label_word, label_number),
        score=score,
        values=values,
        truth=value_of(word, number),
        truth_at_seconds=truth_at_seconds,
    )
