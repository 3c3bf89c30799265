"""The ledger beside the loop: many questions and answers at once, on threads, and with patience while it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TypeVar

from canario.errors import CanarioError, IntegrityError, Unavailable
from canario.model.stream import Message
from canario.stream.batching import Batches
from canario.stream.ending import Ending, pause_seconds
from canario.stream.ledger import Known, Ledger

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Memory:
    """What the worker asks its ledger. What waits for nobody, such as that an answer was sent, goes along with the next write."""

    def __init__(self, ledger: Ledger, ending: Ending) -> None:
        self._ledger = ledger
        self._ending = ending
        self._sent: list[str] = []
        self._unwritten: set[str] = set()
        """The sent ones that the ledger has not been told of, or is being told of."""
        self._forgiven: list[str] = []
        self._looks: Batches[tuple[str, bool], Known] = Batches(self._look)
        self._keeps: Batches[Message, Known] = Batches(self._keep)
        self.trouble = ""
        """Why the ledger cannot be used now; empty while it can."""

    async def known(self, message: str, *, was_before: bool) -> Known:
        """What is known of a message. Raises GivenBack when the worker ends while the ledger is away."""
        if message in self._unwritten:
            return Known(is_sent=True)
        return await self._patiently(self._looks, (message, was_before))

    async def hold(self, answer: Message) -> Known:
        """Keep an answer for good; what holds from now on, which may be another one. Raises GivenBack likewise."""
        return await self._patiently(self._keeps, answer)

    def was_sent(self, message: str) -> None:
        """The broker has confirmed an answer."""
        self._sent.append(message)
        self._unwritten.add(message)

    def forgive(self, message: str) -> None:
        """Its attempts were not its own fault."""
        self._forgiven.append(message)

    async def flush(self) -> None:
        """Write what waits for nobody. Raises CanarioError; it is kept for the next time then."""
        if self._sent or self._forgiven:
            await self._keep([])

    async def forget(self, before_seconds: float) -> int:
        """Forget some of what is older; how much. Raises CanarioError."""
        return await asyncio.to_thread(self._ledger.forget, before_seconds)

    def close(self) -> None:
        """Let go of the ledger."""
        self._ledger.close()

    async def _patiently(self, batches: Batches[T, Known], item: T) -> Known:
        failures = 0
        while True:
            try:
                known = await batches.add(item)
            except (Unavailable, IntegrityError) as not_now:
                if not self.trouble:
                    logger.warning("the ledger cannot be used now: %s", not_now)
                self.trouble = str(not_now)
                await self._ending.rest(pause_seconds(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
                failures += 1
            else:
                self.trouble = ""
                return known

    async def _look(self, asked: Sequence[tuple[str, bool]]) -> Sequence[Known]:
        known = await asyncio.to_thread(self._ledger.look, dict(asked))
        return [known[message] for message, _ in asked]

    async def _keep(self, answers: Sequence[Message]) -> Sequence[Known]:
        sent, self._sent = self._sent, []
        forgiven, self._forgiven = self._forgiven, []
        try:
            held = await asyncio.to_thread(self._ledger.write, answers, sent, forgiven)
        except CanarioError:
            self._sent, self._forgiven = sent + self._sent, forgiven + self._forgiven
            raise
        self._unwritten.difference_update(sent)
        return [held[answer.id] for answer in answers]
