"""Sends to RabbitMQ with confirms in a window: many messages wait for theirs at once, and each wait has its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiormq.channel import Channel
from aiormq.exceptions import ChannelPreconditionFailed, DeliveryError, PublishError
from pamqp.commands import Basic

from canario.errors import CanarioError, NotFound, Overloaded, TooLarge
from canario.model.stream import Message
from canario.stream.amqp import Link, Patience, said
from canario.stream.rabbitmq_messages import fitting_queue, to_properties

MESSAGES = 256
"""Of one sender that wait for their confirms at once."""

_SHORTER = "send its rows in several messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How much one sender has under way."""

    messages: int = MESSAGES
    total_bytes: int = 32 * 1024 * 1024
    longest_body_bytes: int = 16 * 1024 * 1024


class RabbitSender:
    """Puts messages; the order of one call is kept, unless some of it has to be sent again."""

    _LOOK_SECONDS = 0.25

    def __init__(self, link: Link, window: Window, patience: Patience) -> None:
        self._link = link
        self._window = window
        self._patience = patience
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._under_way: set[str] = set()
        """Ids: the client matches what comes back by them, so each is under way once."""
        self._bytes_under_way = 0
        self._room = asyncio.Event()
        self._settled_at = 0.0
        self._blocked_since: float | None = None

    async def send(self, queue: str, messages: Sequence[Message]) -> None:
        """Put messages; when it returns the broker has confirmed all of them."""
        fitting_queue(queue)
        ready = [(self._fitting(message), to_properties(message)) for message in messages]
        channel = await self._open()
        tasks: list[asyncio.Task[CanarioError | None]] = []
        failed: list[CanarioError] = []
        try:
            for message, properties in ready:
                await self._until_room(message)
                if failed:
                    break
                self._enter(message)
                tasks.append(asyncio.create_task(self._put(channel, queue, message, properties, failed)))
            await self._settled(tasks)
        finally:
            for task in tasks:
                task.cancel()
        if failed:
            raise failed[0]
        if any(task.cancelled() for task in tasks):
            raise self._link.unavailable(self._link.lost or "the connection is lost")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._link.close()

    async def _open(self) -> Channel:
        async with self._opening:
            self._link.check()
            # A message that the broker does not take ends the channel, not the connection.
            if self._channel is None or self._channel.is_closed:
                self._channel = await self._link.channel(confirms=True)
            return self._channel

    async def _put(
        self, channel: Channel, queue: str, message: Message, properties: Basic.Properties, failed: list[CanarioError]
    ) -> None:
        try:
            # Without waiting for the socket: how much may be between here and there is the window's to say.
            await channel.basic_publish(
                message.body, routing_key=queue, properties=properties, mandatory=True, wait=False
            )
        except Exception as error:  # noqa: BLE001 - the client raises a plain Exception to whoever waits when it is closed
            failed.append(self._translated(error, queue, message))
        finally:
            self._leave(message)

    def _translated(self, error: Exception, queue: str, message: Message) -> CanarioError:
        match error:
            case PublishError():
                return no_queue(queue, self._link)
            case DeliveryError():
                return Overloaded(
                    f"the queue {queue} is full",
                    at=self._link.at,
                    hint="send again when workers have answered some; more workers answer faster",
                )
            case ChannelPreconditionFailed() if _is_longer(message.body, said(error)):
                return TooLarge(
                    f"RabbitMQ does not take the message {message.id}: {said(error)}", at=self._link.at, hint=_SHORTER
                )
        return self._link.unavailable(self._link.lost or said(error))

    def _enter(self, message: Message) -> None:
        if not self._under_way:
            self._settled_at = asyncio.get_running_loop().time()
        self._under_way.add(message.id)
        self._bytes_under_way += len(message.body)

    def _leave(self, message: Message) -> None:
        self._under_way.discard(message.id)
        self._bytes_under_way -= len(message.body)
        self._settled_at = asyncio.get_running_loop().time()
        self._room.set()

    async def _until_room(self, message: Message) -> None:
        window = self._window
        while self._under_way and (
            len(self._under_way) >= window.messages
            or self._bytes_under_way + len(message.body) > window.total_bytes
            or message.id in self._under_way
        ):
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), self._LOOK_SECONDS)
            except TimeoutError:
                await self._look()

    async def _settled(self, tasks: Sequence[asyncio.Task[CanarioError | None]]) -> None:
        while waiting := [task for task in tasks if not task.done()]:
            await asyncio.wait(waiting, timeout=self._LOOK_SECONDS)
            if not all(task.done() for task in waiting):
                await self._look()

    async def _look(self) -> None:
        """Give up, and lose the connection, when the broker takes or confirms nothing for too long."""
        self._link.check()
        now = asyncio.get_running_loop().time()
        if not await self._link.is_blocked():
            self._blocked_since = None
        elif self._blocked_since is None:
            self._blocked_since = now
        # What is on its way may still arrive, or not: with the connection gone nobody takes a late confirm for another's.
        if self._blocked_since is not None and now - self._blocked_since >= self._patience.blocked_seconds:
            self._link.lose("it takes no messages: it is short of memory or disk")
            raise Overloaded(
                f"RabbitMQ at {self._link.at} takes no messages: it is short of memory or disk",
                hint="`rabbitmqctl status` names the alarm; send again when it is over",
            )
        if self._under_way and now - self._settled_at >= self._patience.confirm_seconds:
            self._link.lose(f"it confirmed nothing for {self._patience.confirm_seconds:g} s")
            self._link.check()

    def _fitting(self, message: Message) -> Message:
        number, most = len(message.body), self._window.longest_body_bytes
        if number > most:
            raise TooLarge(
                f"the message {message.id} has {number} bytes, more than the {most} that are taken",
                at="body",
                hint=_SHORTER,
            )
        return message


def no_queue(queue: str, link: Link) -> NotFound:
    """What to raise for a queue that is not there."""
    return NotFound(
        f"there is no queue {queue} at RabbitMQ {link.at}",
        hint="a worker makes its model's queues; others are made by who reads them",
    )


def _is_longer(body: bytes, what_the_broker_said: str) -> bool:
    """Whether the broker ended a channel for this message: it does not say for which of those under way."""
    named = re.search(r"max size (\d+)", what_the_broker_said)
    return named is not None and len(body) > int(named[1])
