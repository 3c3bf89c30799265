"""That a worker is to end, for everybody in it who waits for something else; and how long to wait before trying again."""

from __future__ import annotations

import asyncio
import random


class GivenBack(Exception):
    """The worker ends before a message was dealt with: its broker lends it to another."""


class Ending:
    """Not yet, or from now on."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def has_begun(self) -> bool:
        """Whether it has."""
        return self._event.is_set()

    def begin(self) -> None:
        """Take nothing more."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Whether it has begun, at once when it has, otherwise after a while."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def rest(self, seconds: float) -> None:
        """Wait before something is tried again. Raises GivenBack when that will not be."""
        if await self.wait(seconds):
            raise GivenBack


def pause_seconds(failures: int, first_seconds: float, longest_seconds: float) -> float:
    """How long to wait after so many failures in a row: doubling, and at random so that many do not come back at once."""
    return random.uniform(0.5, 1.0) * min(longest_seconds, first_seconds * 2.0 ** min(failures, 30))  # noqa: S311
