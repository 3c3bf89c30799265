"""Asks the queries of a rollout's gates, off the control loop and no more often than it can matter; judging is for the engine."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from canario.adapters.prometheus import Measurement, Prometheus
from canario.model.evidence import Evidence

ASK_EVERY_SECONDS = 2.0
"""Prometheus reads its targets every few seconds at best."""
OLDEST_ANSWER_SECONDS = 15.0
"""An answer that no newer one has followed for so long says nothing any more."""


@dataclass(slots=True)
class _Asked:
    """One query, and what is known of it."""

    query: str
    question: Future[Measurement] | None = None
    last: Measurement | None = None
    answered_at: float = 0.0
    next_at: float = 0.0


class Measuring:
    """The queries of one model's rollout. Call `tick` often; times are monotonic seconds."""

    def __init__(self, url: str, how_to_name_one: str) -> None:
        """Ask at this address; without one, every query is answered by how a person can name one."""
        self._prometheus = Prometheus(url) if url else None
        self._how_to_name_one = how_to_name_one
        self._threads: ThreadPoolExecutor | None = None
        self._asked: dict[str, _Asked] = {}

    def tick(self, now: float, queries: Mapping[str, str]) -> None:
        """Take what was answered and ask anew; `queries` are by gate's name, and one that is missing is forgotten."""
        known = self._asked
        self._asked = {
            name: known[name] if name in known and known[name].query == query else _Asked(query)
            for name, query in queries.items()
        }
        for asked in self._asked.values():
            if asked.question is not None and asked.question.done():
                asked.last, asked.answered_at, asked.question = asked.question.result(), now, None
            if asked.question is None and now >= asked.next_at and self._prometheus is not None:
                asked.next_at = now + ASK_EVERY_SECONDS
                asked.question = self._pool().submit(self._prometheus.ask, asked.query)

    def add_to(self, evidence: Evidence, now: float) -> Evidence:
        """The evidence with what the queries say, and why some say nothing."""
        known = {name: self._known(asked, now) for name, asked in self._asked.items()}
        return replace(
            evidence,
            measurements={name: each.value for name, each in known.items() if each.value is not None},
            unmeasured={name: each.why for name, each in known.items() if each.value is None},
        )

    def close(self) -> None:
        """Let go of threads and connections; a question under way is not waited for longer than it may take."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
        if self._prometheus is not None:
            self._prometheus.close()

    def _known(self, asked: _Asked, now: float) -> Measurement:
        if self._prometheus is None:
            return Measurement(why=f"no Prometheus is named: {self._how_to_name_one}")
        if asked.last is None:
            return Measurement(why="it has not been answered yet")
        if now - asked.answered_at > OLDEST_ANSWER_SECONDS:
            return Measurement(why=f"nobody has answered for {now - asked.answered_at:.0f} s")
        return asked.last

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="queries")
        return self._threads
