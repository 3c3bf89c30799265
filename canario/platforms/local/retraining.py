"""Leaves a rollout's wish for a retraining where whoever retrains on this machine finds it; retraining is for canario.retraining."""

from __future__ import annotations

import contextlib

import msgspec

from canario.adapters.files import write_atomically
from canario.adapters.homes import retraining_folder
from canario.model.deployment import RetrainingWish


class RetrainingWishes:
    """The file of one model's wishes: a line a rollout, never taken away. One writer at a time: the supervisor."""

    def __init__(self, model: str) -> None:
        self._file = retraining_folder() / f"{model}.asked"
        self._left = ""
        """The rollout whose wish is surely there."""

    def leave(self, wish: RetrainingWish | None) -> None:
        """Have the wish in the file, once, and durably before this returns; call it as often as you like."""
        if wish is None or wish.rollout == self._left:
            return
        content = b""
        with contextlib.suppress(FileNotFoundError):
            content = self._file.read_bytes()
        whole = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
        if wish.rollout not in map(_rollout_of, whole):
            write_atomically(self._file, b"".join(whole) + msgspec.json.encode(wish) + b"\n")
        self._left = wish.rollout


def _rollout_of(line: bytes) -> str:
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(line, type=RetrainingWish).rollout
    return ""
