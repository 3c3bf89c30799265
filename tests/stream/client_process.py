"""A client of a broker in a process of its own, to be killed: says on stdout what it has done, a line each, flushed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from canario.model.stream import Message
from canario.stream.opening import open_broker

ROOT = Path(__file__).parents[2]
FOREVER_SECONDS = 3600.0


class ClientProcess:
    """What a test sees of it."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stream.client_process", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def said(self, lines: int) -> list[str]:
        """Its next lines; waits for them."""
        assert self._process.stdout is not None
        said = [self._process.stdout.readline().strip() for _ in range(lines)]
        if said and not said[-1]:
            raise AssertionError(self._process.communicate()[1])
        return said

    def ready(self) -> None:
        """Wait until it is connected."""
        assert self.said(1) == ["ready"]

    def send_signal(self, number: signal.Signals) -> None:
        """Have a signal sent to it."""
        self._process.send_signal(number)

    def kill(self) -> list[str]:
        """Kill -9 it; what it has said until then and nobody has read."""
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        # A last line may be cut off: it was not said.
        return [line.strip() for line in self._process.stdout.readlines() if line.endswith("\n")]

    def end(self) -> None:
        """Kill it, and let go of what it could say."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def client_process(*arguments: object) -> Iterator[ClientProcess]:
    """A client that does what `main` says; killed at the end at the latest."""
    process = ClientProcess(*map(str, arguments))
    try:
        yield process
    finally:
        process.end()


def say(*lines: str) -> None:
    """Tell the test."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


async def hold(url: str, queue: str, prefetch: str, number: str, acknowledged: str) -> None:
    """Take so many messages, acknowledge the first few of them, say the ids and go on holding the rest."""
    receiver = await open_broker("fraud", url).receiver({queue: int(prefetch)})
    if number == "0":
        say("ready")
    for place in range(int(number)):
        while (delivery := await receiver.take(queue)) is None:
            await receiver.wait(1.0)
        if place < int(acknowledged):
            await receiver.acknowledge(delivery)
        say(delivery.message.id)
    await asyncio.sleep(FOREVER_SECONDS)


async def send(url: str, queue: str, number_at_once: str) -> None:
    """Send messages numbered from 0, so many at once, and say the number of each when it is kept; never ends by itself."""
    sender = await open_broker("fraud", url).sender()
    for first in count(0, int(number_at_once)):
        numbers = range(first, first + int(number_at_once))
        await sender.send(queue, [Message(id=str(each), body=b"{}") for each in numbers])
        say(*map(str, numbers))


def main() -> None:
    """`hold URL QUEUE PREFETCH NUMBER ACKNOWLEDGED` or `send URL QUEUE NUMBER_AT_ONCE`."""
    acts: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"hold": hold, "send": send}
    asyncio.run(acts[sys.argv[1]](*sys.argv[2:]))


if __name__ == "__main__":
    main()
