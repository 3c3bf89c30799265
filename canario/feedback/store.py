"""The store of late truths, one SQLite file a model that every server process writes; joining them is for join.py."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from canario.adapters.database import Database
from canario.errors import InputError
from canario.model.feedback import Feedback, Received

_SCHEMA = """
CREATE TABLE IF NOT EXISTS truths (
    number INTEGER PRIMARY KEY,  -- rises in the order of arrival, for readers that remember how far they came
    prediction TEXT NOT NULL,
    revision INTEGER NOT NULL,   -- 0: the first truth of a prediction; higher: what replaced it
    truth NOT NULL,              -- no type: words stay words and numbers stay numbers
    at_seconds REAL NOT NULL,
    UNIQUE (prediction, revision)
);
CREATE TABLE IF NOT EXISTS identity (one INTEGER PRIMARY KEY CHECK (one = 1), token TEXT NOT NULL);
INSERT OR IGNORE INTO identity VALUES (1, lower(hex(randomblob(16))));
"""


class Arrived(NamedTuple):
    """One truth as it arrived, a changed one too."""

    number: int
    """Rises in the order of arrival."""
    prediction: str
    revision: int
    """0 for a prediction's first truth."""
    truth: str | float
    at_seconds: float


class FeedbackStore:
    """Every truth that was received, for good. Opens its file with the first use."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)

    def add(self, feedback: Feedback) -> Received:
        """Keep a truth; it is on the disk when this returns. The same truth may be sent any number of times.

        Raises InputError when the truth is a number that is not finite, Unavailable when it cannot be kept now.
        """
        return self.add_many([feedback])[0]

    def add_many(self, feedback: Sequence[Feedback]) -> list[Received]:
        """The same of many, all or none: what each of them was, in their order. Raises as `add` does."""
        truths = [checked_truth(each) for each in feedback]
        with self._database.transaction() as connection:
            return [_add(connection, each, truth) for each, truth in zip(feedback, truths, strict=True)]

    def truth_of(self, prediction: str) -> str | float | None:
        """The truth of a prediction that holds now; None while nothing was said about it."""
        with self._database.look() as connection:
            found = connection.execute(
                "SELECT truth FROM truths WHERE prediction = ? ORDER BY revision DESC LIMIT 1", (prediction,)
            ).fetchone()
        return found[0] if found else None

    def token(self) -> str:
        """What tells this file from one that was put in its place: numbers begin anew there."""
        with self._database.look() as connection:
            return str(connection.execute("SELECT token FROM identity").fetchone()[0])

    def arrived(self, after: int, most: int) -> list[Arrived]:
        """What arrived, in that order: at most `most` truths, numbered higher than `after`."""
        with self._database.look() as connection:
            rows = connection.execute(
                "SELECT number, prediction, revision, truth, at_seconds FROM truths WHERE number > ?"
                " ORDER BY number LIMIT ?",
                (after, most),
            )
            return [Arrived(*row) for row in rows]

    def close(self) -> None:
        """Let go of the file; a later use would open it again."""
        self._database.close()


def checked_truth(feedback: Feedback) -> str | float:
    """The truth as it is stored: a word, or a float. Raises InputError when it is a number that is not finite."""
    truth = feedback.truth if isinstance(feedback.truth, str) else float(feedback.truth)
    if isinstance(truth, float) and not math.isfinite(truth):
        raise InputError(f"a truth must be a finite number, not {truth}", at="truth")
    return truth


def _add(connection: sqlite3.Connection, feedback: Feedback, truth: str | float) -> Received:
    known = connection.execute(
        "SELECT truth, revision FROM truths WHERE prediction = ? ORDER BY revision DESC LIMIT 1",
        (feedback.prediction,),
    ).fetchone()
    if known and known[0] == truth:
        return Received.REPEATED
    connection.execute(
        "INSERT INTO truths (prediction, revision, truth, at_seconds) VALUES (?, ?, ?, ?)",
        (feedback.prediction, known[1] + 1 if known else 0, truth, feedback.at_seconds),
    )
    return Received.CHANGED if known else Received.NEW
