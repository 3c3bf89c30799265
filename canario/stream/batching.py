"""Does many small things at once: what is asked for while one batch is under way goes with the next, so a disk or a broker is asked once for many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_AT_ONCE = 256


class Batches(Generic[Item, Result]):
    """One batch after the other; nobody waits for a batch to fill."""

    def __init__(self, do: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]) -> None:
        """`do` gives each item's result or error in the items' order; what it raises is every item's error."""
        self._do = do
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """The item's result, once its batch is done."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._run_one(batch)
        finally:
            self._running = None

    async def _run_one(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._do([item for item, _ in batch])
        except Exception as failed:  # noqa: BLE001 - it is the error of each, who see to it
            results = [failed] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue  # its asker was cancelled
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
