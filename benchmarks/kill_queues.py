"""Kill senders and receivers of a broker at random moments, by SIGKILL, and count: `python benchmarks/kill_queues.py --kills 200`.

Senders note each message once it is kept, receivers each one that they take and each one that they have acknowledged, in one
file that the kernel keeps in order. In the end nothing that was kept may be missing, nothing acknowledged may have come again (but for
the last breath of who was killed, where the broker's protocol does not answer acknowledgements), and no message may have been with two
receivers that both lived. By default the broker is the embedded one, in a new file;
`--url amqp://...` asks the same of RabbitMQ.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canario.model.stream import Message
from canario.ports.stream import Receiver
from canario.stream.opening import open_broker

PREFETCH = 16
TASKS = 8
"""In each receiver."""
LONGEST_DRAIN_SECONDS = 120.0
KEPT, TAKEN, DONE, KILLED = "kept", "taken", "done", "killed"
WRONG = ("lost", "came again", "last breath", "with two")
LAST_BREATH_SECONDS = 0.1
"""An acknowledgement of RabbitMQ's protocol is not answered, and goes down with the connection of who is killed in that moment."""


class Notes:
    """Lines of a file that many processes write; a line is whole, and in the place where it was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, what: str, who: str, *messages: str) -> None:
        now = time.monotonic()
        os.write(self._descriptor, "".join(f"{what} {who} {each} {now}\n" for each in messages or ("-",)).encode())

    def lines(self) -> list[tuple[str, str, str, float]]:
        words = map(str.split, self._path.read_text().splitlines())
        return [(what, who, message, float(at_seconds)) for what, who, message, at_seconds in words]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is played."""

    url: str
    queue: str
    notes: Notes
    seed: int


async def send(scene: Scene, who: str) -> None:
    """Send until killed. Every message ever sent has an id of its own."""
    chance = random.Random(f"{scene.seed} {who}")
    sender = await open_broker("fraud", scene.url).sender()
    number = 0
    while True:
        names = [f"{who}.{number + each}" for each in range(chance.choice((1, 1, 5, 40)))]
        number += len(names)
        await sender.send(scene.queue, [Message(id=name, body=chance.randbytes(200)) for name in names])
        scene.notes.add(KEPT, who, *names)
        await asyncio.sleep(chance.random() * 0.02)


async def receive(scene: Scene, who: str) -> None:
    """Take and acknowledge until killed."""
    chance = random.Random(f"{scene.seed} {who}")
    receiver = await open_broker("fraud", scene.url).receiver({scene.queue: PREFETCH})

    async def work(receiver: Receiver) -> None:
        while True:
            delivery = await receiver.take(scene.queue)
            if delivery is None:
                await receiver.wait(0.5)
                continue
            scene.notes.add(TAKEN, who, delivery.message.id)
            await asyncio.sleep(chance.random() * 0.004)
            await receiver.acknowledge(delivery)
            scene.notes.add(DONE, who, delivery.message.id)

    await asyncio.gather(*(work(receiver) for _ in range(TASKS)))


@dataclass(slots=True)
class Company:
    """Processes that take each other's places."""

    scene: Scene
    act: Callable[[Scene, str], Coroutine[Any, Any, None]]
    size: int
    players: dict[int, str] = field(default_factory=dict)
    started: int = 0

    def fill(self) -> None:
        """Start whoever is missing."""
        while len(self.players) < self.size:
            self.started += 1
            who = f"{self.act.__name__}{self.started}"
            child = os.fork()
            if not child:
                try:
                    asyncio.run(self.act(self.scene, who))
                finally:
                    os._exit(1)
            self.players[child] = who

    def kill(self, chance: random.Random) -> None:
        """End one of them in the middle of whatever it does."""
        child = chance.choice(list(self.players))
        who = self.players.pop(child)
        self.scene.notes.add(KILLED, who)  # before it dies: from now on others may have what it holds
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"{who} had ended by itself: {os.waitstatus_to_exitcode(status)}"

    def dismiss(self, chance: random.Random) -> None:
        """End all of them so."""
        while self.players:
            self.kill(chance)


def play(scene: Scene, kills: int, senders: int, receivers: int) -> None:
    """Start all, kill and replace, let the last ones finish, end them."""
    chance = random.Random(scene.seed)
    companies = [Company(scene, send, senders), Company(scene, receive, receivers)]
    for each in companies:
        each.fill()
    for number in range(kills):
        time.sleep(chance.uniform(0.02, 0.4))
        company = chance.choice(companies)
        company.kill(chance)
        company.fill()
        if (number + 1) % 50 == 0:
            sys.stderr.write(f"{number + 1} kills\n")
    sending, receiving = companies
    sending.dismiss(chance)
    until = time.monotonic() + LONGEST_DRAIN_SECONDS
    while len(outcome(scene.notes)["lost"]) or asyncio.run(waiting(scene)):
        assert time.monotonic() < until, "not all that was kept came within two minutes"
        time.sleep(0.5)
    time.sleep(1.0)
    receiving.dismiss(chance)


async def waiting(scene: Scene) -> int:
    """How many messages are with nobody."""
    return (await open_broker("fraud", scene.url).waiting([scene.queue]))[scene.queue]


def outcome(notes: Notes) -> dict[str, Counter[str]]:
    """What is wrong, by kind, and the messages; and what is only told."""
    kept, taken, done = Counter[str](), Counter[str](), dict[str, tuple[str, float]]()
    killed: dict[str, float] = {}
    holder: dict[str, str] = {}
    wrong: dict[str, Counter[str]] = {kind: Counter() for kind in WRONG}
    for what, who, message, at_seconds in notes.lines():
        if what == KILLED:
            killed[who] = at_seconds
        elif what == KEPT:
            kept[message] += 1
        elif what == TAKEN:
            taken[message] += 1
            if message in done:
                by, done_at = done[message]
                is_last_breath = by in killed and killed[by] - done_at < LAST_BREATH_SECONDS
                wrong["last breath" if is_last_breath else "came again"][message] += 1
            wrong["with two"][message] += message in holder and holder[message] not in killed
            holder[message] = who
        else:
            done[message] = (who, at_seconds)
            holder.pop(message, None)
    wrong["lost"].update(kept.keys() - taken.keys())
    found = {kind: +messages for kind, messages in wrong.items()}
    return {
        **found,
        KEPT: kept,
        TAKEN: taken,
        DONE: Counter(done.keys()),
        "redelivered": +Counter({message: times - 1 for message, times in taken.items()}),
    }


def main() -> int:
    """Play, count, print; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="", help="amqp://... or sqlite:PATH; a new file otherwise")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--senders", type=int, default=3)
    parser.add_argument("--receivers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:{folder}/queues.sqlite"
        scene = Scene(url, f"canario.kills-{uuid.uuid4().hex}.normal", Notes(Path(folder) / "notes"), given.seed)
        asyncio.run(open_broker("fraud", url).declare([scene.queue]))
        began = time.monotonic()
        play(scene, given.kills, given.senders, given.receivers)
        found = outcome(scene.notes)
        left = asyncio.run(waiting(scene))
    seconds = time.monotonic() - began
    for kind in (KEPT, TAKEN, DONE, "redelivered", *WRONG):
        sys.stdout.write(f"{kind:12} {found[kind].total():8}\n")
    sys.stdout.write(f"{'left':12} {left:8}\n{given.kills} kills in {seconds:.0f} s\n")
    bearable = {"last breath"} if url.startswith("amqp") else set()
    return int(any(found[kind] for kind in WRONG if kind not in bearable) or left > 0)


if __name__ == "__main__":
    sys.exit(main())
