"""Ships the prediction log of this process's folder to PostgreSQL from a thread of its own, while it is written; answering never waits for it.

The place that a file has been read to and the rows up to there are one transaction, so a kill at any moment, of this
process or of the database, neither loses a row nor doubles one. The folder outlives the process: whoever writes there next
ships what the one before left. What is not shipped when the folder itself goes (its pod was removed while the database was
away for the whole drain) is lost to quality, and said in the log.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from canario.errors import CanarioError, Unavailable
from canario.feedback.postgres import Connection, PostgresDatabase, word_and_number
from canario.feedback.postgres_sums import add_sums
from canario.feedback.reading import Answered, log_files, read_answers
from canario.feedback.settings import feedback_settings
from canario.feedback.sums import Sums
from canario.model.card import Label

SHIP_EVERY_SECONDS = 0.5
LONGEST_READ_BYTES = 1024 * 1024
"""What one transaction takes at most: some thousand rows."""
LONGEST_REST_SECONDS = 30.0
"""The longest pause after failures."""
LOCK_NAME = "shipping.lock"
"""Held by the one process that ships a folder; the lock ends with the process, however that ends."""

_log = logging.getLogger(__name__)


class LogShipper:
    """Ships one folder. `start` begins the thread; without it `ship` may be called by hand."""

    def __init__(self, url: str, model: str, label: Label, folder: Path, place: str = "", *, version: str = "") -> None:
        """`place` tells this folder from those of other machines and pods; empty means the host's name.

        `version` is what a platform calls the version that answers; empty means its own name, as the log has it.

        Raises UsageError for an address or setting that cannot be.
        """
        self._database = PostgresDatabase(url)
        self._model, self._label, self._folder = model, label, folder
        self._place = place or socket.gethostname()
        self._version = version
        self._cohort_seconds = feedback_settings().cohort_seconds
        self._read: dict[str, int] = {}
        """How far each file is known to be shipped: what the database said last."""
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()

    def start(self) -> None:
        """Ship from now on, from a thread."""
        self._thread = threading.Thread(target=self._follow, name="shipping", daemon=True)
        self._thread.start()

    def close(self, within_seconds: float = 5.0) -> None:
        """Ship what is left, within a bound; what remains then is said in the log. May be called again."""
        if self._ending.is_set():
            within_seconds = min(within_seconds, 1.0)  # who was waited for once is not waited for in full again
        until = time.monotonic() + within_seconds
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout=within_seconds)
            if self._thread.is_alive():
                _log.warning(
                    "the database did not take the last predictions in time: %d bytes of the log are left",
                    self.left_bytes(),
                )
                return
        with _only_one(self._folder) as is_mine:
            while is_mine and time.monotonic() < until:
                try:
                    if not self.ship():
                        break
                except Unavailable as lost:
                    _log.warning("%s", lost)
                    time.sleep(min(0.5, max(0.0, until - time.monotonic())))
            if is_mine and self.left_bytes():
                _log.warning("%d bytes of the prediction log were not shipped", self.left_bytes())
        self._database.close()

    def ship(self) -> bool:
        """Ship one piece of every file that has grown; whether there was anything. Raises Unavailable."""
        with self._turn:
            grown = [name for name, size in sorted(log_files(self._folder)) if self._read.get(name, 0) < size]
            moved = False
            for name in grown:
                before = self._read.get(name, 0)
                self._read[name] = self._database.run(partial(self._ship_file, name))
                moved = moved or self._read[name] > before
            present = {name for name, _ in log_files(self._folder)}
            self._read = {name: read for name, read in self._read.items() if name in present}
            return moved

    def left_bytes(self) -> int:
        """What is in the logs and is not known to be shipped, a torn last line included."""
        return sum(max(0, size - self._read.get(name, 0)) for name, size in log_files(self._folder))

    def _follow(self) -> None:
        failures = 0
        while not self._ending.is_set():
            with _only_one(self._folder) as is_mine:
                while is_mine and not self._ending.is_set():
                    try:
                        moved = self.ship()
                        if failures:
                            _log.info("predictions are shipped again")
                        failures = 0
                        pause = 0.0 if moved else SHIP_EVERY_SECONDS
                    except CanarioError as lost:
                        pause, failures = self._rest(failures), failures + 1
                        if failures == 1:
                            _log.warning("predictions are not shipped for now: %s", lost)
                    except Exception:  # noqa: BLE001 - one thread's trouble must not end the shipping for ever
                        pause, failures = self._rest(failures), failures + 1
                        _log.exception("predictions cannot be shipped")
                    self._ending.wait(pause)
            self._ending.wait(SHIP_EVERY_SECONDS)

    def _rest(self, failures: int) -> float:
        longest = min(LONGEST_REST_SECONDS, SHIP_EVERY_SECONDS * 2.0 ** min(failures, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that a fleet does not come back all at once

    def _ship_file(self, name: str, connection: Connection) -> int:
        """Ship a piece of one file; how far it is shipped now."""
        key = (self._model, self._place, name)
        connection.execute(
            "INSERT INTO files (model, place, name, shipped_at_seconds) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (*key, time.time()),
        )
        found = connection.execute(
            "SELECT read_bytes FROM files WHERE model = %s AND place = %s AND name = %s FOR UPDATE", key
        ).fetchone()
        offset = int(found[0]) if found else 0
        reading = read_answers(self._folder / name, offset, LONGEST_READ_BYTES)
        if reading.offset == offset:
            return offset
        answers = [
            msgspec.structs.replace(line, version=self._version or line.version)
            for line in reading.answers
            if not line.shadow  # copies stay where they are: nobody can label them
        ]
        add_answers(connection, self._model, Sums(self._label, self._cohort_seconds), answers)
        connection.execute(
            "UPDATE files SET read_bytes = %s, shipped_at_seconds = %s WHERE model = %s AND place = %s AND name = %s",
            (reading.offset, time.time(), *key),
        )
        if reading.broken:
            connection.execute(
                "INSERT INTO totals (model, broken_lines) VALUES (%s, %s) ON CONFLICT (model) DO UPDATE SET"
                " broken_lines = totals.broken_lines + excluded.broken_lines",
                (self._model, reading.broken),
            )
        return reading.offset


def add_answers(connection: Connection, model: str, sums: Sums, answers: Sequence[Answered]) -> None:
    """Keep users' answers, each once, and add those that were not there yet to the sums."""
    rows = sorted(answers, key=lambda line: line.prediction)
    words, numbers = [], []
    for line in rows:
        word, number = word_and_number(line.label)
        words.append(word)
        numbers.append(number)
    added = connection.execute(
        "INSERT INTO predictions (model, prediction, version, at_seconds, label_word, label_number, score, row_values)"
        " SELECT %s, prediction, version, at_seconds, word, number, score, row_values::json FROM unnest(%s::text[], %s::text[],"
        " %s::float8[], %s::text[], %s::float8[], %s::float8[], %s::text[])"
        " AS sent (prediction, version, at_seconds, word, number, score, row_values)"
        " ON CONFLICT DO NOTHING RETURNING version, at_seconds",
        (
            model,
            [line.prediction for line in rows],
            [line.version for line in rows],
            [line.at_seconds for line in rows],
            words,
            numbers,
            [line.score for line in rows],
            [bytes(line.values).decode() for line in rows],
        ),
    ).fetchall()
    for version, at_seconds in added:
        sums.answered(version, at_seconds)
    add_sums(connection, model, sums)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    """Whether this process is the one that ships the folder, for as long as the block lasts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / LOCK_NAME).open("wb")
    except OSError as failed:
        _log.warning("predictions cannot be shipped from %s: %s", folder, failed.strerror)
        yield False
        return
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
