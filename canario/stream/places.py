"""The places of those about whom the router is asked; a few are kept for urgent messages, so that these seldom wait for one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from canario.model.stream import Priority

KEPT_ONE_IN = 8
"""Of eight places one is for urgent messages alone. With fewer than eight none is: everybody needs them."""


class Places:
    """So many, each taken and given back."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._kept = number // KEPT_ONE_IN
        self._given = asyncio.Event()

    def open_to(self) -> Collection[Priority]:
        """Which messages may have a place now."""
        if self._free > self._kept:
            return tuple(Priority)
        return (Priority.URGENT,) if self._free else ()

    def take(self) -> None:
        """One place less."""
        self._free -= 1

    def give(self) -> None:
        """One place more."""
        self._free += 1
        self._given.set()

    async def wait(self, seconds: float) -> None:
        """Return when a place is given back, or after a while."""
        self._given.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._given.wait()
