"""What people ask of a running platform: numbered files that the supervisor takes once each, in the order of their numbers."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from canario.adapters.files import write_atomically
from canario.model.deployment import ServedVersion
from canario.model.evidence import CommandKind
from canario.model.rollout import RolloutSpec


class StartRollout(msgspec.Struct, frozen=True, tag=True):
    """Begin a rollout of this candidate."""

    spec: RolloutSpec
    candidate: ServedVersion


class Wish(msgspec.Struct, frozen=True, tag=True):
    """A command for the running rollout; the engine decides what follows."""

    kind: CommandKind
    whole: bool
    actor: str
    reason: str


class TakeDown(msgspec.Struct, frozen=True, tag=True):
    """Drain and stop everything."""


Request = StartRollout | Wish | TakeDown


@dataclass(frozen=True, slots=True)
class Numbered:
    """A request and its place in the order."""

    number: int
    request: Request


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
            write_atomically(self._path(number), msgspec.json.encode(request))
        return number

    def waiting(self, after: int) -> Iterator[Numbered]:
        """The requests that nobody has taken yet, oldest first; what cannot be read is put aside."""
        for number in sorted(self._numbers()):
            if number <= after:
                continue
            path = self._path(number)
            try:
                yield Numbered(number, msgspec.json.decode(path.read_bytes(), type=Request))
            except (msgspec.DecodeError, msgspec.ValidationError):
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
