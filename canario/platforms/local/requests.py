"""What people ask of a running platform: numbered files that the supervisor takes once each, in the order of their numbers."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from canario.adapters.files import write_atomically
from canario.model.requests import Numbered, Request, StartRollout, TakeDown, UsePrometheus, Wish

_KINDS: dict[str, type[Request]] = {kind.__name__: kind for kind in (StartRollout, Wish, TakeDown, UsePrometheus)}


class RequestFolder:
    """The folder of requests; many may ask at once, one takes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, request: Request, last_taken: Callable[[], int]) -> int:
        """Leave a request, durably; its number, larger than any taken or waiting."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "numbers.lock").open("ab") as askers:
            fcntl.flock(askers, fcntl.LOCK_EX)
            # In this order: a file that is gone from the list was taken, and the state that says so was written before.
            waiting = self._numbers()
            number = max([last_taken(), *waiting]) + 1
            write_atomically(self._path(number), _encoded(request))
        return number

    def waiting(self, after: int) -> Iterator[Numbered]:
        """The requests that nobody has taken yet, oldest first; what cannot be read is put aside."""
        for number in sorted(self._numbers()):
            if number <= after:
                continue
            path = self._path(number)
            try:
                yield Numbered(number, _decoded(path.read_bytes()))
            except (msgspec.DecodeError, KeyError):
                path.rename(path.with_suffix(".unreadable"))

    def forget(self, up_to: int) -> None:
        """Remove the requests that have been taken, once the state that remembers it is durable."""
        for number in self._numbers():
            if number <= up_to:
                self._path(number).unlink(missing_ok=True)

    def drop_waiting(self, last_taken: int) -> int:
        """Take all that waits without doing it: it was meant for a platform that is no more. The last number given out."""
        last = max([last_taken, *self._numbers()])
        self.forget(last)
        return last

    def _numbers(self) -> list[int]:
        with contextlib.suppress(FileNotFoundError):
            return [int(path.stem) for path in self._folder.glob("*.json") if path.stem.isdigit()]
        return []

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010d}.json"


def _encoded(request: Request) -> bytes:
    return msgspec.json.encode({"type": type(request).__name__, **msgspec.to_builtins(request)})


def _decoded(content: bytes) -> Request:
    written = msgspec.json.decode(content, type=dict[str, Any])
    return msgspec.convert(written, _KINDS[written.pop("type")])
