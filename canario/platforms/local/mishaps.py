"""Going on when a part fails: what went wrong is told once and remembered until it works again, and nothing else stops."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Mishaps:
    """What does not work at the moment, by the name of the deed."""

    def __init__(self) -> None:
        self._present: dict[str, str] = {}

    def attempt(self, what: str, deed: Callable[[], T], otherwise: T) -> T:
        """Do one thing; `otherwise` when it fails, for whatever reason. The same failure is logged once."""
        try:
            outcome = deed()
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on: the servers need their keeper
            words = f"{what}: {str(error) or type(error).__name__}"
            if self._present.get(what) != words:
                _log.exception("%s failed", what)
            self._present[what] = words
            return otherwise
        if self._present.pop(what, None):
            _log.info("%s works again", what)
        return outcome

    @property
    def words(self) -> str:
        """Everything that does not work now, for a person; empty when everything does."""
        return "; ".join(self._present.values())
