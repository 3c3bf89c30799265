"""The record of retrainings on this machine, and the lock that lets one process at a time retrain a model."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from canario.adapters.files import write_atomically
from canario.adapters.homes import retraining_folder
from canario.errors import Conflict, IntegrityError
from canario.model.retraining import Retraining

KEPT = 1000
"""The newest of a model; at one an hour, six weeks."""


class FileRetrainings:
    """As canario.ports.retraining.Retrainings wants it: one file of JSON lines a model, replaced as a whole."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._path = retraining_folder() / f"{model}.jsonl"
        self._lock = retraining_folder() / f"{model}.lock"

    def all(self) -> list[Retraining]:
        """Every one, oldest first. Raises IntegrityError when the record is not what was written."""
        try:
            return msgspec.json.Decoder(Retraining).decode_lines(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except msgspec.DecodeError as broken:
            raise IntegrityError(
                f"the record of retrainings of {self._model} is not what was written: {broken}",
                at=str(self._path),
                hint="move the file away; retrainings go on with a new one",
            ) from broken

    def keep(self, retraining: Retraining) -> None:
        """Keep it for good, in place of what was kept under its number. Be `alone` meanwhile."""
        kept = {each.number: each for each in self.all()} | {retraining.number: retraining}
        newest = [kept[number] for number in sorted(kept)][-KEPT:]
        write_atomically(self._path, msgspec.json.Encoder().encode_lines(newest))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock until the block ends; the kernel lets go of it when this process dies. Raises Conflict."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a+b") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                raise Conflict(
                    f"{self._model} is being retrained already, by process {stream.read().decode() or 'unknown'}",
                    at=str(self._lock),
                    hint=f"`canario retrain {self._model} --history` shows how it ends; only one may run",
                ) from None
            stream.truncate(0)
            stream.write(str(os.getpid()).encode())
            stream.flush()
            yield

    def is_under_way(self) -> bool:
        """Whether a living process retrains the model now."""
        with contextlib.suppress(FileNotFoundError), self._lock.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def models_retrained() -> list[str]:
    """The models that have a record here, in alphabetical order."""
    return sorted(path.stem for path in Path(retraining_folder()).glob("*.jsonl"))
