"""What the benchmarks of messages share: a model that is up, messages made from a seed, workers as processes, and where the broker is."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from canario.model.stream import Message, Priority
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import free_port
from demo.rows import sample_rows
from tests.stream.rabbitmq_server import RabbitMqServer

MODEL = "fraud"
BAD_SHARE = 0.001
TWICE_SHARE = 0.005
SHARES = {Priority.URGENT: 0.1, Priority.NORMAL: 0.3, Priority.BULK: 0.6}


@dataclass(frozen=True)
class Scene:
    """Messages by number; each process works them out for itself."""

    seed: int
    messages: int

    @cached_property
    def bodies(self) -> list[bytes]:
        """Rows that the model has not seen."""
        return [msgspec.json.encode(row) for row in sample_rows(MODEL)]

    def id(self, number: int) -> str:
        """Of one length, so that files of them can be counted by their size."""
        return f"m{self.seed % 10**6:06d}-{number:08d}"

    def is_bad(self, number: int) -> bool:
        """Whether no answer can come of it."""
        return random.Random(f"{self.seed} bad {number}").random() < BAD_SHARE

    def body(self, number: int) -> bytes:
        if not self.is_bad(number):
            return self.bodies[number % len(self.bodies)]
        return (b"this is no JSON", b'{"amount": 1}', b'{"rows": []}')[number % 3]

    def priority(self, number: int) -> Priority:
        chance = random.Random(f"{self.seed} priority {number}").random()
        return next(each for each in Priority if (chance := chance - SHARES[each]) < 0 or each is Priority.BULK)

    def message(self, number: int) -> Message:
        return Message(id=self.id(number), body=self.body(number), sent_at_seconds=time.time())

    def is_sent_twice(self, number: int) -> bool:
        """Whether its sender says it once more, a little later."""
        return random.Random(f"{self.seed} twice {number}").random() < TWICE_SHARE


class Workers:
    """Worker processes, each started again when it was killed."""

    def __init__(
        self, folder: Path, router: str, broker: str, *, ledger: str = "", options: tuple[str, ...] = ()
    ) -> None:
        self._folder = folder
        self._command = [sys.executable, "-m", "canario.stream", MODEL, "--router", router, "--broker", broker]
        self._command += ["--ledger", ledger, *options] if ledger else options
        self.running: list[subprocess.Popen[bytes]] = []
        self.ports: list[int] = []

    def start(self, number: int) -> None:
        """Start so many more."""
        for _ in range(number):
            self.ports.append(free_port(self.ports))
            self.running.append(self._started(len(self.running)))

    def kill(self, place: int) -> None:
        """Kill -9, and start another in its place at once."""
        self.running[place].send_signal(signal.SIGKILL)
        self.running[place].wait()
        self.running[place] = self._started(place)

    def end(self) -> list[int]:
        """Let all drain; their exit codes."""
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        return [process.wait(timeout=60) for process in self.running]

    def _started(self, place: int) -> subprocess.Popen[bytes]:
        with (self._folder / f"worker-{place}.log").open("ab") as log:
            return subprocess.Popen([*self._command, "--operator-port", str(self.ports[place])], stdout=log, stderr=log)


@contextlib.contextmanager
def model_up(processes: int = 1) -> Iterator[tuple[Path, str]]:
    """A folder of the benchmark's own, and the router of a model that is up there."""
    with tempfile.TemporaryDirectory(prefix="canario-messages-") as name:
        os.environ["CANARIO_HOME"], os.environ["BENTOML_HOME"] = f"{name}/canario", f"{name}/bentoml"
        day = dt.date(2026, 6, 27)
        asked = TrainingRequest(
            estimator="logistic-regression", tag="v1", seed=1, first_day=day, last_day=day + dt.timedelta(3)
        )
        version = train(load_room(MODEL), asked)
        model = LocalPlatform(MODEL)
        try:
            yield Path(name), model.up(version, port=free_port(), processes=processes).url
        finally:
            model.down()


@contextlib.contextmanager
def broker_up(kind: str, folder: Path) -> Iterator[tuple[str, RabbitMqServer | None]]:
    """The broker's URL; of a RabbitMQ also the server."""
    if kind == "sqlite":
        yield f"sqlite:{folder / 'queues.sqlite'}", None
        return
    server = RabbitMqServer()
    server.start()
    try:
        yield server.url, server
    finally:
        server.stop()
