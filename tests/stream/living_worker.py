"""Worker processes as tests start, kill and end them, and the queues of a model of each test's own."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import httpx

from canario.model.stream import ANSWERS, DEAD, Message, Priority, queue_name, queue_names
from canario.platforms.local.processes import free_port
from canario.ports.stream import Broker
from canario.stream.opening import open_broker
from tests.serving.metric_text import Series, scraped

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


class WorkerProcess:
    """`python -m canario.stream`, as a pod runs it."""

    def __init__(self, model: str, router: str, broker: str, folder: Path, *options: str, **environment: str) -> None:
        self._command = [sys.executable, "-m", "canario.stream", model, "--router", router, "--broker", broker]
        self._command += ["--ledger", f"sqlite:{folder / 'ledger.sqlite'}", *options]
        self._environment = {**os.environ, "CANARIO_HOME": str(folder), **environment}
        self.log = folder / "worker.log"
        self.start()

    def start(self) -> None:
        """Start it, after a kill too."""
        self.port = free_port()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, "--operator-port", str(self.port)], env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def readiness(self) -> str:
        """`ok`, or the reasons why it is not ready; `away` while it does not answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False, timeout=5).text.strip()
        except httpx.HTTPError:
            return "away"

    def metrics(self) -> Series:
        return scraped(f"http://127.0.0.1:{self.port}/metrics")


class Queues:
    """The queues of a model, from a person's side; each call has connections of its own."""

    def __init__(self, url: str) -> None:
        self.model = f"m{secrets.token_hex(4)}"
        self.url = url
        self.run(lambda broker: broker.declare(queue_names(self.model)))

    def name(self, which: str) -> str:
        return queue_name(self.model, which)

    def run(self, work: Callable[[Broker], Awaitable[T]]) -> T:
        """One thing with the broker."""

        async def done() -> T:
            return await work(open_broker(self.model, self.url))

        return asyncio.run(done())

    def send(self, messages: Sequence[Message], priority: Priority = Priority.NORMAL) -> None:
        """Put messages, confirmed."""

        async def put(broker: Broker) -> None:
            sender = await broker.sender()
            await sender.send(self.name(priority), messages)
            await sender.close()

        self.run(put)

    def waiting(self) -> Mapping[str, int]:
        """How many wait, by the queue's short name."""
        found = self.run(lambda broker: broker.waiting(queue_names(self.model)))
        return {name.rpartition(".")[2]: number for name, number in found.items()}

    def taken(self, number: int, which: str = ANSWERS, *, seconds: float = PATIENCE_SECONDS) -> list[Message]:
        """Take so many messages; fewer when no more come in time."""
        queue = which if "." in which else self.name(which)

        async def take(broker: Broker) -> list[Message]:
            receiver = await broker.receiver({queue: 1000})
            messages: list[Message] = []
            deadline = time.monotonic() + seconds
            while len(messages) < number and time.monotonic() < deadline:
                delivery = await receiver.take(queue)
                if delivery is None:
                    await receiver.wait(0.1)
                    continue
                messages.append(delivery.message)
                await receiver.acknowledge(delivery)
            await receiver.close()
            return messages

        return self.run(take)

    def dead(self, number: int) -> dict[str, Message]:
        """Dead letters by id."""
        return by_id(self.taken(number, DEAD))


def by_id(messages: Iterable[Message]) -> dict[str, Message]:
    """One of each id."""
    return {message.id: message for message in messages}


def wait_until(holds: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return once something is so."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)
