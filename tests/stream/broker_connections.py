"""What tests do with a broker, in few words: a queue of their own, messages numbered from 0, and waiting no longer than they must."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, ParamSpec

from canario.model.stream import Delivery, Message
from canario.ports.stream import Broker, Receiver, Sender
from canario.stream.opening import open_broker

P = ParamSpec("P")
TEST_SECONDS = 60.0
SOON_SECONDS = 5.0
"""Within this what was given back is lent to others."""
A_WHILE_SECONDS = 0.3
"""After this without a message there is none."""


def in_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that talks to a broker, in a loop of its own, ended when it takes too long."""

    @functools.wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(TEST_SECONDS):
                await test(*arguments, **named)

        asyncio.run(bounded())

    return run


class Connections:
    """A broker with one new queue, and what a test opens of it, closed at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.broker: Broker = open_broker("fraud", url)
        self.queue = f"canario.test-{uuid.uuid4().hex}.normal"
        self._opened = contextlib.AsyncExitStack()

    async def sender(self) -> Sender:
        sender = await self.broker.sender()
        self._opened.push_async_callback(sender.close)
        return sender

    async def receiver(self, prefetch: int | Mapping[str, int] = 100) -> Receiver:
        receiver = await self.broker.receiver({self.queue: prefetch} if isinstance(prefetch, int) else prefetch)
        self._opened.push_async_callback(receiver.close)
        return receiver

    async def send(self, number: int, queue: str = "") -> None:
        """Messages with the ids 0, 1, 2, ..."""
        sender = await self.broker.sender()
        await sender.send(queue or self.queue, [Message(id=str(each), body=b"{}") for each in range(number)])
        await sender.close()

    async def take(self, receiver: Receiver, number: int, queue: str = "") -> list[Delivery]:
        """The next messages; waits for them."""
        taken: list[Delivery] = []
        async with asyncio.timeout(SOON_SECONDS):
            while len(taken) < number:
                delivery = await receiver.take(queue or self.queue)
                if delivery is None:
                    await receiver.wait(1.0)
                else:
                    taken.append(delivery)
        return taken

    async def nothing(self, receiver: Receiver, queue: str = "") -> bool:
        """Whether no message comes."""
        until = time.monotonic() + A_WHILE_SECONDS
        while time.monotonic() < until:
            if await receiver.take(queue or self.queue) is not None:
                return False
            await asyncio.sleep(0.01)
        return True

    async def waiting(self, expected: int, queue: str = "") -> None:
        """So many wait, soon."""
        queue = queue or self.queue
        until = time.monotonic() + SOON_SECONDS
        while (found := (await self.broker.waiting([queue]))[queue]) != expected:
            assert time.monotonic() < until, f"{found} messages wait in place of {expected}"
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self._opened.aclose()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connections]:
    """Connections to a broker at a URL, with a queue that nobody else uses."""
    connections = Connections(url)
    await connections.broker.declare([connections.queue])
    try:
        yield connections
    finally:
        await connections.close()


def ids(deliveries: list[Delivery]) -> list[str]:
    return [each.message.id for each in deliveries]


def numbered(*numbers: int) -> list[str]:
    return [str(each) for each in numbers]
