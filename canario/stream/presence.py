"""A sign that a process lives and holds something: a locked file, which the kernel unlocks the moment the process is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
import weakref
from collections.abc import Collection
from pathlib import Path


class Presence:
    """Somebody who is there until `end`, or until its process has ended, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError when the folder cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            self.token = uuid.uuid4().hex
            self._path = folder / self.token
            self._file = self._path.open("x")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if os.fstat(self._file.fileno()).st_nlink:
                break
            # `sweep` took the file for a forgotten one before it was locked.
            self._file.close()
        _PRESENT.add(self)

    def end(self) -> None:
        """Be gone, for all to see at once. May be called again."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._file.close()

    def leave_to_parent(self) -> None:
        """In a forked child: have no part in the parent's presence."""
        self._file.close()


_PRESENT: weakref.WeakSet[Presence] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    # A forked child shares the lock: without this it would keep a killed parent present.
    for each in list(_PRESENT):
        each.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)


def is_present(folder: Path, token: str) -> bool:
    """Whether that presence still is; once False, False for good. Raises OSError."""
    path = folder / token
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        path.unlink(missing_ok=True)
        return False


def sweep(folder: Path, known: Collection[str]) -> None:
    """Remove what presences that nobody knows of have left behind: they ended before they could tell anybody. Raises OSError."""
    for path in folder.iterdir():
        if path.name not in known:
            is_present(folder, path.name)
