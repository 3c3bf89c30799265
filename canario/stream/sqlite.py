"""The embedded broker, for one machine without another: queues in a SQLite file, used by any number of processes at once.

What a receiver holds waits again as soon as its process is gone (presence.py), without a time-out. What is sent outlives a power
cut; that something was acknowledged outlives a killed process, and may be forgotten in a power cut: the message comes again then.
No event loop waits for the disk: each sender and receiver has a thread for its file, and what piles up meanwhile is one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from canario.errors import CanarioError, NotFound, TooLarge, Unavailable
from canario.kernel.limits import Limits
from canario.model.stream import Delivery, Message
from canario.stream.presence import Presence
from canario.stream.sqlite_queues import MOST_BODY_BYTES, Put, Queues, Receipt, Room

MOST_WAITING = 1_000_000
"""Messages in a queue; more are refused until some are dealt with. 0: no bound."""
_MOST_IN_TRANSACTION = 1000
_MOST_BYTES_IN_TRANSACTION = 8 * 1024 * 1024
"""Others wait while one writes: for milliseconds."""
_SHORTEST_IDLE_SECONDS = 0.002
_LONGEST_IDLE_SECONDS = 0.02
"""How often the file is looked at for what other processes have sent."""
_ROLL_CALL_SECONDS = 0.1
"""How often it is looked whether the other receivers are still there."""

T = TypeVar("T")


class SqliteBroker:
    """Queues in a file, which is made when it is not there. Its folder must be on a disk of this machine."""

    def __init__(
        self, path: Path, *, most_waiting: int = MOST_WAITING, longest_body_bytes: int = Limits().longest_body_bytes
    ) -> None:
        self._path = path
        self._most_waiting = most_waiting or sys.maxsize
        self._longest_body_bytes = longest_body_bytes
        self._queues = Queues(path, outlives_power=True)
        weakref.finalize(self, self._queues.close)

    async def declare(self, queues: Sequence[str]) -> None:
        """Have these queues; those that are there stay as they are. Raises Unavailable."""
        await asyncio.to_thread(self._queues.declare, queues)

    async def has_any(self, queues: Sequence[str]) -> bool:
        """Whether one of these queues was ever declared; asks without making the file. Raises Unavailable."""
        return await asyncio.to_thread(self._queues.has_any, queues)

    async def sender(self) -> SqliteSender:
        """Somebody who sends; opens the file with the first message."""
        return SqliteSender(
            Queues(self._path, outlives_power=True),
            most_waiting=self._most_waiting,
            longest_body_bytes=self._longest_body_bytes,
        )

    async def receiver(self, prefetch: Mapping[str, int]) -> SqliteReceiver:
        """Somebody who receives. Raises Unavailable, NotFound for a queue that was never declared."""
        receiver = SqliteReceiver(Queues(self._path, outlives_power=False), prefetch)
        await receiver.enter()
        return receiver

    async def waiting(self, queues: Sequence[str]) -> Mapping[str, int]:
        """How many messages wait in each queue and are with nobody. Raises Unavailable, NotFound."""

        def count() -> Mapping[str, int]:
            self._queues.give_back_of_the_gone()
            return self._queues.waiting(queues)

        return await asyncio.to_thread(count)


class _Thread:
    """One thread, so that those who use one connection take turns without holding up the loop's own threads."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="canario-sqlite")

    async def run(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, act)

    def end(self, last: Callable[[], None]) -> None:
        """End it after all it was given, and this. May be called again."""
        with contextlib.suppress(RuntimeError):
            self._executor.submit(last)
        self._executor.shutdown(wait=False)


class SqliteSender:
    """Puts messages into queues; what several tasks send at once is written at once."""

    def __init__(self, queues: Queues, *, most_waiting: int, longest_body_bytes: int) -> None:
        self._queues = queues
        self._most_waiting = most_waiting
        self._longest_body_bytes = longest_body_bytes
        self._thread = _Thread()
        self._asked: deque[tuple[Put, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._closed = False

    async def send(self, queue: str, messages: Sequence[Message]) -> None:
        """Put messages, thousands of them in several transactions, in their order; on the disk when it returns.

        Raises Unavailable (some may be kept), NotFound, Overloaded, and TooLarge before any of them is sent.
        """
        for each in messages:
            if len(each.body) > self._longest_body_bytes:
                raise TooLarge(
                    f"a message of {len(each.body)} bytes: at most {self._longest_body_bytes} are taken",
                    at=f"message {each.id}",
                    hint="send its rows in several messages",
                )
        for piece in _pieces(messages):
            if self._closed:
                raise Unavailable("this sender was closed", hint="connect again")
            kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._asked.append((Put(queue, piece), kept))
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(self._write())
            await kept

    async def close(self) -> None:
        """Let go of the file, once what was asked for is written."""
        self._closed = True
        if self._writing is not None:
            await asyncio.wait([self._writing])
        self._thread.end(self._queues.close)

    async def _write(self) -> None:
        while self._asked:
            asked = [self._asked.popleft()]
            size = _size(asked[0][0])
            while self._asked and (size := size + _size(self._asked[0][0])) <= _MOST_BYTES_IN_TRANSACTION:
                asked.append(self._asked.popleft())
            puts = [put for put, _ in asked]
            outcomes: Sequence[Exception | None]
            try:
                outcomes = await self._thread.run(partial(self._queues.put, puts, self._most_waiting))
            except Exception as failed:  # noqa: BLE001 - whatever it is, those who asked must hear of it
                outcomes = [failed] * len(asked)
            for (_, kept), outcome in zip(asked, outcomes, strict=True):
                if kept.done():
                    continue
                if outcome is None:
                    kept.set_result(None)
                else:
                    kept.set_exception(outcome)


class SqliteReceiver:
    """Lends messages. A task of its own fetches ahead and writes what is acknowledged; take() only hands out."""

    def __init__(self, queues: Queues, prefetch: Mapping[str, int]) -> None:
        self._queues = queues
        self._prefetch = dict(prefetch)
        self._fetched: dict[str, deque[Delivery]] = {name: deque() for name in prefetch}
        self._out = dict.fromkeys(prefetch, 0)
        """Messages that are here or were taken, and are not acknowledged."""
        self._held: set[object] = set()
        """Receipts of what was taken and nobody has asked to acknowledge."""
        self._done: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._stirred = asyncio.Event()
        self._arrived = asyncio.Event()
        self._thread = _Thread()
        self._presence: Presence | None = None
        self._token = ""
        self._number = 0
        self._roll_call_at = 0.0
        self._closing = False
        self._failure: CanarioError | None = None
        self._serving: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Begin to receive. Raises Unavailable, NotFound."""
        try:
            presence, self._number = await self._thread.run(partial(self._queues.enter, tuple(self._prefetch)))
            self._presence, self._token = presence, presence.token
            await self._thread.run(self._queues.sweep)
        except BaseException:
            self._go()
            raise
        self._serving = asyncio.create_task(self._serve())

    async def take(self, queue: str) -> Delivery | None:
        """The next message of a queue that has been fetched; None when there is none here. Raises Unavailable."""
        self._check()
        fetched = self._fetched.get(queue)
        if fetched is None:
            raise NotFound(f"this receiver is not of the queue {queue}")
        if not fetched:
            return None
        delivery = fetched.popleft()
        self._held.add(delivery.receipt)
        return delivery

    async def wait(self, timeout_seconds: float) -> None:
        """Return when something is there to take, or after a while. Raises Unavailable once the file failed."""
        self._check()
        if any(self._fetched.values()):
            await asyncio.sleep(0)
            return
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), timeout_seconds)
        self._check()

    async def acknowledge(self, delivery: Delivery) -> None:
        """Have the file forget a message; a second time does nothing. Raises Unavailable, also for what another receiver lent."""
        self._check()
        if cast("Receipt", delivery.receipt).receiver != self._number:
            raise Unavailable(
                f"message {delivery.message.id} was lent by an earlier connection",
                at=delivery.queue,
                hint="it comes again",
            )
        if delivery.receipt not in self._held:
            return
        self._held.discard(delivery.receipt)
        forgotten: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done.append((delivery, forgotten))
        self._stirred.set()
        await forgotten

    async def close(self) -> None:
        """Give back what is not acknowledged, at once, and let go of the file. May be called again."""
        if self._closing or self._presence is None:
            return
        self._closing = True
        self._stirred.set()
        if self._serving is not None:
            await asyncio.wait([self._serving])
        try:
            if self._failure is None:
                self._failure = Unavailable("this receiver was closed", hint="connect again")
                self._arrived.set()
                unseen = {
                    name: [_number(each) for each in fetched if not each.is_redelivered]
                    for name, fetched in self._fetched.items()
                }
                # When the file cannot be written now, the others take what is here for left behind, which it is.
                with contextlib.suppress(CanarioError):
                    await self._thread.run(partial(self._queues.leave, self._number, unseen))
        finally:
            self._go()

    async def _serve(self) -> None:
        idle_seconds = _SHORTEST_IDLE_SECONDS
        try:
            while not self._closing or self._done:
                moved = await self._turn()
                if self._done or self._closing:
                    continue
                idle_seconds = _SHORTEST_IDLE_SECONDS if moved else min(idle_seconds * 1.5, _LONGEST_IDLE_SECONDS)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stirred.wait(), idle_seconds)
        except CanarioError as failed:
            self._fail(failed)
        except BaseException:
            self._fail(Unavailable("the receiver was interrupted", at=str(self._queues.path), hint="connect again"))
            raise

    async def _turn(self) -> bool:
        """Write what was acknowledged and fetch what there is room for; whether there was anything."""
        self._stirred.clear()
        done, self._done = self._done, []
        freed = Counter(delivery.queue for delivery, _ in done)
        room = {} if self._closing else {name: self._room(name, freed[name]) for name in self._prefetch}
        room = {name: there for name, there in room.items() if there.messages > 0 and there.body_bytes > 0}
        numbers = [_number(delivery) for delivery, _ in done]
        try:
            lent = await self._thread.run(partial(self._exchange, numbers, room))
        except BaseException:
            self._done = done + self._done
            raise
        for each in lent:
            self._out[each.queue] += 1
            self._fetched[each.queue].append(each)
        if lent:
            self._arrived.set()
        for delivery, forgotten in done:
            self._out[delivery.queue] -= 1
            if not forgotten.done():
                forgotten.set_result(None)
        return bool(done or lent)

    def _room(self, queue: str, freed: int) -> Room:
        here_bytes = sum(len(each.message.body) for each in self._fetched[queue])
        return Room(self._prefetch[queue] - self._out[queue] + freed, MOST_BODY_BYTES - here_bytes)

    def _exchange(self, done: Sequence[int], room: Mapping[str, Room]) -> list[Delivery]:
        if time.monotonic() >= self._roll_call_at:
            self._queues.give_back_of_the_gone(besides=self._number)
            self._roll_call_at = time.monotonic() + _ROLL_CALL_SECONDS
        if not done and not (room and self._queues.has_waiting(room)):
            return []
        return self._queues.turn(self._number, self._token, done, room)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, failure: CanarioError) -> None:
        """What is here is given back at once: the others see that nobody holds it."""
        self._failure = failure
        for _, forgotten in self._done:
            if not forgotten.done():
                forgotten.set_exception(failure)
        self._done = []
        self._arrived.set()
        self._go()

    def _go(self) -> None:
        if self._presence is not None:
            self._presence.end()
        self._thread.end(self._queues.close)


def _number(delivery: Delivery) -> int:
    return cast("Receipt", delivery.receipt).message


def _size(put: Put) -> int:
    return sum(len(each.body) for each in put.messages)


def _pieces(messages: Sequence[Message]) -> list[list[Message]]:
    pieces: list[list[Message]] = []
    size = 0
    for each in messages:
        if not pieces or len(pieces[-1]) == _MOST_IN_TRANSACTION or size + len(each.body) > _MOST_BYTES_IN_TRANSACTION:
            pieces.append([])
            size = 0
        pieces[-1].append(each)
        size += len(each.body)
    return pieces
