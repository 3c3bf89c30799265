"""What is kept of retrainings, as the act of retraining needs it: the record of all of them, and the turn to do one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from canario.model.retraining import Retraining


class Retrainings(Protocol):
    """The retrainings of one model."""

    def all(self) -> Sequence[Retraining]:
        """Every one, oldest first. Raises IntegrityError when the record is not what was written."""

    def keep(self, retraining: Retraining) -> None:
        """Keep it for good, in place of what was kept under its number."""

    def alone(self) -> AbstractContextManager[None]:
        """Be the only one who retrains this model, in all processes, until the block ends or this process dies.

        Raises Conflict when somebody else is at it.
        """
