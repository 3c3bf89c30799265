"""What the commands need of a platform, whichever it is: to tell of a model, and to steer its rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from canario.model.address import Address
from canario.model.deployment import Status
from canario.model.evidence import CommandKind
from canario.model.journal import JournalEntry

Progress = Callable[[str], None]


class Telling(Protocol):
    """One model, looked at."""

    @property
    def model(self) -> str:
        """Its name."""

    @property
    def address(self) -> Address:
        """Where it is."""

    def status(self) -> Status:
        """What is known now. Raises NotFound when the model was never there."""

    def journal(self) -> Iterator[JournalEntry]:
        """Every decision that is kept, oldest first. Raises IntegrityError at one that is not whole."""


class Steering(Protocol):
    """One model, told what to do. What a rollout may begin with differs (a stored version, an image), so it is not here."""

    def send(self, kind: CommandKind, *, whole: bool = False, actor: str = "", reason: str = "") -> None:
        """Give the rollout under way a command; returns once it has been taken. Raises Conflict when it is refused."""

    def rollback(self, version: str = "", *, actor: str = "", reason: str = "", progress: Progress = ...) -> str:
        """Undo: end the rollout under way, or begin one back to a version, the one before if none is named; the rollout's name."""


class Platform(Telling, Steering, Protocol):
    """Both."""
