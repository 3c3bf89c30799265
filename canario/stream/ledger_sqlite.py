"""A ledger in a SQLite file, for the workers of one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from canario.adapters.database import Database
from canario.model.stream import Message
from canario.stream.ledger import MOST_FORGOTTEN, Known

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    model TEXT, id TEXT, kept_at_seconds REAL NOT NULL,
    answer BLOB,                 -- null once it is known that it was sent
    PRIMARY KEY (model, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_age ON answers (kept_at_seconds);
CREATE TABLE IF NOT EXISTS attempts (
    model TEXT, id TEXT, attempts INTEGER NOT NULL, at_seconds REAL NOT NULL, PRIMARY KEY (model, id)
) WITHOUT ROWID;
"""
_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(Message)


class SqliteLedger:
    """As canario.stream.ledger.Ledger wants it."""

    def __init__(self, path: Path, model: str) -> None:
        # Who looks need not wait for who writes.
        self._read, self._written = Database(path, _SCHEMA), Database(path, _SCHEMA)
        self._model = model

    def look(self, messages: Mapping[str, bool]) -> Mapping[str, Known]:
        """What is known, by id."""
        with self._read.look() as connection:
            known = {each: self._known(connection, each) for each in messages}
        again = [each for each, was_before in messages.items() if was_before and known[each] == Known()]
        if again:
            with self._written.transaction() as connection:
                known |= {each: Known(attempts=self._attempt(connection, each)) for each in again}
        return known

    def write(self, answers: Sequence[Message], sent: Sequence[str], forgiven: Sequence[str]) -> Mapping[str, Known]:
        """Keep answers, those that were sent, and forget the attempts of the forgiven."""
        now, model = time.time(), self._model
        with self._written.transaction() as connection:
            held = {}
            for answer in answers:
                added = connection.execute(
                    "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", (model, answer.id, now, _PACK.encode(answer))
                )
                held[answer.id] = Known(answer=answer) if added.rowcount else self._known(connection, answer.id)
            connection.executemany(
                "UPDATE answers SET answer = NULL WHERE model = ? AND id = ?", [(model, each) for each in sent]
            )
            connection.executemany(
                "DELETE FROM attempts WHERE model = ? AND id = ?", [(model, each) for each in forgiven]
            )
        return held

    def forget(self, before_seconds: float) -> int:
        """Forget some of what is older."""
        with self._written.transaction() as connection:
            old = connection.execute(
                "SELECT model, id FROM answers WHERE kept_at_seconds < ? LIMIT ?", (before_seconds, MOST_FORGOTTEN)
            ).fetchall()
            connection.executemany("DELETE FROM answers WHERE model = ? AND id = ?", old)
            connection.execute("DELETE FROM attempts WHERE at_seconds < ?", (before_seconds,))
        return len(old)

    def close(self) -> None:
        """Let go of the file."""
        self._read.close()
        self._written.close()

    def _known(self, connection: sqlite3.Connection, message: str) -> Known:
        found = connection.execute(
            "SELECT answer FROM answers WHERE model = ? AND id = ?", (self._model, message)
        ).fetchone()
        if found is None:
            return Known()
        return Known(answer=_UNPACK.decode(found[0])) if found[0] is not None else Known(is_sent=True)

    def _attempt(self, connection: sqlite3.Connection, message: str) -> int:
        counted = connection.execute(
            "INSERT INTO attempts VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE SET attempts = attempts + 1 RETURNING attempts",
            (self._model, message, time.time()),
        ).fetchone()
        return int(counted[0])
