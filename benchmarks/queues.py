"""What a broker gives senders and receivers: `python -m benchmarks.queues` for the embedded one, `--url amqp://...` for another.

Messages of 250 bytes. All are measured in every round, so that what else the machine does meets all of them; medians are told.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence

from benchmarks.machine import versions_line
from canario.model.stream import Message
from canario.ports.stream import Broker, Receiver, Sender
from canario.stream.opening import open_broker

BODY = b'{"rows": [{"amount": 12.5, "hour": 3, "country": "PT"}]}'.ljust(250)
TASKS = PREFETCH = 16
AT_ONCE, BY_TASKS, ONE_BY_ONE, WAKES = 10_000, 2_000, 300, 40
IDLE_SECONDS = 3.0


def messages(number: int) -> list[Message]:
    """New ones, each with an id of its own."""
    return [Message(id=uuid.uuid4().hex, body=BODY) for _ in range(number)]


async def one_by_one(sender: Sender, queue: str, some: Sequence[Message]) -> None:
    """The next is sent when the last is confirmed."""
    for message in some:
        await sender.send(queue, [message])


async def take_all(receiver: Receiver, queue: str, number: int) -> None:
    """As a worker: several tasks, each of which takes a message and acknowledges it."""
    left = number

    async def work() -> None:
        nonlocal left
        while left > 0:
            delivery = await receiver.take(queue)
            if delivery is None:
                await receiver.wait(0.1)
                continue
            left -= 1
            await receiver.acknowledge(delivery)

    await asyncio.gather(*(work() for _ in range(TASKS)))


async def wakes(sender: Sender, receiver: Receiver, queue: str) -> list[float]:
    """Seconds from a send into an idle queue to the message in a waiting receiver's hands, some times."""
    found = []
    for message in messages(WAKES):
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        await sender.send(queue, [message])
        while (delivery := await receiver.take(queue)) is None:
            await receiver.wait(1.0)
        found.append(time.perf_counter() - began)
        await receiver.acknowledge(delivery)
    return found


async def a_round(broker: Broker, queue: str, found: dict[str, list[float]]) -> None:
    """Everything once."""
    await broker.declare([queue])
    sender = await broker.sender()

    def note(what: str, number: int, began: float) -> None:
        found.setdefault(what, []).append(number / (time.perf_counter() - began))

    began = time.perf_counter()
    await sender.send(queue, messages(AT_ONCE))
    note("sent in one call /s", AT_ONCE, began)
    began, some = time.perf_counter(), messages(BY_TASKS)
    await asyncio.gather(*(one_by_one(sender, queue, some[task::TASKS]) for task in range(TASKS)))
    note(f"sent by {TASKS} tasks, each one by one /s", BY_TASKS, began)
    began = time.perf_counter()
    await one_by_one(sender, queue, messages(ONE_BY_ONE))
    note("sent one by one /s", ONE_BY_ONE, began)
    receiver = await broker.receiver({queue: PREFETCH})
    began, number = time.perf_counter(), AT_ONCE + BY_TASKS + ONE_BY_ONE
    await take_all(receiver, queue, number)
    note("taken and acknowledged /s", number, began)
    woken = sorted(await wakes(sender, receiver, queue))
    found.setdefault("sent to taken, idle, ms, median", []).append(1000 * statistics.median(woken))
    found.setdefault("sent to taken, idle, ms, 95 %", []).append(1000 * woken[int(0.95 * WAKES)])
    used, until = time.process_time(), time.monotonic() + IDLE_SECONDS
    while time.monotonic() < until:
        await receiver.wait(0.5)
    found.setdefault("an idle receiver, % of a core", []).append(100 * (time.process_time() - used) / IDLE_SECONDS)
    await receiver.close()
    await sender.close()


async def measure(url: str, rounds: int) -> None:
    """Measure and tell."""
    broker, queue = open_broker("fraud", url), f"canario.speed-{uuid.uuid4().hex}.normal"
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        await a_round(broker, queue, found)
    for what, values in found.items():
        sys.stdout.write(f"{what:42} {statistics.median(values):10,.1f}   ({min(values):,.1f} to {max(values):,.1f})\n")


def main() -> None:
    """Measure one broker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="", help="amqp://... or sqlite:PATH; a new file otherwise")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    sys.stdout.write(f"{versions_line()}\n")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(given.url or f"sqlite:{folder}/queues.sqlite", given.rounds))


if __name__ == "__main__":
    main()
