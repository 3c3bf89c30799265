"""The record of retrainings in the database of feedback, and the turn to do one, for retrainings that run anywhere in a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
import psycopg

from canario.errors import Conflict, IntegrityError, Unavailable
from canario.feedback.postgres import CONNECT_SECONDS, Connection, PostgresDatabase
from canario.model.retraining import Retraining

KEPT = 1000
"""The newest of a model; at one an hour, six weeks."""
_TABLE = "CREATE TABLE IF NOT EXISTS retrainings (model text, number bigint, content json NOT NULL, PRIMARY KEY (model, number))"
_LOCK = 1_398_360_905
"""The first half of the lock's name; the model's own is the other."""


class PostgresRetrainings:
    """As canario.ports.retraining.Retrainings wants it: one row a retraining."""

    def __init__(self, url: str, model: str) -> None:
        """Raises UsageError when the address cannot be read."""
        self._url, self._model = url, model
        self._database = PostgresDatabase(url)

    def all(self) -> list[Retraining]:
        """Every one, oldest first. Raises Unavailable, or IntegrityError when the record is not what was written."""

        def read(connection: Connection) -> list[str]:
            if connection.execute("SELECT to_regclass('retrainings')").fetchone() == (None,):
                return []  # whoever only looks makes no table
            found = connection.execute(
                "SELECT content::text FROM retrainings WHERE model = %s ORDER BY number", (self._model,)
            )
            return [str(content) for (content,) in found]

        try:
            return [msgspec.json.decode(content, type=Retraining) for content in self._database.run(read)]
        except msgspec.DecodeError as broken:
            raise IntegrityError(
                f"the record of retrainings of {self._model} is not what was written: {broken}",
                at=f"{self._database.name}, table canario.retrainings",
                hint="remove the rows of this model; retrainings go on with new ones",
            ) from broken

    def keep(self, retraining: Retraining) -> None:
        """Keep it for good, in place of what was kept under its number."""
        content = msgspec.json.encode(retraining).decode()

        def write(connection: Connection) -> None:
            connection.execute(_TABLE)
            connection.execute(
                "INSERT INTO retrainings VALUES (%s, %s, %s)"
                " ON CONFLICT (model, number) DO UPDATE SET content = excluded.content",
                (self._model, retraining.number, content),
            )
            connection.execute(
                "DELETE FROM retrainings WHERE model = %s AND number <= %s", (self._model, retraining.number - KEPT)
            )

        self._database.run(write)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock until the block ends; the database lets go of it when this process is gone. Raises Conflict."""
        try:
            with psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
                asked = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK, self._model))
                is_mine = asked.fetchone() == (True,)
                if is_mine:
                    yield
                    # A server takes its time to notice that a connection is closed; the next one need not wait for it.
                    connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (_LOCK, self._model))
        except psycopg.OperationalError as lost:
            raise Unavailable(
                f"the feedback database cannot be used now: {' '.join(str(lost).split())}", at=self._database.name
            ) from lost
        if not is_mine:
            raise Conflict(
                f"{self._model} is being retrained already, by another process of this database",
                at=self._database.name,
                hint=f"`canario retrain {self._model} --history` shows how it ends; only one may run",
            )

    def is_under_way(self) -> bool:
        """Whether a living process retrains the model now."""

        def look(connection: Connection) -> bool:
            found = connection.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s::oid"
                " AND objid = (hashtext(%s)::bigint & 4294967295)::oid AND objsubid = 2 AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                (_LOCK, self._model),
            ).fetchone()
            return bool(found and found[0])

        return self._database.run(look)

    def close(self) -> None:
        """Let go of the connection; a later use would open it again."""
        self._database.close()
