"""How many messages a second a real RabbitMQ confirms, one by one and in a window, and lends: `python -m benchmarks.confirms`.

Every way is measured in every round, so that what else the machine does meets all of them; the median of the rounds is told.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

from benchmarks.machine import versions_line
from canario.model.stream import Message
from canario.ports.stream import Sender
from canario.stream.rabbitmq import RabbitMq
from tests.stream.rabbitmq_server import RabbitMqServer

BODY = b'{"rows": [{"amount": 12.5, "hour": 3, "country": "PT"}]}'.ljust(250)
NUMBERS = count()
TASKS = 16


def messages(number: int) -> list[Message]:
    """New ones, each with an id of its own."""
    return [Message(id=f"m-{next(NUMBERS)}", body=BODY, sent_at_seconds=time.time()) for _ in range(number)]


async def one_by_one(sender: Sender, queue: str, some: Sequence[Message]) -> None:
    """The next is sent when the last is confirmed."""
    for message in some:
        await sender.send(queue, [message])


async def by_tasks(sender: Sender, queue: str, some: Sequence[Message]) -> None:
    """As a worker does: each task one by one, over one connection."""
    await asyncio.gather(*(one_by_one(sender, queue, some[task::TASKS]) for task in range(TASKS)))


async def in_window(sender: Sender, queue: str, some: Sequence[Message]) -> None:
    """All at once; the sender has as many under way as its window lets it."""
    await sender.send(queue, some)


Way = tuple[str, int, int, Callable[[Sender, str, Sequence[Message]], Awaitable[None]]]
WAYS: tuple[Way, ...] = (
    ("one by one", 1, 500, one_by_one),
    (f"{TASKS} tasks, each one by one", 256, 2_000, by_tasks),
    ("window of 16", 16, 5_000, in_window),
    ("window of 256", 256, 10_000, in_window),
    ("window of 2,048", 2_048, 10_000, in_window),
)


async def send_all(url: str, kind: str, rounds: int) -> None:
    """Each way, in each round."""
    queue = f"canario.confirms.{kind}"
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, window, number, way in WAYS:
            broker = RabbitMq(url, queue_type=kind, window=window)
            await broker.declare([queue])
            sender = await broker.sender()
            some = messages(number)
            began = time.perf_counter()
            await way(sender, queue, some)
            found.setdefault(name, []).append(number / (time.perf_counter() - began))
            await sender.close()
    for name, rates in found.items():
        print(f"  {name:<28} {statistics.median(rates):>8,.0f} a second  ({min(rates):,.0f} to {max(rates):,.0f})")


async def receive_all(url: str, kind: str) -> None:
    """Take and acknowledge everything that was sent."""
    queue = f"canario.confirms.{kind}"
    broker = RabbitMq(url, queue_type=kind)
    number = (await broker.waiting([queue]))[queue]
    receiver = await broker.receiver({queue: 256})
    began = time.perf_counter()
    for _ in range(number):
        while (delivery := await receiver.take(queue)) is None:
            await receiver.wait(1.0)
        await receiver.acknowledge(delivery)
    print(f"  {'taken and acknowledged':<28} {number / (time.perf_counter() - began):>8,.0f} a second  ({number:,})")
    await receiver.close()


def main() -> None:
    """Measure a broker that is started for this and ended after it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    server = RabbitMqServer()
    print(versions_line())
    try:
        server.start()
        print(f"RabbitMQ {server.control('version').strip()}, messages of {len(BODY)} bytes, durable and confirmed")
        for kind in ("classic", "quorum"):
            print(f"{kind} queue")
            asyncio.run(send_all(server.url, kind, rounds))
            asyncio.run(receive_all(server.url, kind))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
