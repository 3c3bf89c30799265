"""Card payments over time, sent to a model with the truth of each a moment later, as a bank's own systems would; counting is here, judging elsewhere."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from canario.model.feedback import Value
from canario.packaging.rooms import load_room
from demo.rows import plain

MODEL = "fraud"
FRAUD = "fraud"
LONGEST_WAIT_SECONDS = 20.0
SEED = 90210
"""None of the trainings uses it: these payments are new to every version."""
SENDERS = 3

Payment = tuple[Mapping[str, Value], str]
"""A row, and what it turns out to be."""


def payments(day: dt.date) -> Iterator[Payment]:
    """The payments from a day on, in order of time, none twice and without an end."""
    room = load_room(MODEL)
    while True:
        frame = room.generate(day, day, SEED)
        rows = frame[list(room.card.column_names)].to_dict("records")
        for row, truth in zip(rows, frame[room.card.label.name], strict=True):
            yield {str(name): plain(value) for name, value in row.items()}, str(truth)
        day += dt.timedelta(days=1)


@dataclass
class Seen:
    """What clients saw, by version."""

    rows: Counter[str] = field(default_factory=Counter)
    frauds: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def recall(self, version: str) -> float:
        """The share of the frauds that a version was shown and named so."""
        return self.caught[version] / max(1, self.frauds[version])

    def told(self, version: str) -> str:
        """The same in words."""
        return f"{self.recall(version):.1%} of {self.frauds[version]} frauds among {self.rows[version]:,} payments"


class Payments:
    """Sends payments at a steady rate until the block ends, and their truths after a delay."""

    def __init__(
        self,
        target: str,
        stream: Iterator[Payment],
        *,
        rows_per_second: float,
        rows_each: int = 40,
        delay_seconds: float = 1.0,
    ) -> None:
        self.seen = Seen()
        self.has_labels = True
        """Whether truths are sent at all."""
        self._target, self._rows_each, self._delay_seconds = target, rows_each, delay_seconds
        self._pause_seconds = SENDERS * rows_each / rows_per_second
        self._lock = threading.Lock()
        self._stream = stream
        self._due: deque[tuple[float, list[dict[str, Any]]]] = deque()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send, name="payments", daemon=True) for _ in range(SENDERS)]
        self._threads.append(threading.Thread(target=self._tell, name="truths", daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(LONGEST_WAIT_SECONDS)

    def go_on_with(self, stream: Iterator[Payment]) -> Seen:
        """From now on these payments come; what was seen until now, with the counts beginning anew."""
        with self._lock:
            seen, self.seen, self._stream = self.seen, Seen(), stream
        return seen

    def count_anew(self) -> Seen:
        """What was seen until now; the counts begin anew."""
        with self._lock:
            seen, self.seen = self.seen, Seen()
        return seen

    def _send(self) -> None:
        next_at = time.monotonic()
        with httpx.Client(base_url=f"http://{self._target}", timeout=LONGEST_WAIT_SECONDS, trust_env=False) as client:
            while not self._ending.is_set():
                with self._lock:
                    some = list(itertools.islice(self._stream, self._rows_each))
                self._ask(client, some)
                next_at = max(next_at + self._pause_seconds, time.monotonic() - 1.0)
                self._ending.wait(max(0.0, next_at - time.monotonic()))

    def _ask(self, client: httpx.Client, some: Sequence[Payment]) -> None:
        try:
            answer = client.post("/predict", json={"rows": [row for row, _ in some]})
        except httpx.HTTPError as failed:
            self._fail(type(failed).__name__)
            return
        if answer.status_code != httpx.codes.OK:
            self._fail(f"status {answer.status_code}")
            return
        told = answer.json()
        version, answers = told["version"], told["predictions"]
        with self._lock:
            self.seen.rows[version] += len(some)
            for (_, truth), given in zip(some, answers, strict=True):
                self.seen.frauds[version] += truth == FRAUD
                self.seen.caught[version] += truth == given["label"] == FRAUD
        if self.has_labels:
            truths = [
                {"prediction_id": given["prediction_id"], "truth": truth}
                for (_, truth), given in zip(some, answers, strict=True)
            ]
            self._due.append((time.monotonic() + self._delay_seconds, truths))

    def _tell(self) -> None:
        with httpx.Client(base_url=f"http://{self._target}", timeout=LONGEST_WAIT_SECONDS, trust_env=False) as client:
            while not self._ending.wait(0.2):
                truths: list[dict[str, Any]] = []
                while self._due and self._due[0][0] <= time.monotonic() and len(truths) < 5000:
                    truths += self._due.popleft()[1]
                if truths and not self._are_kept(client, truths):
                    self._due.appendleft((time.monotonic() + self._delay_seconds, truths))  # a truth may be sent twice

    def _are_kept(self, client: httpx.Client, truths: Sequence[Mapping[str, Any]]) -> bool:
        try:
            return client.post("/feedback", json=truths).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _fail(self, words: str) -> None:
        with self._lock:
            self.seen.failures[words] += 1
