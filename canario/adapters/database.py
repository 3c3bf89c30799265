"""One SQLite file, opened when first needed and again when it was replaced; its failures in canario's own errors."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from canario.errors import IntegrityError, Unavailable

BUSY_SECONDS = 5.0
"""How long a writer waits for the others before it gives up; a write takes milliseconds."""


class Database:
    """A file that many processes write. Safe for several threads, which take turns."""

    def __init__(self, path: Path, schema: str, schema_number: int = 0, *, outlives_power: bool = True) -> None:
        """`schema`: statements that make what is missing; they may run any number of times.

        A file that was made with another `schema_number` is refused with IntegrityError. Without `outlives_power` a
        transaction outlives a killed process, but the last ones not a power cut: many times faster on most disks.
        """
        self.path = path
        self._schema = schema
        self._schema_number = schema_number
        self._synchronous = "FULL" if outlives_power else "NORMAL"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, alone among all writers, on the disk (see `outlives_power`) when the block has ended.

        Raises Unavailable when the file cannot be opened or written now (then nothing has changed),
        IntegrityError when it is no database.
        """
        with self._begun("BEGIN IMMEDIATE") as connection:
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """Read what is committed at one moment, without keeping anybody waiting. Raises as `transaction` does."""
        with self._begun("BEGIN", "SELECT 1 FROM sqlite_schema") as connection:
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file; a later use would open it again."""
        with self._lock:
            self._close()

    @contextlib.contextmanager
    def _begun(self, *statements: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            until = time.monotonic() + BUSY_SECONDS
            while True:
                try:
                    connection = self._opened()
                    for statement in statements:
                        connection.execute(statement)
                    break
                except sqlite3.OperationalError as failed:
                    if not _is_busy(failed) or time.monotonic() > until:
                        self._close()
                        raise
                    if self._connection is not None and self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    # Where SQLite is built without usleep its own waiting looks once a second, and may never get its turn.
                    time.sleep(0.001)
            yield connection

    def _opened(self) -> sqlite3.Connection:
        # Somebody may have removed or replaced the file: what is written to a nameless file is lost without a word.
        if self._connection is None or self._file != self._present_file():
            self._close()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA synchronous = {self._synchronous}")
                self._have_schema(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._file = self._present_file()
        return self._connection

    def _have_schema(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != self._schema_number and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise IntegrityError(
                f"{self.path.name} was made by another canario",
                at=str(self.path),
                hint="end what uses it and move it away: it is made again, a join's record from the prediction logs",
            )
        # Tables and number appear together, so nobody ever sees the one without the other.
        connection.executescript(
            f"BEGIN IMMEDIATE; {self._schema}; PRAGMA user_version = {self._schema_number}; COMMIT"
        )

    def _present_file(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as failed:
            reason = failed.strerror if isinstance(failed, OSError) else str(failed)
            raise Unavailable(
                f"{self.path.name} cannot be used now: {reason}", at=str(self.path), hint=_hint(failed)
            ) from failed
        except sqlite3.DatabaseError as broken:
            raise IntegrityError(
                f"{self.path.name} is not what was written: {broken}",
                at=str(self.path),
                hint="move the file away, or put a copy of it from a backup in its place",
            ) from broken


def _is_busy(failed: sqlite3.Error | OSError) -> bool:
    return isinstance(failed, sqlite3.Error) and failed.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _hint(failed: sqlite3.Error | OSError) -> str:
    if _is_busy(failed):
        return f"another process kept it for more than {BUSY_SECONDS:g} s: try again"
    if isinstance(failed, sqlite3.Error) and failed.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
        return "free space on that disk, then try again"
    return "see that its folder exists, that this process may write there and that the disk has space, then try again"
