"""What the stream needs of a broker: queues, messages put for good, messages lent until they are acknowledged.

A broker is one file of `canario.stream`; docs/stream.md says how to add another, and tests/stream/broker_contract.py proves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from canario.model.stream import Delivery, Message


class Sender(Protocol):
    """Puts messages into queues."""

    async def send(self, queue: str, messages: Sequence[Message]) -> None:
        """Put messages; when it returns the broker keeps all of them for good.

        Raises Unavailable when the broker is out of reach (some may be kept: sending them again is safe, by their ids), NotFound
        when there is no such queue, Overloaded when it is full, TooLarge for a message that the broker does not take.
        """

    async def close(self) -> None:
        """Let go of the connection."""


class Receiver(Protocol):
    """Lends the messages of some queues, in each queue's order. What is not acknowledged when it goes is lent to others."""

    async def take(self, queue: str) -> Delivery | None:
        """The next message of a queue that has been fetched; None when there is none here. Raises Unavailable."""

    async def wait(self, timeout_seconds: float) -> None:
        """Return when something may be there to take, or after a while. Raises Unavailable once the connection is lost."""

    async def acknowledge(self, delivery: Delivery) -> None:
        """Have the broker forget a message, for it was dealt with. Raises Unavailable."""

    async def close(self) -> None:
        """Give back what is not acknowledged, at once, and let go of the connection."""


class Broker(Protocol):
    """Where the queues are; it connects when it is asked for something."""

    async def declare(self, queues: Sequence[str]) -> None:
        """Have these queues; those that are there stay as they are. Raises Unavailable, Conflict when one is of another kind."""

    async def sender(self) -> Sender:
        """A connection that sends. Raises Unavailable."""

    async def receiver(self, prefetch: Mapping[str, int]) -> Receiver:
        """A connection that receives from these queues, each with at most so many messages here and unacknowledged. Raises Unavailable, NotFound."""

    async def waiting(self, queues: Sequence[str]) -> Mapping[str, int]:
        """How many messages wait in each queue and are with nobody. Raises Unavailable, NotFound."""
