"""The logs of detached processes: bounded in size and number, and read backwards for the reason of a death."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

LARGEST_LOG_BYTES = 8 * 1024 * 1024
KEPT_LOGS = 60


def last_words(log: Path, since_byte: int = 0, lines: int = 4) -> str:
    """The last lines that were written to a log after a byte, on one line; empty when there are none."""
    with contextlib.suppress(OSError), log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        # A log that was cut since is shorter than the mark: then all of it is new.
        stream.seek(max(since_byte if since_byte <= size else 0, size - 16_384))
        written = [line.strip() for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
        return " | ".join(line[:300] for line in written[-lines:])
    return ""


def size_of(log: Path) -> int:
    """The log's size in bytes, 0 when it is not there."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def bound_logs(folder: Path) -> None:
    """Cut logs that have grown too large, keeping one older part of each, and remove the oldest files beyond a number.

    Writers append, so a cut file goes on at its new end and the writer needs no word of it.
    """
    for log in folder.glob("*.log"):
        if size_of(log) > LARGEST_LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
    by_age = sorted(folder.glob("*.log*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in by_age[KEPT_LOGS:]:
        old.unlink(missing_ok=True)
