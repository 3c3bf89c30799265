"""The log of predictions that one server process writes: JSON lines, in the file before the answer is sent; reading is for reading.py.

A file belongs to one process: `<version>-<process id>-<microseconds since 1970>.jsonl`. Each append is one write to a
file opened for appending, so a killed process loses nothing that it had answered, and a power cut loses what the
machine had not yet written out. A process that fills a file starts another and then clears the oldest ones away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from canario.errors import Unavailable
from canario.model.feedback import Prediction

LOG_SUFFIX = ".jsonl"
LONGEST_FILE_BYTES = 64 * 1024 * 1024
"""A file that has reached this size is followed by another."""
LONGEST_FOLDER_BYTES = 4 * 1024 * 1024 * 1024
"""Above this size in all, the oldest files go: about ten million rows of a dozen columns."""
LONGEST_AGE_SECONDS = 30 * 24 * 3600.0
"""Files that were last written longer ago than this go."""


class PredictionLog:
    """What this process answers, row by row. Safe for several threads; opens its file with the first append."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        self._descriptor = -1
        self._bytes = 0
        self._torn = False

    def append(self, predictions: Sequence[Prediction]) -> None:
        """Write the rows of one request, which belong to one version; when this returns a kill can't lose them.

        Raises Unavailable when they cannot be written (no space, no permission). The rows are then not in the log;
        the log itself stays readable and takes later rows as soon as it can.
        """
        if not predictions:
            return
        lines = self._encoder.encode_lines(predictions)
        with self._lock:
            try:
                if not self._is_open():
                    self._open(predictions[0].version)
                self._write(lines)
            except OSError as failed:
                raise Unavailable(
                    f"predictions cannot be logged: {failed.strerror}",
                    at=str(self._folder),
                    hint="free space there, or allow this process to write there",
                ) from failed

    def close(self) -> None:
        """Let go of the file; a later append would begin another."""
        with self._lock:
            self._close()

    def _is_open(self) -> bool:
        # Somebody may have removed the file: rows written to a nameless file would be lost without a word.
        return self._descriptor >= 0 and self._bytes < LONGEST_FILE_BYTES and os.fstat(self._descriptor).st_nlink > 0

    def _open(self, version: str) -> None:
        self._close()
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while self._descriptor < 0:
            name = f"{version}-{os.getpid()}-{time.time_ns() // 1000}{LOG_SUFFIX}"
            with contextlib.suppress(FileExistsError):
                self._descriptor = os.open(self._folder / name, flags, 0o644)
        # The lock says that somebody still writes here; it ends with the process, however that ends.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._bytes = 0
        self._torn = False
        clear_old_files(self._folder, now_seconds=time.time())

    def _write(self, lines: bytes) -> None:
        # What a failed write left of a line is closed off, so that it spoils no other line.
        rest = memoryview(b"\n" + lines if self._torn else lines)
        while rest:
            self._torn = True
            written = os.write(self._descriptor, rest)
            self._bytes += written
            rest = rest[written:]
        self._torn = False

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def clear_old_files(folder: Path, now_seconds: float) -> None:
    """Remove the oldest logs beyond the folder's size and age; never one that a process still writes."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.name.endswith(LOG_SUFFIX):
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, Path(entry.path)))
    folder_bytes = sum(size for _, size, _ in found)
    for written_at, size, path in sorted(found):
        if folder_bytes <= LONGEST_FOLDER_BYTES and now_seconds - written_at <= LONGEST_AGE_SECONDS:
            return
        if _remove_if_abandoned(path):
            folder_bytes -= size


def _remove_if_abandoned(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False
