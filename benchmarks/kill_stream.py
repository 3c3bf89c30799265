"""Messages under kill -9 of workers and restarts of the broker; it counts what was lost and what happened twice.

    python -m benchmarks.kill_stream --messages 200000 --kills 50 --restarts 5

A sender sends every message with confirms, some twice, some that cannot be answered; a reader writes down every answer and every
dead letter before it acknowledges it. In the end each good message must have exactly one answer, the same bytes however often
it came, with the numbers that the model's REST gives; each bad one must be among the dead; and nothing may be left.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.machine import versions_line
from benchmarks.messages import MODEL, Scene, Workers, broker_up, model_up
from canario.errors import Unavailable
from canario.model.stream import ANSWERS, DEAD, Delivery, Message, Priority, queue_name, queue_names
from canario.ports.stream import Receiver
from canario.stream.opening import open_broker
from tests.stream.rabbitmq_server import RabbitMqServer

PIECE = 200
PREFETCH = 500
LONGEST_SETTLE_SECONDS = 300.0
LINE_BYTES = len("A m123456-12345678 ") + 64 + 1 + 16 + len(" 0\n")
"""A or D, the id, the digests of the answer and of its numbers, whether it was redelivered to the reader."""


async def send(scene: Scene, url: str) -> None:
    """Send everything in order, each piece until it is confirmed, some of it twice."""
    broker = open_broker(MODEL, url)
    sender = None
    for begin in range(0, scene.messages, PIECE):
        numbers = range(begin, min(begin + PIECE, scene.messages))
        again = [number for number in numbers if scene.is_sent_twice(number)]
        pieces: dict[Priority, list[Message]] = {}
        for number in [*numbers, *again]:
            pieces.setdefault(scene.priority(number), []).append(scene.message(number))
        while pieces:
            try:
                sender = sender or await broker.sender()
                for priority in list(pieces):
                    await sender.send(queue_name(MODEL, priority), pieces[priority])
                    del pieces[priority]
            except Unavailable:
                # Some may be kept: they are sent again, and count once.
                if sender is not None:
                    await sender.close()
                sender = None
                await asyncio.sleep(0.2)


async def read(url: str, path: Path) -> None:
    """Write down whatever comes, then acknowledge it, until somebody ends us."""
    queues = {queue_name(MODEL, which): letter for which, letter in ((ANSWERS, "A"), (DEAD, "D"))}
    with path.open("a", buffering=1_000_000) as file:
        while True:
            try:
                receiver = await open_broker(MODEL, url).receiver(dict.fromkeys(queues, PREFETCH))
                while True:
                    await _read_some(receiver, queues, file)
            except Unavailable:
                await asyncio.sleep(0.2)


async def _read_some(receiver: Receiver, queues: dict[str, str], file) -> None:  # type: ignore[no-untyped-def]
    taken: list[Delivery] = []
    for queue, letter in queues.items():
        while len(taken) < PREFETCH and (delivery := await receiver.take(queue)) is not None:
            message = delivery.message
            digest = hashlib.sha256(message.body).hexdigest()
            numbers = short_digest(bare(message.body))
            file.write(f"{letter} {message.id} {digest} {numbers} {int(delivery.is_redelivered)}\n")
            taken.append(delivery)
    file.flush()
    for delivery in taken:
        await receiver.acknowledge(delivery)
    if not taken:
        await receiver.wait(0.5)


@dataclass
class Counted:
    """What the reader wrote down."""

    digests: dict[str, str] = field(default_factory=dict)
    """By id of an answer."""
    numbers: dict[str, str] = field(default_factory=dict)
    """Of label and score, likewise."""
    dead: set[str] = field(default_factory=set)
    wire: Counter[str] = field(default_factory=Counter)
    """Answers that came twice, to the reader itself (it reconnected) or on the wire; dead letters likewise."""
    conflicting: int = 0
    """Answers of one id that differ."""

    def add(self, line: str) -> None:
        letter, name, digest, numbers, redelivered = line.split()
        to_reader = " to the reader again" if redelivered == "1" else " on the wire again"
        if letter == "D":
            self.wire["dead" + to_reader] += name in self.dead
            self.dead.add(name)
            return
        self.wire["answers" + to_reader] += name in self.digests
        self.conflicting += self.digests.setdefault(name, digest) != digest
        self.numbers[name] = numbers


class Play:
    """The processes, and the one who kills."""

    def __init__(self, scene: Scene, folder: Path, url: str, server: RabbitMqServer | None, workers: Workers) -> None:
        self.scene, self.folder, self.url, self.server, self.workers = scene, folder, url, server, workers
        self.lines = folder / "read"
        self.others: list[subprocess.Popen[bytes]] = []
        self.first_at = 0.0
        """When the first answers had been read: before that processes start."""

    def run(self, workers: int, kills: int, restarts: int) -> float:
        """Play it until everything was read; how long it took from the first answers on."""
        chance = random.Random(self.scene.seed)
        events = sorted(
            [(chance.random(), "kill") for _ in range(kills)] + [(chance.random(), "restart") for _ in range(restarts)]
        )
        asyncio.run(open_broker(MODEL, self.url).declare(queue_names(MODEL)))
        began = time.monotonic()
        self._start("read", str(self.lines))
        self._start("send", str(self.scene.seed), str(self.scene.messages))
        self.workers.start(workers)
        for number, (moment, event) in enumerate(events, 1):
            self._wait_until(moment * self.scene.messages * 0.97)
            if event == "kill":
                self.workers.kill(chance.randrange(workers))
            elif self.server is not None:
                # Orderly and by kill -9, in turn: both may happen to a broker.
                if number % 2:
                    self.server.restart()
                else:
                    self.server.kill()
                    self.server.start()
            print(f"  {event} at {self._read():,} read, {time.monotonic() - began:.0f} s", flush=True)
        self._wait_until(self.scene.messages)
        return time.monotonic() - self.first_at

    def settle(self) -> dict[str, int]:
        """Wait until the queues are empty; how many wait in each."""
        deadline = time.monotonic() + LONGEST_SETTLE_SECONDS
        while True:
            try:
                waiting = dict(asyncio.run(open_broker(MODEL, self.url).waiting(queue_names(MODEL))))
            except Unavailable:
                waiting = {"away": 1}
            if not any(waiting.values()) or time.monotonic() > deadline:
                time.sleep(3.0)  # what the reader still holds
                return waiting
            time.sleep(0.5)

    def end(self) -> None:
        for process in (*self.others, *self.workers.running):
            if process.poll() is None:
                process.kill()
                process.wait()

    def _start(self, *words: str) -> None:
        command = [sys.executable, "-m", "benchmarks.kill_stream", "--act", self.url, *words]
        self.others.append(subprocess.Popen(command))

    def _read(self) -> int:
        return self.lines.stat().st_size // LINE_BYTES if self.lines.exists() else 0

    def _wait_until(self, read: float) -> None:
        last, moved_at = -1, time.monotonic()
        while (now := self._read()) < read:
            if now and not self.first_at:
                self.first_at = time.monotonic()
            if now != last:
                last, moved_at = now, time.monotonic()
            assert time.monotonic() - moved_at < LONGEST_SETTLE_SECONDS, f"nothing moves any more at {now:,}"
            time.sleep(0.02)


def numbers_by_rest(scene: Scene, router: str) -> list[str]:
    """What REST answers to each row, label and score, as digests."""
    json = {"content-type": "application/json"}
    with httpx.Client(base_url=router, trust_env=False) as client:
        answers = [client.post("/predict", content=body, headers=json).content for body in scene.bodies]
    return [short_digest(bare(answer)) for answer in answers]


def short_digest(content: bytes) -> str:
    """Enough to tell a few thousand answers apart."""
    return hashlib.sha256(content).hexdigest()[:16]


def bare(answer: bytes) -> bytes:
    """An answer's label and score, in their own bytes."""
    return answer.partition(b'"predictions":')[2].partition(b',"prediction_id"')[0]


def lines_of(path: Path) -> Iterator[str]:
    with path.open() as file:
        yield from file


def report(play: Play, router: str, seconds: float, waiting: dict[str, int]) -> bool:
    """Compare what was read with what was sent, and print it."""
    scene, counted = play.scene, Counted()
    for line in lines_of(play.lines):
        counted.add(line)
    bad = {scene.id(number) for number in range(scene.messages) if scene.is_bad(number)}
    good = {scene.id(number) for number in range(scene.messages)} - bad
    expected = numbers_by_rest(scene, router)
    again = sum(scene.is_sent_twice(number) for number in range(scene.messages))
    checks = {
        "0 lost: every good message has an answer": good <= counted.digests.keys(),
        "0 doubled: every answer of one id is the same, byte for byte": counted.conflicting == 0,
        "label and score are those of REST, bit by bit": all(
            numbers == expected[int(name[-8:]) % len(expected)] for name, numbers in counted.numbers.items()
        ),
        "no answer to what was not asked": counted.digests.keys() <= good,
        "every bad message is dead, and no other": counted.dead == bad,
        "nothing is left in the queues": not any(waiting.values()),
    }
    print(
        f"{scene.messages:,} messages ({again:,} of them sent twice) in {seconds:.0f} s: {scene.messages / seconds:,.0f}/s"
    )
    print(f"{len(counted.digests):,} answers, {len(counted.dead):,} dead, {len(good - counted.digests.keys()):,} lost")
    print(f"came again, the same bytes: {dict(counted.wire)}; came again with others: {counted.conflicting}")
    for check, is_so in checks.items():
        print(f"{'yes' if is_so else 'NO '}  {check}")
    return all(checks.values())


def main(words: Sequence[str] | None = None) -> int:
    """Play it; 0 when nothing was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=50, help="kill -9 of a worker")
    parser.add_argument("--restarts", type=int, default=5, help="of the broker, every other one by kill -9")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--prefetch", type=int, default=64)
    parser.add_argument("--broker", choices=["rabbitmq", "sqlite"], default="rabbitmq")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--act", nargs="+", help=argparse.SUPPRESS)
    flags = parser.parse_args(words)
    if flags.act:
        url, act, *rest = flags.act
        asyncio.run(read(url, Path(rest[0])) if act == "read" else send(Scene(int(rest[0]), int(rest[1])), url))
        return 0
    print(
        f"seed {flags.seed}; {versions_line()}; {platform.machine()}, {os.cpu_count()} cores, {flags.broker}",
        flush=True,
    )
    scene = Scene(flags.seed, flags.messages)
    with model_up() as (folder, router), broker_up(flags.broker, folder) as (url, server):
        workers = Workers(folder, router, url, options=("--prefetch", str(flags.prefetch)))
        play = Play(scene, folder, url, server, workers)
        try:
            seconds = play.run(flags.workers, flags.kills, flags.restarts)
            waiting = play.settle()
            codes = workers.end()
            is_right = report(play, router, seconds, waiting)
            print(f"{'yes' if not any(codes) else 'NO '}  every worker that was told to end drained and exited with 0")
        finally:
            play.end()
    return 0 if is_right and not any(codes) else 1


if __name__ == "__main__":
    sys.exit(main())
