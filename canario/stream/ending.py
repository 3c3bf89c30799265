"""That a worker is to end, for everybody in it who waits for something else; and how long to wait before trying again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


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

    async def unless(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of what may take long. Raises GivenBack, and ends the work, as soon as this has begun."""
        task, begun = asyncio.ensure_future(work), asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise GivenBack
            return task.result()
        finally:
            for each in (task, begun):
                each.cancel()
            await asyncio.gather(task, begun, return_exceptions=True)


def pause_seconds(failures: int, first_seconds: float, longest_seconds: float) -> float:
    """How long to wait after so many failures in a row: doubling, and at random so that many do not come back at once."""
    return random.uniform(0.5, 1.0) * min(longest_seconds, first_seconds * 2.0 ** min(failures, 30))  # noqa: S311
