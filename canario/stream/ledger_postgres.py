"""A ledger in PostgreSQL, for workers that run anywhere in a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from canario.feedback.postgres import Connection, PostgresDatabase
from canario.model.stream import Message
from canario.stream.ledger import MOST_FORGOTTEN, URL_VARIABLE, Known

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message_answers (
    model text, id text, kept_at_seconds float8 NOT NULL,
    answer bytea,                -- null once it is known that it was sent
    PRIMARY KEY (model, id)
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS message_answers_by_age ON message_answers (kept_at_seconds);
CREATE TABLE IF NOT EXISTS message_attempts (
    model text, id text, attempts integer NOT NULL, at_seconds float8 NOT NULL, PRIMARY KEY (model, id)
);
"""
T = TypeVar("T")

_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(Message)


class PostgresLedger:
    """As canario.stream.ledger.Ledger wants it."""

    def __init__(self, url: str, model: str) -> None:
        """Raises UsageError when the address cannot be read."""
        # Who looks need not wait for who writes.
        self._read = PostgresDatabase(url, keeps="ledger", variable=URL_VARIABLE)
        self._written = PostgresDatabase(url, keeps="ledger", variable=URL_VARIABLE)
        self._model = model
        self._has_tables = False

    def look(self, messages: Mapping[str, bool]) -> Mapping[str, Known]:
        """What is known, by id."""
        return self._run(self._read, lambda connection: self._look(connection, messages))

    def write(self, answers: Sequence[Message], sent: Sequence[str], forgiven: Sequence[str]) -> Mapping[str, Known]:
        """Keep answers, those that were sent, and forget the attempts of the forgiven."""
        # Everybody locks in one order, so that two writers wait for each other instead of clashing.
        first = {answer.id: answer for answer in reversed(answers)}
        packed = [(each, _PACK.encode(first[each])) for each in sorted(first)]

        def work(connection: Connection) -> Mapping[str, Known]:
            self._have_tables(connection)
            added = connection.execute(
                "INSERT INTO message_answers SELECT %s, id, %s, answer FROM unnest(%s::text[], %s::bytea[]) AS given (id, answer)"
                ' ORDER BY id COLLATE "C" ON CONFLICT DO NOTHING RETURNING id',
                (self._model, time.time(), [each for each, _ in packed], [each for _, each in packed]),
            )
            held = {str(each): Known(answer=first[str(each)]) for (each,) in added}
            rest = [each for each in first if each not in held]
            if rest:
                held |= self._known(connection, rest)
            if sent:
                connection.execute(
                    "UPDATE message_answers SET answer = NULL WHERE model = %s AND id IN"
                    " (SELECT id FROM message_answers WHERE model = %s AND id = ANY(%s)"
                    ' ORDER BY id COLLATE "C" FOR UPDATE)',
                    (self._model, self._model, list(sent)),
                )
            if forgiven:
                connection.execute(
                    "DELETE FROM message_attempts WHERE model = %s AND id = ANY(%s)", (self._model, list(forgiven))
                )
            return held

        return self._run(self._written, work)

    def forget(self, before_seconds: float) -> int:
        """Forget some of what is older."""

        def work(connection: Connection) -> int:
            self._have_tables(connection)
            connection.execute("DELETE FROM message_attempts WHERE at_seconds < %s", (before_seconds,))
            gone = connection.execute(
                "DELETE FROM message_answers WHERE (model, id) IN (SELECT model, id FROM message_answers"
                " WHERE kept_at_seconds < %s LIMIT %s FOR UPDATE SKIP LOCKED)",
                (before_seconds, MOST_FORGOTTEN),
            )
            return gone.rowcount

        return self._run(self._written, work)

    def close(self) -> None:
        """Let go of the connections."""
        self._read.close()
        self._written.close()

    def _look(self, connection: Connection, messages: Mapping[str, bool]) -> Mapping[str, Known]:
        self._have_tables(connection)
        known = {each: Known() for each in messages} | self._known(connection, list(messages))
        again = sorted(each for each, was_before in messages.items() if was_before and known[each] == Known())
        if again:
            counted = connection.execute(
                "INSERT INTO message_attempts SELECT %s, id, 1, %s FROM unnest(%s::text[]) AS given (id)"
                ' ORDER BY id COLLATE "C" ON CONFLICT (model, id) DO UPDATE SET attempts = message_attempts.attempts + 1'
                " RETURNING id, attempts",
                (self._model, time.time(), again),
            )
            known |= {str(each): Known(attempts=int(attempts)) for each, attempts in counted}
        return known

    def _known(self, connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
        found = connection.execute(
            "SELECT id, answer FROM message_answers WHERE model = %s AND id = ANY(%s)", (self._model, list(ids))
        )
        return {
            str(each): Known(is_sent=True) if packed is None else Known(answer=_UNPACK.decode(bytes(packed)))
            for each, packed in found
        }

    def _have_tables(self, connection: Connection) -> None:
        if not self._has_tables:
            connection.execute(_SCHEMA)  # two at once clash, and then one of them is run again

    def _run(self, database: PostgresDatabase, work: Callable[[Connection], T]) -> T:
        done = database.run(work)
        self._has_tables = True
        return done
