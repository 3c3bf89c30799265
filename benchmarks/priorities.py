"""How long urgent messages wait while ten times as many bulk messages as can be answered are waiting already.

    python -m benchmarks.priorities --seconds 30

First the worker's capacity is measured with bulk messages alone. Then ten times what it answers in the time lies waiting in the bulk
queue, and urgent ones come at a share of the capacity. A wait is from when a message was sent to when the worker took it up, as the
worker itself measures it, in bins; promised is that 99 of 100 are less than 2 x prefetch x service time, the time that a bulk message is
in the worker's hands. Told beside it is the same with the time between two answers, as if it had one hand: a bound for idle machines.
From sending to reading the answer is measured by the clients.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.machine import versions_line
from benchmarks.messages import MODEL, Scene, Workers, broker_up, model_up
from canario.model.stream import ANSWERS, Message, Priority, queue_name, queue_names
from canario.ports.stream import Broker
from canario.stream.opening import open_broker
from tests.serving.metric_text import Series, scraped

PIECE = 500
PREFETCH = 1000
FACTOR = 10


@dataclass
class Seen:
    """What the reader has seen of urgent messages."""

    waits_seconds: list[float]
    sent_at: dict[str, float]
    bulk: int = 0


async def fill(broker: Broker, scene: Scene, number: int, prefix: str) -> None:
    """Put bulk messages."""
    sender = await broker.sender()
    for begin in range(0, number, PIECE):
        piece = [
            Message(id=f"{prefix}-{place}", body=scene.bodies[place % len(scene.bodies)], sent_at_seconds=time.time())
            for place in range(begin, min(begin + PIECE, number))
        ]
        await sender.send(queue_name(MODEL, Priority.BULK), piece)
    await sender.close()


async def read(broker: Broker, seen: Seen, ending: asyncio.Event) -> None:
    """Take answers, and note how long the urgent ones took."""
    queue = queue_name(MODEL, ANSWERS)
    receiver = await broker.receiver({queue: PREFETCH})
    while not ending.is_set():
        delivery = await receiver.take(queue)
        if delivery is None:
            await receiver.wait(0.2)
            continue
        sent_at = seen.sent_at.pop(delivery.message.id, None)
        if sent_at is None:
            seen.bulk += 1
        else:
            seen.waits_seconds.append(time.time() - sent_at)
        await receiver.acknowledge(delivery)
        await asyncio.sleep(0)  # a burst of answers must not keep the urgent ones from leaving
    await receiver.close()


async def urgent(broker: Broker, scene: Scene, seen: Seen, per_second: float, seconds: float) -> int:
    """Send urgent messages at random moments; how many."""
    sender, chance, number = await broker.sender(), random.Random(scene.seed), 0
    began = due = time.time()
    while due < began + seconds:
        due += chance.expovariate(per_second)
        await asyncio.sleep(max(0.0, due - time.time()))
        message = Message(id=f"urgent-{number}", body=scene.bodies[number % len(scene.bodies)])
        seen.sent_at[message.id] = now = time.time()
        await sender.send(queue_name(MODEL, Priority.URGENT), [replace(message, sent_at_seconds=now)])
        number += 1
    await sender.close()
    return number


async def play(url: str, scene: Scene, workers: Workers, seconds: float, share: float) -> tuple[Seen, float, int]:
    """Measure the capacity, then the waits; what was seen, messages a second, urgent ones sent."""
    broker = open_broker(MODEL, url)
    await broker.declare(queue_names(MODEL))
    seen, ending = Seen([], {}), asyncio.Event()
    reader = asyncio.create_task(read(open_broker(MODEL, url), seen, ending))
    await fill(broker, scene, 20_000, "warm")
    workers.start(1)
    while seen.bulk < 500:
        await asyncio.sleep(0.05)
    began, before = time.monotonic(), seen.bulk
    await asyncio.sleep(min(8.0, seconds))
    capacity = (seen.bulk - before) / (time.monotonic() - began)
    await fill(broker, scene, max(0, round(FACTOR * capacity * seconds) - 20_000 + seen.bulk), "bulk")
    before = seen.bulk
    sent = await urgent(broker, scene, seen, share * capacity, seconds)
    bulk = seen.bulk - before
    deadline = time.monotonic() + 30
    while seen.sent_at and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    waiting = (await broker.waiting(queue_names(MODEL)))[queue_name(MODEL, Priority.BULK)]
    ending.set()
    await reader
    print(
        f"capacity with bulk alone {capacity:,.0f}/s; {waiting:,} bulk messages still wait, {bulk:,} were answered meanwhile"
    )
    seen.bulk = bulk
    return seen, capacity, sent


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def wait_quantile(told: Series, priority: Priority, share: float) -> float:
    """The wait that this share of the messages did not exceed, interpolated within its bin, in seconds."""
    bins = sorted(
        (float(dict(labels)["le"]), count)
        for (name, labels), count in told.items()
        if name == "canario_message_wait_seconds_bucket" and dict(labels)["priority"] == priority
    )
    wanted, low, before = share * bins[-1][1], 0.0, 0.0
    for high, count in bins:
        if count >= wanted:
            return low + (high - low) * (wanted - before) / max(count - before, 1.0)
        low, before = high, count
    return low


def main() -> int:
    """Play it; 0 when urgent messages wait less than promised and bulk goes on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=0.3, help="urgent messages, as a share of the capacity")
    parser.add_argument("--prefetch", type=int, default=16)
    parser.add_argument("--broker", choices=["rabbitmq", "sqlite"], default="rabbitmq")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    flags = parser.parse_args()
    print(
        f"seed {flags.seed}; {versions_line()}; {platform.machine()}, {os.cpu_count()} cores, {flags.broker}",
        flush=True,
    )
    scene = Scene(flags.seed, 0)
    _ = scene.bodies
    with model_up() as (folder, router), broker_up(flags.broker, Path(folder)) as (url, _server):
        workers = Workers(folder, router, url, options=("--prefetch", str(flags.prefetch)))
        try:
            seen, capacity, sent = asyncio.run(play(url, scene, workers, flags.seconds, flags.share))
            told = scraped(f"http://127.0.0.1:{workers.ports[0]}/metrics")
        finally:
            for process in workers.running:
                process.kill()
                process.wait()
    labels = frozenset({("model", MODEL), ("priority", Priority.BULK.value)})
    service = told["canario_message_seconds_sum", labels] / told["canario_message_seconds_count", labels]
    bound, waits = 2 * flags.prefetch * service, seen.waits_seconds
    wait_p99 = wait_quantile(told, Priority.URGENT, 0.99)
    p50, p99 = quantile(waits, 0.5), quantile(waits, 0.99)
    checks = {
        f"99 of 100 urgent messages waited less than 2 x {flags.prefetch} x {1000 * service:.1f} ms": wait_p99 < bound,
        "every urgent message was answered": len(waits) == sent,
        "bulk still advances": seen.bulk > 0,
    }
    waited = wait_quantile(told, Priority.URGENT, 0.5)
    print(
        f"{sent:,} urgent messages waited: median {waited * 1000:.1f} ms, p99 {wait_p99 * 1000:.1f} ms; bound {bound * 1000:.0f} ms, with one hand {2000 * flags.prefetch / capacity:.0f} ms"
    )
    print(
        f"from sending to the answer: median {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, longest {max(waits) * 1000:.1f} ms"
    )
    print(f"bulk messages waited: median {wait_quantile(told, Priority.BULK, 0.5):.1f} s")
    for check, is_so in checks.items():
        print(f"{'yes' if is_so else 'NO '}  {check}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
