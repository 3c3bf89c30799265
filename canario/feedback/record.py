"""What the join remembers on disk, so that a restart goes on where it stood and no count is lost with a cleared log; the rules are join.py's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from canario.feedback.reading import Answered
from canario.feedback.sums import Answer, Sums
from canario.model.feedback import prediction_id

LONGEST_ANSWERS = 5_000_000
"""The newest answers that a truth can still meet, and that can be learnt from: about two gigabytes with a dozen columns."""
LONGEST_COPIES = 200_000
"""The newest shadow copies that wait for the answer that the user got."""
LONGEST_EARLY_TRUTHS = 100_000
"""The newest truths that wait for their prediction."""

SCHEMA_NUMBER = 2
"""Rises with every change of SCHEMA."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY, prediction TEXT NOT NULL UNIQUE, version TEXT NOT NULL, at_seconds REAL NOT NULL,
    label NOT NULL, score REAL NOT NULL, row_values BLOB NOT NULL,
    truth, truth_at_seconds REAL      -- the one that holds now; none while it is not labelled
);
CREATE INDEX IF NOT EXISTS labelled ON answers (at_seconds, number) WHERE truth IS NOT NULL;
CREATE TABLE IF NOT EXISTS copies (
    number INTEGER PRIMARY KEY, request TEXT NOT NULL, row INTEGER NOT NULL, version TEXT NOT NULL,
    label NOT NULL, score REAL NOT NULL, paired INTEGER NOT NULL DEFAULT 0, UNIQUE (request, row, version)
);
CREATE TABLE IF NOT EXISTS early_truths (
    number INTEGER PRIMARY KEY, prediction TEXT NOT NULL UNIQUE,
    first NOT NULL, first_at_seconds REAL NOT NULL, present NOT NULL, present_at_seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS versions (
    version TEXT PRIMARY KEY, predictions INTEGER NOT NULL DEFAULT 0,
    labelled INTEGER NOT NULL DEFAULT 0, wrong INTEGER NOT NULL DEFAULT 0,
    positives INTEGER NOT NULL DEFAULT 0, missed INTEGER NOT NULL DEFAULT 0, delay_sum_seconds REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delays (
    version TEXT NOT NULL, bin INTEGER NOT NULL, truths INTEGER NOT NULL, PRIMARY KEY (version, bin)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cohorts (
    begins_at_seconds REAL NOT NULL, version TEXT NOT NULL, predictions INTEGER NOT NULL,
    PRIMARY KEY (begins_at_seconds, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cells (
    begins_at_seconds REAL NOT NULL, version TEXT NOT NULL, cell INTEGER NOT NULL, rows INTEGER NOT NULL,
    score_sum REAL NOT NULL, error_sum REAL NOT NULL, error_square_sum REAL NOT NULL,
    PRIMARY KEY (begins_at_seconds, version, cell)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS comparisons (
    stable TEXT NOT NULL, candidate TEXT NOT NULL,
    pairs INTEGER NOT NULL DEFAULT 0, flips INTEGER NOT NULL DEFAULT 0, distance_sum REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (stable, candidate)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    one INTEGER PRIMARY KEY CHECK (one = 1), store TEXT NOT NULL, truths_taken INTEGER NOT NULL,
    dropped_truths INTEGER NOT NULL, dropped_copies INTEGER NOT NULL, broken_lines INTEGER NOT NULL
);
INSERT OR IGNORE INTO totals VALUES (1, '', 0, 0, 0, 0);
"""


class EarlyTruth(NamedTuple):
    """What was said about a prediction before it was seen."""

    first: str | float
    first_at_seconds: float
    present: str | float
    present_at_seconds: float


class Record:
    """The tables, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._run_many = connection.executemany

    def offset(self, name: str) -> int:
        """How far a log has been read, in bytes."""
        found = self._run("SELECT offset FROM files WHERE name = ?", (name,)).fetchone()
        return int(found[0]) if found else 0

    def set_read(self, name: str, offset: int, broken: int) -> None:
        """Remember how far a log has been read, and how many of the lines on the way were broken."""
        self._run("INSERT OR REPLACE INTO files VALUES (?, ?)", (name, offset))
        self._run("UPDATE totals SET broken_lines = broken_lines + ?", (broken,))

    def truths_taken(self, store: str) -> int:
        """The number of the last truth that was taken from the store with this token."""
        found = self._run("SELECT truths_taken FROM totals WHERE store = ?", (store,)).fetchone()
        return int(found[0]) if found else 0

    def set_truths_taken(self, store: str, number: int) -> None:
        self._run("UPDATE totals SET store = ?, truths_taken = ?", (store, number))

    def add_answer(self, line: Answered, *, keeps_values: bool) -> bool:
        """Keep an answer that a user got; False when it is here already."""
        values = bytes(line.values) if keeps_values else b""
        return (
            self._run(
                "INSERT OR IGNORE INTO answers (prediction, version, at_seconds, label, score, row_values)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (line.prediction, line.version, line.at_seconds, line.label, line.score, values),
            ).rowcount
            > 0
        )

    def add_copy(self, line: Answered) -> bool:
        """Keep a shadow copy's answer; False when it is here already."""
        return (
            self._run(
                "INSERT OR IGNORE INTO copies (request, row, version, label, score) VALUES (?, ?, ?, ?, ?)",
                (line.request, line.row, line.version, line.label, line.score),
            ).rowcount
            > 0
        )

    def versions(self) -> list[str]:
        """The versions that have answered users."""
        return [version for (version,) in self._run("SELECT version FROM versions")]

    def answer(self, prediction: str) -> Answer | None:
        """What the user got, by the prediction's id."""
        found = self._run(
            "SELECT version, label, score, at_seconds, truth FROM answers WHERE prediction = ?", (prediction,)
        ).fetchone()
        return Answer(*found) if found else None

    def answers_to(self, request: str, row: int, versions: Iterable[str]) -> list[Answer]:
        """What users got for a row, of any of these versions."""
        found = (self.answer(prediction_id(version, request, row)) for version in versions)
        return [answer for answer in found if answer]

    def copies_of(self, request: str, row: int) -> list[Answer]:
        """What shadow copies of a row gave."""
        found = self._run("SELECT version, label, score FROM copies WHERE request = ? AND row = ?", (request, row))
        return [Answer(*copy) for copy in found]

    def add_pair(self, stable: Answer, candidate: Answer, request: str, row: int, *, flipped: bool) -> None:
        """Count a pair."""
        self._run(
            "UPDATE copies SET paired = 1 WHERE request = ? AND row = ? AND version = ?",
            (request, row, candidate.version),
        )
        self._run(
            "INSERT INTO comparisons VALUES (?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET"
            " pairs = pairs + 1, flips = flips + excluded.flips, distance_sum = distance_sum + excluded.distance_sum",
            (stable.version, candidate.version, flipped, abs(candidate.score - stable.score)),
        )

    def take_early_truth(self, prediction: str) -> EarlyTruth | None:
        """The truth that came before its prediction, which waits no longer."""
        found = self._run(
            "DELETE FROM early_truths WHERE prediction = ?"
            " RETURNING first, first_at_seconds, present, present_at_seconds",
            (prediction,),
        ).fetchone()
        return EarlyTruth(*found) if found else None

    def add_early_truth(self, prediction: str, truth: str | float, at_seconds: float) -> None:
        """Keep a truth until its prediction is seen; the first one and the one that holds now."""
        self._run(
            "INSERT INTO early_truths (prediction, first, first_at_seconds, present, present_at_seconds)"
            " VALUES (?1, ?2, ?3, ?2, ?3) ON CONFLICT DO UPDATE SET"
            " present = excluded.present, present_at_seconds = excluded.present_at_seconds",
            (prediction, truth, at_seconds),
        )

    def set_truth(self, prediction: str, truth: str | float, at_seconds: float) -> None:
        """Let a truth hold from now on."""
        self._run(
            "UPDATE answers SET truth = ?, truth_at_seconds = ? WHERE prediction = ?", (truth, at_seconds, prediction)
        )

    def add(self, sums: Sums) -> None:
        """Add to the counts of versions and cohorts."""
        self._run_many(
            "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " predictions = predictions + excluded.predictions, labelled = labelled + excluded.labelled,"
            " wrong = wrong + excluded.wrong, positives = positives + excluded.positives,"
            " missed = missed + excluded.missed, delay_sum_seconds = delay_sum_seconds + excluded.delay_sum_seconds",
            [(version, *counts) for version, counts in sums.versions.items()],
        )
        self._run_many(
            "INSERT INTO delays VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET truths = truths + excluded.truths",
            [(*key, truths) for key, truths in sums.delays.items()],
        )
        self._run_many(
            "INSERT INTO cohorts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " predictions = predictions + excluded.predictions",
            [(*place, number) for place, number in sums.predictions.items()],
        )
        self._run_many(
            "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " rows = rows + excluded.rows, score_sum = score_sum + excluded.score_sum,"
            " error_sum = error_sum + excluded.error_sum,"
            " error_square_sum = error_square_sum + excluded.error_square_sum",
            [(begins_at_seconds, version, *cell) for begins_at_seconds, version, cell in sums.cells()],
        )

    def drop_what_is_old(self) -> None:
        """Keep the newest of everything that waits, and count what waited in vain."""
        self._run("DELETE FROM answers WHERE number <= (SELECT max(number) FROM answers) - ?", (LONGEST_ANSWERS,))
        self._run(
            "UPDATE totals SET dropped_copies = dropped_copies + (SELECT count(*) FROM copies"
            " WHERE NOT paired AND number <= (SELECT max(number) FROM copies) - ?)",
            (LONGEST_COPIES,),
        )
        self._run("DELETE FROM copies WHERE number <= (SELECT max(number) FROM copies) - ?", (LONGEST_COPIES,))
        dropped = self._run(
            "DELETE FROM early_truths WHERE number <= (SELECT max(number) FROM early_truths) - ?",
            (LONGEST_EARLY_TRUTHS,),
        ).rowcount
        self._run("UPDATE totals SET dropped_truths = dropped_truths + ?", (dropped,))
