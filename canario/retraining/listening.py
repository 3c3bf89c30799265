"""Retrainings that nobody types: asked for by Alertmanager's webhook, by a rollout or by the clock, done one after the other.

The receiver answers at once and remembers only which models are waiting: an alert that is sent again, or by two
Alertmanagers, waits once. Each retraining is a process of its own, so that one which eats the memory or crashes takes
nothing down. Whether it is the time for one is decided there, on the record.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, generate_latest

from canario.errors import CanarioError
from canario.model.retraining import Trigger
from canario.retraining.alerts import Call
from canario.retraining.receiver import receiver
from canario.retraining.records import FileRetrainings, models_retrained
from canario.retraining.telling import RetrainingsTold
from canario.retraining.wishes import open_wishes

LOOK_SECONDS = 1.0
WISH_AGAIN_SECONDS = 60.0
"""A rollout's wish that was refused is tried again after this: labels may have come."""
GRACE_SECONDS = 10.0


class Listener:
    """The receiver and its one worker. `run` blocks until `end`."""

    def __init__(
        self,
        *,
        models: Callable[[], Sequence[str]],
        command: Callable[[Call], Sequence[str]],
        every_seconds: float | None,
        tell: Callable[[str], None],
    ) -> None:
        """`models` are those that may be retrained here; `command` is what retrains one."""
        self._models, self._command, self._every_seconds, self._tell = models, command, every_seconds, tell
        self._waiting: dict[str, Call] = {}
        self._change = threading.Condition()
        self._ending = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._tried: dict[str, float] = {}
        self._registry = CollectorRegistry()
        self._registry.register(RetrainingsTold(models_retrained))

    def run(self, port: int) -> None:
        """Listen on 127.0.0.1 until `end`; a retraining under way is ended then, and recorded as interrupted."""
        server = receiver(self, port)
        threads = [
            threading.Thread(target=serve, name=name, daemon=True)
            for name, serve in (("receiver", server.serve_forever), ("worker", self._work), ("clock", self._watch))
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._ending.wait(LOOK_SECONDS):
                pass
        finally:
            self.end()
            server.shutdown()
            server.server_close()
            self._end_child()
            threads[1].join(GRACE_SECONDS)

    def end(self) -> None:
        """End soon; safe in a signal handler's thread."""
        self._ending.set()

    def take(self, calls: Sequence[Call]) -> dict[str, list[str]]:
        """Have these models retrained when their turn comes; which are taken, and which are none of ours."""
        known = set(self._models())
        taken = [call for call in calls if call.model in known]
        with self._change:
            for call in taken:
                self._waiting.setdefault(call.model, call)
            self._change.notify_all()
        for call in taken:
            self._tell(f"{call.model}: {call.reason}")
        return {
            "taken": [call.model for call in taken],
            "unknown": [call.model for call in calls if call.model not in known],
        }

    def metrics(self) -> bytes:
        """When each model was last retrained, by outcome, for Prometheus."""
        return generate_latest(self._registry)

    def _work(self) -> None:
        while not self._ending.is_set():
            with self._change:
                if not self._waiting:
                    self._change.wait(LOOK_SECONDS)
                    continue
                call = self._waiting.pop(next(iter(self._waiting)))
            try:
                self._child = subprocess.Popen(self._command(call), stdin=subprocess.DEVNULL)
                code = self._child.wait()
            except (OSError, ValueError) as failed:  # ValueError: words that no command line can hold
                self._tell(f"{call.model}: the retraining cannot start: {failed}")
                continue
            self._tell(f"{call.model}: ended with exit code {code}; `canario retrain {call.model} --history` tells why")

    def _watch(self) -> None:
        """Look for what rollouts have asked for, and whether it is time."""
        due = time.monotonic() + self._every_seconds if self._every_seconds else None
        while not self._ending.wait(LOOK_SECONDS):
            with contextlib.suppress(CanarioError, OSError):  # looked at again in a second
                self.take(self._wishes())
            with contextlib.suppress(CanarioError, OSError):
                if due is not None and self._every_seconds and time.monotonic() >= due:
                    words = f"every {self._every_seconds / 3600:g} h"
                    self.take([Call(model=model, trigger=Trigger.SCHEDULE, reason=words) for model in self._models()])
                    while due <= time.monotonic():  # only now: a round that failed is tried again, once
                        due += self._every_seconds

    def _wishes(self) -> list[Call]:
        found = []
        for model in self._models():
            for wish in open_wishes(model, FileRetrainings(model).all()):
                if time.monotonic() - self._tried.get(wish.rollout, float("-inf")) >= WISH_AGAIN_SECONDS:
                    self._tried[wish.rollout] = time.monotonic()
                    found.append(Call(model=model, trigger=Trigger.ROLLOUT, reason=wish.reason, wish=wish.rollout))
        return found

    def _end_child(self) -> None:
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(GRACE_SECONDS)
        if self._child.poll() is None:
            self._child.kill()
