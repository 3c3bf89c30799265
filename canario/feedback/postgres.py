"""One PostgreSQL database that the servers of many pods write: its tables, a connection that comes back, its failures in canario's own errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from canario.errors import IntegrityError, Unavailable, UsageError
from canario.feedback.settings import URL_VARIABLE

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 30
REST_SECONDS = 1.0
"""After a failure nobody tries for so long: those who wait for a database that is away hear of it at once."""
MOST_CLASHES = 5
"""How often a transaction that met another one is tried again."""

SCHEMA_NUMBER = 1
"""Rises with every change of SCHEMA."""
SCHEMA = """
CREATE SCHEMA IF NOT EXISTS canario;
SET LOCAL search_path TO canario;
CREATE TABLE schema_number (number integer NOT NULL);
CREATE TABLE predictions (
    model text, prediction text, version text NOT NULL, at_seconds float8 NOT NULL,
    label_word text, label_number float8, score float8 NOT NULL, row_values json NOT NULL,
    PRIMARY KEY (model, prediction)
);
CREATE INDEX predictions_by_time ON predictions USING brin (at_seconds);
CREATE TABLE truths (
    model text, prediction text, PRIMARY KEY (model, prediction),
    revision integer NOT NULL DEFAULT 0,        -- how often it has been changed
    word text, number float8, at_seconds float8 NOT NULL,
    first_word text, first_number float8, first_at_seconds float8 NOT NULL,
    look_at_seconds float8 DEFAULT 0,           -- when the join looks at it; null: nothing is left to do
    looks integer NOT NULL DEFAULT 0,           -- how often its prediction has been looked for in vain
    version text, predicted_at_seconds float8,  -- of the prediction, once it is found
    summed_word text, summed_number float8      -- the truth that the cells count
) WITH (fillfactor = 70);
CREATE INDEX truths_to_look_at ON truths (model, look_at_seconds) WHERE look_at_seconds IS NOT NULL;
CREATE INDEX truths_labelled ON truths (model, predicted_at_seconds, prediction) WHERE predicted_at_seconds IS NOT NULL;
CREATE TABLE earlier_truths (
    model text, prediction text, revision integer, word text, number float8, at_seconds float8 NOT NULL,
    PRIMARY KEY (model, prediction, revision)
);
CREATE TABLE files (
    model text, place text, name text, read_bytes bigint NOT NULL DEFAULT 0, shipped_at_seconds float8 NOT NULL,
    PRIMARY KEY (model, place, name)
);
CREATE TABLE versions (
    model text, version text, predictions bigint NOT NULL, labelled bigint NOT NULL, wrong bigint NOT NULL,
    positives bigint NOT NULL, missed bigint NOT NULL, delay_sum_seconds float8 NOT NULL, PRIMARY KEY (model, version)
);
CREATE TABLE delays (model text, version text, bin integer, truths bigint NOT NULL, PRIMARY KEY (model, version, bin));
CREATE TABLE cohorts (
    model text, begins_at_seconds float8, version text, predictions bigint NOT NULL,
    PRIMARY KEY (model, begins_at_seconds, version)
);
CREATE TABLE cells (
    model text, begins_at_seconds float8, version text, cell integer, rows bigint NOT NULL,
    score_sum float8 NOT NULL, error_sum float8 NOT NULL, error_square_sum float8 NOT NULL,
    PRIMARY KEY (model, begins_at_seconds, version, cell)
);
CREATE TABLE totals (model text PRIMARY KEY, dropped_truths bigint NOT NULL DEFAULT 0, broken_lines bigint NOT NULL DEFAULT 0);
"""
_SCHEMA_LOCK = 4_207_849_411
"""Any number that others are unlikely to lock."""


class PostgresDatabase:
    """A connection of this process. Safe for several threads, which take turns; opened when it is first needed."""

    def __init__(self, url: str, *, keeps: str = "feedback", variable: str = URL_VARIABLE) -> None:
        """`keeps` is what errors say that it keeps, and `variable` what they say that names it.

        Raises UsageError when the address cannot be read.
        """
        self._keeps, self._variable = keeps, variable
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as wrong:
            # Its words may hold a piece of the password.
            raise UsageError(
                "the database's address cannot be read",
                at=variable,
                hint="it looks like postgresql://user:password@host:5432/database; write @ in a password as %40, / as %2F",
            ) from wrong
        usual = {"connect_timeout": str(CONNECT_SECONDS), "application_name": "canario", "tcp_user_timeout": "10000"}
        self._conninfo = make_conninfo(url, **{name: value for name, value in usual.items() if name not in given})
        self.name = f"{given.get('host', 'localhost')}/{given.get('dbname', '')}"
        """What errors call it: without the password."""
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._rests_until = 0.0
        self._failure = ""

    def run(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction: all or nothing, on the database's disk when this returns.

        `work` may run more than once: after a clash with another transaction, and when a connection that was idle is gone.
        Raises Unavailable when the database cannot be used now, IntegrityError when its tables are not ours.
        """
        with self._lock:
            for clashes in range(MOST_CLASHES + 1):
                was_open = self._connection is not None
                try:
                    connection = self._opened()
                    with connection.transaction():
                        return work(connection)
                except (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation) as clash:
                    if clashes == MOST_CLASHES:
                        raise self._unavailable(clash) from clash
                except psycopg.Error as failed:
                    self._close()
                    # An idle connection may have been cut by a restart that is long over.
                    if not (was_open and clashes == 0 and isinstance(failed, psycopg.OperationalError)):
                        raise self._unavailable(failed) from failed
            raise AssertionError("the last clash is told")

    def close(self) -> None:
        """Let go of the connection; a later use would open it again."""
        with self._lock:
            self._close()

    def _opened(self) -> Connection:
        if self._connection is None:
            if time.monotonic() < self._rests_until:
                raise Unavailable(self._failure, at=self.name, hint="it is tried again in a moment: send it again then")
            connection = psycopg.connect(self._conninfo, autocommit=True)
            try:
                _have_schema(connection)
                connection.execute("SET search_path TO canario")
                connection.execute(f"SET statement_timeout TO '{STATEMENT_SECONDS}s'")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _unavailable(self, failed: psycopg.Error) -> Unavailable:
        self._rests_until = time.monotonic() + REST_SECONDS
        words = " ".join(str(failed).split())
        self._failure = f"the {self._keeps} database cannot be used now: {words[:300]}"
        return Unavailable(
            self._failure, at=self.name, hint=f"see that {self._variable} names a database that answers, then try again"
        )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _have_schema(connection: Connection) -> None:
    """Make the tables if they are missing; processes that start together take turns."""
    if _present_number(connection) is None:
        # A lock of the session, not of the transaction: within one a name that was missing before stays missing.
        connection.execute("SELECT pg_advisory_lock(%s)", (_SCHEMA_LOCK,))
        if _present_number(connection) is None:
            with connection.transaction():
                connection.execute(SCHEMA)
                connection.execute("INSERT INTO canario.schema_number VALUES (%s)", (SCHEMA_NUMBER,))
        connection.execute("SELECT pg_advisory_unlock(%s)", (_SCHEMA_LOCK,))
    found = _present_number(connection)
    if found != SCHEMA_NUMBER:
        raise IntegrityError(
            f"the tables of the feedback database are of another canario (number {found}, this one has {SCHEMA_NUMBER})",
            hint="name another database, or let every server and controller be of one release",
        )


def _present_number(connection: Connection) -> int | None:
    found = connection.execute("SELECT to_regclass('canario.schema_number')").fetchone()
    if found is None or found[0] is None:
        return None
    number = connection.execute("SELECT number FROM canario.schema_number").fetchone()
    return int(number[0]) if number else None


def word_and_number(value: str | float | None) -> tuple[str | None, float | None]:
    """A label or truth in its two columns, of which one is null."""
    return (value, None) if isinstance(value, str) else (None, value)


def value_of(word: str | None, number: float | None) -> str | float:
    """The reverse."""
    return word if word is not None else float(number or 0.0)
