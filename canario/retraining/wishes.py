"""What rollouts have asked for on this machine: a line a wish, written by the supervisor, answered once."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from canario.adapters.homes import retraining_folder
from canario.model.retraining import Outcome, Retraining


@dataclass(frozen=True, slots=True)
class Wish:
    """One rollout's wish for a retraining."""

    rollout: str
    reason: str
    at_seconds: float


def open_wishes(model: str, past: Sequence[Retraining]) -> list[Wish]:
    """The wishes that no retraining has answered yet, oldest first; a torn last line is none yet."""
    answered = {each.wish for each in past if each.outcome is not Outcome.REFUSED}
    wishes = []
    with contextlib.suppress(FileNotFoundError):
        for line in (retraining_folder() / f"{model}.asked").read_bytes().splitlines():
            with contextlib.suppress(msgspec.DecodeError):
                wishes.append(msgspec.json.decode(line, type=Wish))
    return [wish for wish in wishes if wish.rollout not in answered]
