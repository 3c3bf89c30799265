"""The two connections of a worker to its broker, opened together and given up together; when to open them again is the worker's affair."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence

from canario.errors import CanarioError, NotFound, Overloaded, TooLarge, Unavailable
from canario.model.stream import Message, Priority, queue_name, queue_names
from canario.ports.stream import Broker, Receiver, Sender
from canario.stream.batching import Batches
from canario.stream.ending import Ending, GivenBack, pause_seconds

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Link:
    """To one broker, for one model."""

    def __init__(self, broker: Broker, model: str, prefetch: int, ending: Ending) -> None:
        self._broker = broker
        self._queues = queue_names(model)
        self._prefetch = {queue_name(model, each): prefetch for each in Priority}
        self._ending = ending
        self._sender: Sender | None = None
        self._receiver: Receiver | None = None
        self._sends: Batches[tuple[str, Message], None] = Batches(self._send_all)
        self.trouble = "the broker has not been reached yet"
        """Why nothing goes to the broker now; empty while it does."""

    async def open(self) -> Receiver:
        """Have the queues, and both connections. Raises Unavailable, Conflict."""
        await self._broker.declare(self._queues)
        self._sender = await self._broker.sender()
        self._receiver = await self._broker.receiver(self._prefetch)
        self.trouble = ""
        return self._receiver

    async def close(self) -> None:
        """Give back what is not acknowledged, and let go of both."""
        sender, receiver = self._sender, self._receiver
        self._sender = self._receiver = None
        for each in (receiver, sender):
            if each is not None:
                with contextlib.suppress(CanarioError, OSError):
                    await each.close()

    def is_up(self, receiver: Receiver) -> bool:
        """Whether this is the receiver still, and nobody found its connections broken."""
        return receiver is self._receiver and not self.trouble

    def lost(self, connection: Sender | Receiver | None, why: Exception) -> None:
        """Somebody found a connection broken; one that was given up before is no news."""
        if connection is not None and connection in (self._sender, self._receiver):
            self.trouble = self.trouble or str(why)

    async def waiting(self) -> Mapping[str, int]:
        """How many messages wait in each of the model's queues. Raises Unavailable."""
        return await self._broker.waiting(self._queues)

    async def send(self, queue: str, message: Message, most_refusals: int = 0) -> None:
        """Send a message once it can be, however long the broker is away or the queue is full.

        Raises GivenBack when the worker ends first, NotFound for a queue that is not the model's own, TooLarge, and Overloaded
        when the queue was full so many times in a row (0: it is waited for).
        """
        failures = refusals = 0
        refused_by: Sender | None = None
        while True:
            if self._sender is not None and not self.trouble:
                try:
                    return await self._sends.add((queue, message))
                except Unavailable as not_now:
                    failures += 1
                    if isinstance(not_now, Overloaded):
                        # A broker that takes nothing at all says so in the same words, and its connection is lost then.
                        refusals = refusals + 1 if refused_by is self._sender else 1
                        refused_by = self._sender
                        if refusals == most_refusals:
                            raise
                    if failures == 1:
                        logger.warning("%s cannot be sent to %s now: %s", message.id, queue, not_now)
                except NotFound as unknown:
                    if queue not in self._queues:
                        raise
                    self.lost(self._sender, unknown)  # opening again makes the queue again
            elif self._ending.has_begun():
                raise GivenBack
            await self._ending.rest(pause_seconds(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))

    async def _send_all(self, batch: Sequence[tuple[str, Message]]) -> Sequence[Exception | None]:
        sender = self._sender
        if sender is None:
            raise Unavailable("the broker is away")
        by_queue: dict[str, list[Message]] = {}
        for queue, message in batch:
            by_queue.setdefault(queue, []).append(message)
        results = {queue: iter(await self._send_to(sender, queue, messages)) for queue, messages in by_queue.items()}
        return [next(results[queue]) for queue, _ in batch]

    async def _send_to(self, sender: Sender, queue: str, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """What kept each of them from being sent."""
        try:
            await sender.send(queue, messages)
        except (TooLarge, Overloaded) as wrong:
            if len(messages) == 1:
                return [wrong]
        except CanarioError as wrong:
            if type(wrong) is Unavailable:
                self.lost(sender, wrong)
            return [wrong] * len(messages)
        else:
            return [None] * len(messages)
        # It is true of one of them, or of all together.
        results: list[Exception | None] = []
        for message in messages:
            (result,) = await self._send_to(sender, queue, [message])
            results.append(result)
            if result is not None and not isinstance(result, TooLarge):
                return [*results, *([result] * (len(messages) - len(results)))]
        return results
