"""The one lock of a platform: whoever holds it may write its state; the kernel lets go of it when the holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from canario.errors import Conflict

LOCK_FILE = "supervisor.lock"
PATIENCE_SECONDS = 0.5


@contextlib.contextmanager
def held_lock(platform: Path, model: str) -> Iterator[None]:
    """Hold the platform's lock for the block. Raises Conflict, naming the holder, when another process has it."""
    platform.mkdir(parents=True, exist_ok=True)
    with (platform / LOCK_FILE).open("a+b") as stream:
        if not _taken(stream):
            raise Conflict(
                f"{model} has a supervisor already, process {holder_pid(platform) or 'unknown'}",
                at=str(platform / LOCK_FILE),
                hint=f"`canario status {model}` shows what it does; only one may run",
            )
        stream.truncate(0)
        stream.write(str(os.getpid()).encode())
        stream.flush()
        yield


def _taken(stream: IO[bytes]) -> bool:
    """Try for a moment: `is_held` holds the lock for an instant to find out."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def is_held(platform: Path) -> bool:
    """Whether a living process holds the lock."""
    with contextlib.suppress(FileNotFoundError), (platform / LOCK_FILE).open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def holder_pid(platform: Path) -> int | None:
    """The pid that the holder wrote down."""
    with contextlib.suppress(OSError, ValueError):
        return int((platform / LOCK_FILE).read_text())
    return None
