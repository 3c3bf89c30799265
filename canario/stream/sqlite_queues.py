"""The tables of the embedded broker and what is done to them, each act one transaction; who may wait for whom is for sqlite.py.

A message is written once and deleted once. Whether it waits or is lent is a row in a narrow table of its own, so that lending a
message of megabytes moves a few bytes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from canario.adapters.database import Database
from canario.errors import CanarioError, NotFound, Overloaded, Unavailable
from canario.model.stream import Delivery, Message
from canario.stream.presence import Presence, is_present, sweep

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    waiting INTEGER NOT NULL DEFAULT 0  -- rows of `waiting`, counted as they change: counting them takes too long
);
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of arrival, never used again
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    content_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    sent_at_seconds REAL NOT NULL,
    reply_to TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS waiting (
    queue INTEGER NOT NULL,
    number INTEGER NOT NULL,
    had INTEGER NOT NULL,  -- 1: somebody had it before
    PRIMARY KEY (queue, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lent (number INTEGER PRIMARY KEY, queue INTEGER NOT NULL, receiver INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS receivers (number INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL UNIQUE);
"""
_SCHEMA_NUMBER = 1
MOST_BODY_BYTES = 32 * 1024 * 1024
"""Of one queue's bodies that a receiver has fetched and nobody has taken yet."""


class Receipt(NamedTuple):
    """Who has which message; both numbers are never used again."""

    receiver: int
    message: int


class Room(NamedTuple):
    """How much more of a queue a receiver may have."""

    messages: int
    body_bytes: int = MOST_BODY_BYTES
    """With all of it free a message comes, however large it is."""


@dataclass(frozen=True, slots=True)
class Put:
    """Messages for one queue, all or none."""

    queue: str
    messages: Sequence[Message]


class Queues:
    """The queues of one file. Safe for several threads, which take turns; all methods raise Unavailable and IntegrityError."""

    def __init__(self, path: Path, *, outlives_power: bool) -> None:
        self.path = path
        self._receivers = path.with_name(f"{path.name}.receivers")
        self._database = Database(path, _SCHEMA, _SCHEMA_NUMBER, outlives_power=outlives_power)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def declare(self, names: Sequence[str]) -> None:
        """Have these queues."""
        with self._database.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO queues (name) VALUES (?)", [(name,) for name in names])

    def waiting(self, names: Sequence[str]) -> dict[str, int]:
        """How many messages wait in each. Raises NotFound."""
        with self._database.look() as connection:
            return {name: self._queue(connection, name)[1] for name in names}

    def has_any(self, names: Collection[str]) -> bool:
        """Whether one of these was declared; no file is made for the question."""
        if not self.path.exists():
            return False
        with self._database.look() as connection:
            return any(row[0] in names for row in connection.execute("SELECT name FROM queues"))

    def put(self, puts: Sequence[Put], most_waiting: int) -> list[CanarioError | None]:
        """Keep what fits, all in one transaction; for each of them what kept it from being kept."""
        with self._database.transaction() as connection:
            return [self._put(connection, put, most_waiting) for put in puts]

    def enter(self, names: Sequence[str]) -> tuple[Presence, int]:
        """A new receiver of these queues, and its number. Raises NotFound."""
        self.give_back_of_the_gone()
        try:
            presence = Presence(self._receivers)
        except OSError as failed:
            raise _cannot(self._receivers, failed) from failed
        try:
            with self._database.transaction() as connection:
                for name in names:
                    self._queue(connection, name)
                done = connection.execute("INSERT INTO receivers (token) VALUES (?)", (presence.token,))
                return presence, int(done.lastrowid or 0)
        except BaseException:
            presence.end()
            raise

    def has_waiting(self, names: Collection[str]) -> bool:
        """Whether a message waits in one of these; nobody is kept waiting by the question."""
        with self._database.look() as connection:
            return any(row[0] in names for row in connection.execute("SELECT name FROM queues WHERE waiting > 0"))

    def turn(self, receiver: int, token: str, done: Sequence[int], room: Mapping[str, Room]) -> list[Delivery]:
        """Forget what a receiver is done with and lend it what it has room for of each queue, in their order."""
        with self._database.transaction() as connection:
            if not connection.execute(
                "SELECT 1 FROM receivers WHERE number = ? AND token = ?", (receiver, token)
            ).fetchone():
                raise Unavailable(
                    f"{self.path.name} is not the file any more that these messages came from",
                    at=str(self.path),
                    hint="connect again",
                )
            numbers = [(number,) for number in done]
            connection.executemany("DELETE FROM lent WHERE number = ?", numbers)
            connection.executemany("DELETE FROM messages WHERE number = ?", numbers)
            return [each for name, there in room.items() for each in self._lend(connection, receiver, name, there)]

    def leave(self, receiver: int, unseen: Mapping[str, Sequence[int]]) -> None:
        """Have all messages of a receiver wait again at their old places; `unseen`: by queue, those that nobody has seen."""
        with self._database.transaction() as connection:
            self._give_back(connection, receiver)
            for name, numbers in unseen.items():
                queue, _ = self._queue(connection, name)
                connection.executemany(
                    "UPDATE waiting SET had = 0 WHERE queue = ? AND number = ?", [(queue, number) for number in numbers]
                )

    def give_back_of_the_gone(self, besides: int = 0) -> None:
        """Have the messages of receivers wait again whose processes have ended; costs a lock tried a receiver."""
        with self._database.look() as connection:
            receivers = connection.execute(
                "SELECT number, token FROM receivers WHERE number != ?", (besides,)
            ).fetchall()
        try:
            gone = [number for number, token in receivers if not is_present(self._receivers, token)]
        except OSError as failed:
            raise _cannot(self._receivers, failed) from failed
        if gone:
            with self._database.transaction() as connection:
                for number in gone:
                    self._give_back(connection, number)

    def sweep(self) -> None:
        """Remove the files of receivers that ended before they were known."""
        with self._database.look() as connection:
            known = {token for (token,) in connection.execute("SELECT token FROM receivers")}
        try:
            sweep(self._receivers, known)
        except OSError as failed:
            raise _cannot(self._receivers, failed) from failed

    def _queue(self, connection: sqlite3.Connection, name: str) -> tuple[int, int]:
        found = connection.execute("SELECT number, waiting FROM queues WHERE name = ?", (name,)).fetchone()
        if found is None:
            raise NotFound(
                f"no queue {name}", at=str(self.path), hint="start `canario worker` once: it declares a model's queues"
            )
        return found[0], found[1]

    def _put(self, connection: sqlite3.Connection, put: Put, most_waiting: int) -> CanarioError | None:
        try:
            queue, waiting = self._queue(connection, put.queue)
        except NotFound as unknown:
            return unknown
        if waiting + len(put.messages) > most_waiting:
            return Overloaded(
                f"{waiting} messages wait in {put.queue}: no more than {most_waiting} may",
                at=str(self.path),
                hint="start another worker, or send again when fewer wait",
            )
        for each in put.messages:
            number = connection.execute(
                "INSERT INTO messages (id, body, content_type, headers, sent_at_seconds, reply_to) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    each.id,
                    each.body,
                    each.content_type,
                    json.dumps(dict(each.headers)),
                    each.sent_at_seconds,
                    each.reply_to,
                ),
            ).lastrowid
            connection.execute("INSERT INTO waiting VALUES (?, ?, 0)", (queue, number))
        connection.execute("UPDATE queues SET waiting = waiting + ? WHERE number = ?", (len(put.messages), queue))
        return None

    def _lend(self, connection: sqlite3.Connection, receiver: int, name: str, room: Room) -> list[Delivery]:
        queue, waiting = self._queue(connection, name)
        if not waiting:
            return []
        numbers = connection.execute(
            "SELECT number, length(body) FROM waiting JOIN messages USING (number) WHERE queue = ? ORDER BY number LIMIT ?",
            (queue, room.messages),
        ).fetchall()
        last, bytes_of_all = -1, 0
        for number, size in numbers:
            bytes_of_all += size
            if bytes_of_all > room.body_bytes and not (last < 0 and room.body_bytes == MOST_BODY_BYTES):
                break
            last = number
        if last < 0:
            return []
        rows = connection.execute(
            "SELECT number, had, id, body, content_type, headers, sent_at_seconds, reply_to"
            " FROM waiting JOIN messages USING (number) WHERE queue = ? AND number <= ? ORDER BY number",
            (queue, last),
        ).fetchall()
        # They are the first ones of their queue, so all that is numbered up to the last of them.
        connection.execute("DELETE FROM waiting WHERE queue = ? AND number <= ?", (queue, last))
        connection.executemany("INSERT INTO lent VALUES (?, ?, ?)", [(row[0], queue, receiver) for row in rows])
        connection.execute("UPDATE queues SET waiting = waiting - ? WHERE number = ?", (len(rows), queue))
        return [_delivery(name, Receipt(receiver, row[0]), *row[1:]) for row in rows]

    def _give_back(self, connection: sqlite3.Connection, receiver: int) -> None:
        connection.execute("INSERT INTO waiting SELECT queue, number, 1 FROM lent WHERE receiver = ?", (receiver,))
        connection.execute(
            "UPDATE queues SET waiting = waiting + (SELECT count(*) FROM lent WHERE receiver = ? AND queue = queues.number)",
            (receiver,),
        )
        connection.execute("DELETE FROM lent WHERE receiver = ?", (receiver,))
        connection.execute("DELETE FROM receivers WHERE number = ?", (receiver,))


def _delivery(queue: str, receipt: Receipt, had: int, *row: Any) -> Delivery:
    name, body, content_type, headers, sent_at_seconds, reply_to = row
    message = Message(
        id=name,
        body=body,
        content_type=content_type,
        headers=json.loads(headers),
        sent_at_seconds=sent_at_seconds,
        reply_to=reply_to,
    )
    return Delivery(message=message, queue=queue, is_redelivered=bool(had), receipt=receipt)


def _cannot(path: Path, failed: OSError) -> Unavailable:
    return Unavailable(
        f"{path.name} cannot be used now: {failed.strerror}",
        at=str(path),
        hint="see that this process may write there and that the disk has space, then try again",
    )
