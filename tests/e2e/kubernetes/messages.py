"""Clients that send a model's messages at a rate and read the answers, with everything counted; what the figures must be is said by tests."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from canario.errors import NotFound, Unavailable
from canario.model.feedback import Value
from canario.model.stream import ANSWERS, DEAD, Message, Priority, queue_name, queue_names
from canario.ports.stream import Receiver, Sender
from canario.stream.opening import open_broker
from tests.e2e.kubernetes.kube import until

PREFETCH = 256
BATCH_SECONDS = 0.05
AGAIN_SECONDS = 0.3
MIX = (Priority.URGENT, Priority.NORMAL, Priority.BULK, Priority.BULK)
"""Of four messages one is urgent and two have time."""


@dataclass
class Seen:
    """What clients know: what the broker has confirmed of theirs, and what came back."""

    sent: dict[str, float] = field(default_factory=dict)
    """By id: when it was first sent."""
    answers: dict[str, bytes] = field(default_factory=dict)
    """By id: the answer that a reader keeps, which is the first."""
    waits_seconds: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    """Answers that came once more, byte for byte: a reader drops them by their id."""
    doubled: list[str] = field(default_factory=list)
    """Ids that were answered twice, and differently."""
    strange: list[str] = field(default_factory=list)
    """Ids that nobody sent."""
    connected_again: int = 0

    @property
    def missing(self) -> set[str]:
        """The ids that have no answer."""
        return self.sent.keys() - self.answers.keys()

    def told(self) -> str:
        """In words."""
        waits = sorted(self.waits_seconds) or [0.0]
        return (
            f"{len(self.sent):,} sent, {len(self.missing)} lost, {len(self.doubled)} doubled, {self.repeated} repeated answers dropped, "
            f"by {dict(sorted(self.versions.items()))}; sent to answered: median {waits[len(waits) // 2]:.2f} s, longest {waits[-1]:.1f} s"
        )


class Messages:
    """Sends and reads from a thread of its own, for as long as the context lasts; a broker that is away is waited for."""

    def __init__(
        self,
        url: str,
        model: str,
        rows: Sequence[dict[str, Value]],
        per_second: float,
        mix: Sequence[Priority] = MIX,
        most: int = sys.maxsize,
    ) -> None:
        """`most`: how many at most, after which it only reads."""
        self.seen = Seen()
        self._broker, self._model, self._rows, self._mix = open_broker(model, url), model, rows, mix
        self._per_second, self._most = per_second, most
        self._prefix = uuid.uuid4().hex[:8]
        self._ends = threading.Event()
        self._reads_no_more = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="messages", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._reads_no_more.set()
        self._thread.join()

    def finish(self, seconds: float) -> Seen:
        """Send no more, and wait until every message has its answer. Fails with how things stand when they have not."""
        self._ends.set()
        until(lambda: self._failure or self._is_done(), "every answer", seconds, self.seen.told)
        assert self._failure is None, self._failure
        time.sleep(1.0)  # an answer too many would come now
        return self.seen

    def _is_done(self) -> bool:
        return self._has_sent and not self.seen.missing

    _has_sent = False

    def _run(self) -> None:
        try:
            asyncio.run(self._both())
        except BaseException as failure:  # noqa: BLE001 - the thread's failure is the test's
            self._failure = failure

    async def _both(self) -> None:
        await self._patiently(lambda: self._broker.declare(queue_names(self._model)))
        await asyncio.gather(self._send(), self._read())

    async def _send(self) -> None:
        sender: Sender | None = None
        began, number = time.monotonic(), 0
        while not self._ends.is_set() and number < self._most:
            due = min(self._most, int((time.monotonic() - began) * self._per_second)) - number
            batches: dict[Priority, list[Message]] = {}
            for _ in range(due):
                batches.setdefault(self._mix[number % len(self._mix)], []).append(self._message(number))
                number += 1
            for priority, messages in batches.items():
                sender = await self._keep(sender, queue_name(self._model, priority), messages)
            await asyncio.sleep(BATCH_SECONDS)
        if sender is not None:
            await sender.close()
        self._has_sent = True

    async def _keep(self, sender: Sender | None, queue: str, messages: Sequence[Message]) -> Sender:
        """Send until the broker has confirmed all: what may be there already goes out again under the same ids."""
        for message in messages:
            self.seen.sent[message.id] = time.monotonic()
        while True:
            try:
                sender = sender or await self._broker.sender()
                await sender.send(queue, messages)
            except Unavailable:
                sender = None
                self.seen.connected_again += 1
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return sender

    async def _read(self) -> None:
        queue = queue_name(self._model, ANSWERS)
        receiver: Receiver | None = None
        while not self._reads_no_more.is_set():
            try:
                receiver = receiver or await self._broker.receiver({queue: PREFETCH})
                while (delivery := await receiver.take(queue)) is not None:
                    self._count(delivery.message)
                    await receiver.acknowledge(delivery)
                await receiver.wait(0.2)
            except (Unavailable, NotFound):
                receiver = None
                await asyncio.sleep(AGAIN_SECONDS)
        if receiver is not None:
            await receiver.close()

    def _count(self, answer: Message) -> None:
        seen = self.seen
        if answer.id not in seen.sent:
            seen.strange.append(answer.id)
        elif answer.id not in seen.answers:
            seen.answers[answer.id] = answer.body
            seen.waits_seconds.append(time.monotonic() - seen.sent[answer.id])
            seen.versions[json.loads(answer.body)["version"]] += 1
        elif seen.answers[answer.id] == answer.body:
            seen.repeated += 1
        else:
            seen.doubled.append(answer.id)

    def _message(self, number: int) -> Message:
        row = self._rows[number % len(self._rows)]
        return Message(
            id=f"{self._prefix}-{number}", body=json.dumps({"rows": [row]}).encode(), sent_at_seconds=time.time()
        )

    async def _patiently(self, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await ask()
            except Unavailable:
                await asyncio.sleep(AGAIN_SECONDS)


async def put(url: str, model: str, priority: Priority, messages: Sequence[Message]) -> None:
    """Send these messages."""
    broker = open_broker(model, url)
    await broker.declare(queue_names(model))
    sender = await broker.sender()
    await sender.send(queue_name(model, priority), messages)
    await sender.close()


async def waiting(url: str, model: str, which: str) -> int:
    """How many messages wait in a queue of the model."""
    queue = queue_name(model, which)
    return (await open_broker(model, url).waiting([queue]))[queue]


async def take_dead(url: str, model: str, seconds: float) -> Message:
    """The next dead message of a model, taken from its queue. Raises AssertionError when there is none in time."""
    queue = queue_name(model, DEAD)
    receiver = await open_broker(model, url).receiver({queue: 1})
    try:
        ends = time.monotonic() + seconds
        while (delivery := await receiver.take(queue)) is None:
            assert time.monotonic() < ends, f"no dead message in {seconds:.0f} s"
            await receiver.wait(0.5)
        await receiver.acknowledge(delivery)
        return delivery.message
    finally:
        await receiver.close()
