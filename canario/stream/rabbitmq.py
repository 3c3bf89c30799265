"""RabbitMQ as a broker: durable queues, messages put with confirms in a window, messages lent with acknowledgements.

The connection is canario.stream.amqp's. Senders and receivers have one each: a broker that is short of memory or disk stops
reading from those who send, and acknowledgements must go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from pamqp.commands import Basic

from canario.errors import Conflict, UsageError
from canario.kernel.limits import Limits
from canario.model.stream import Delivery
from canario.stream.amqp import Address, Link, Patience, connect, end_of, said
from canario.stream.rabbitmq_messages import fitting_queue, to_message
from canario.stream.rabbitmq_sender import MESSAGES, RabbitSender, Window, no_queue

MOST_WAITING = 1_000_000
MOST_PREFETCHED = 65_535
"""More AMQP cannot say; and 0 would be without a bound."""
MOST_HELD_BYTES = 64 * 1024 * 1024
"""Of bodies in one receiver's hands: a prefetch counts messages, and those of other clients may be large."""
QUEUE_TYPES = ("classic", "quorum")


class RabbitMq:
    """A RabbitMQ; each thing asked of it opens a connection, so one that was away or restarted is no special case.

    The address may set what the keywords set: `amqp://...?most_waiting=50000&queue_type=quorum`; and the client's own words,
    such as `cafile`, `certfile`, `keyfile` and `heartbeat`.
    """

    def __init__(
        self,
        url: str,
        *,
        most_waiting: int = MOST_WAITING,
        longest_body_bytes: int = Limits().longest_body_bytes,
        queue_type: str = "classic",
        window: int = MESSAGES,
        patience: Patience | None = None,
    ) -> None:
        """Bounds: of messages in one queue (0: as many as the broker bears), of a body, of messages that wait for confirms.

        A queue of type `quorum` has copies on several nodes of a cluster.
        """
        self._address = Address(url)
        self._most_waiting = _number(self._address, "most_waiting", most_waiting)
        self._queue_type = self._address.url.query.get("queue_type", queue_type)
        if self._queue_type not in QUEUE_TYPES:
            raise UsageError(
                f"queue_type is {self._queue_type!r}", at="the broker's address", hint=" or ".join(QUEUE_TYPES)
            )
        self._window = Window(
            messages=max(1, _number(self._address, "window", window)),
            longest_body_bytes=_number(self._address, "longest_body_bytes", longest_body_bytes),
        )
        self._patience = patience or Patience()

    def __repr__(self) -> str:
        return f"RabbitMq({self._address!r})"

    async def declare(self, queues: Sequence[str]) -> None:
        """Have durable queues of these names."""
        link = await connect(self._address, "declares", self._patience)
        try:
            for queue in queues:
                await self._declare(link, fitting_queue(queue))
        finally:
            await link.close()

    async def sender(self) -> RabbitSender:
        """A connection that sends."""
        return RabbitSender(await connect(self._address, "sends", self._patience), self._window, self._patience)

    async def receiver(self, prefetch: Mapping[str, int]) -> RabbitReceiver:
        """A connection that receives from these queues."""
        link = await connect(self._address, "receives", self._patience)
        receiver = RabbitReceiver(link, self._window.longest_body_bytes)
        try:
            await receiver.begin(prefetch)
        except BaseException:
            await link.close()
            raise
        return receiver

    async def waiting(self, queues: Sequence[str]) -> Mapping[str, int]:
        """How many messages wait in each queue and are with nobody."""
        link = await connect(self._address, "counts", self._patience)
        try:
            found: dict[str, int] = {}
            for queue in queues:
                number = await _waiting(link, queue)
                if number is None:
                    raise no_queue(queue, link)
                found[queue] = number
            return found
        finally:
            await link.close()

    async def _declare(self, link: Link, queue: str) -> None:
        channel = await link.channel()
        try:
            await link.ask(channel.queue_declare(queue, durable=True, arguments=self._arguments()))
        except (ChannelPreconditionFailed, ChannelLockedResource) as error:
            raise Conflict(
                f"there is a queue {queue} of another kind: {said(error)}",
                at=link.at,
                hint=f"say at the address how it is (?most_waiting=0 for no bound, ?queue_type=quorum), or empty it and remove it: "
                f"`rabbitmqctl delete_queue {queue}`",
            ) from error
        except ChannelAccessRefused as error:
            # Who may only read and write can still use what somebody else has made.
            if await _waiting(link, queue) is None:
                raise Conflict(
                    f"the user {self._address.user!r} may not make the queue {queue}",
                    at=link.at,
                    hint="have somebody make it who may, or `rabbitmqctl set_permissions`",
                ) from error

    def _arguments(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self._queue_type != "classic":
            made["x-queue-type"] = self._queue_type
        if self._most_waiting:
            made |= {"x-max-length": self._most_waiting, "x-overflow": "reject-publish"}
        return made


@dataclass(frozen=True, slots=True)
class _Receipt:
    tag: int
    receiver: object = field(repr=False)


class RabbitReceiver:
    """Receives over one channel with a consumer for each queue; once that ends it is of no use, and says so."""

    def __init__(self, link: Link, longest_body_bytes: int) -> None:
        self._link = link
        self._longest_body_bytes = longest_body_bytes
        self._channel: Channel | None = None
        self._here: dict[str, deque[Delivery]] = {}
        self._lent: dict[int, int] = {}
        """The bytes of what is in our hands, by the broker's tag."""
        self._lent_bytes = 0
        self._has_begun = False
        self._arrived = asyncio.Event()
        link.when_lost(self._arrived.set)

    async def begin(self, prefetch: Mapping[str, int]) -> None:
        """Ask for the messages of queues; raises NotFound for one that is not there."""
        channel = await self._link.channel()
        self._channel = channel
        channel.on_consumer_cancel_callbacks.add(lambda _: self._link.lose("a queue was removed"))
        channel.closing.add_done_callback(lambda ended: self._link.lose(end_of(ended, "the channel is closed")))
        for queue, most in prefetch.items():
            self._here[queue] = deque()
            try:
                await self._link.ask(channel.basic_qos(prefetch_count=min(max(most, 1), MOST_PREFETCHED)))
                await self._link.ask(channel.basic_consume(fitting_queue(queue), self._taker(queue)))
            except ChannelNotFoundEntity as error:
                raise no_queue(queue, self._link) from error
            except (ChannelAccessRefused, ChannelLockedResource) as error:
                raise self._link.unavailable(said(error)) from error
        self._has_begun = True
        self._hold_back()

    async def take(self, queue: str) -> Delivery | None:
        """The next message of a queue that has been fetched."""
        self._link.check()
        here = self._here[queue]
        return here.popleft() if here else None

    async def wait(self, timeout_seconds: float) -> None:
        """Return when something may be there to take, or after a while."""
        self._link.check()
        if any(self._here.values()):
            return
        self._arrived.clear()
        try:
            await asyncio.wait_for(self._arrived.wait(), timeout_seconds)
        except TimeoutError:
            return
        self._link.check()

    async def acknowledge(self, delivery: Delivery) -> None:
        """Have the broker forget a message that this receiver holds; a second time does nothing."""
        self._link.check()
        receipt = delivery.receipt
        if self._channel is None or not isinstance(receipt, _Receipt) or receipt.receiver is not self:
            raise self._link.unavailable("the message was lent by an earlier connection")
        if receipt.tag not in self._lent:
            # Said again, the broker would end the channel, and lend all the rest once more.
            return
        self._lent_bytes -= self._lent.pop(receipt.tag)
        self._hold_back()
        await self._link.ask(self._channel.basic_ack(receipt.tag))

    async def close(self) -> None:
        """Give back what is not acknowledged, and let go of the connection."""
        await self._link.close()

    def _hold_back(self) -> None:
        # Not before all consumers are there: the broker's words about the last of them come behind messages of the first.
        self._link.hold_back(is_full=self._has_begun and self._lent_bytes > MOST_HELD_BYTES)

    def _taker(self, queue: str) -> Callable[[DeliveredMessage], Coroutine[Any, Any, None]]:
        async def take(delivered: DeliveredMessage) -> None:
            deliver = delivered.delivery
            if not isinstance(deliver, Basic.Deliver) or deliver.delivery_tag is None:
                return
            message = to_message(delivered.header.properties, delivered.body or b"", self._longest_body_bytes)
            self._lent[deliver.delivery_tag] = len(message.body)
            self._lent_bytes += len(message.body)
            self._hold_back()
            self._here[queue].append(
                Delivery(
                    message=message,
                    queue=queue,
                    is_redelivered=bool(deliver.redelivered),
                    receipt=_Receipt(deliver.delivery_tag, self),
                )
            )
            self._arrived.set()

        return take


async def _waiting(link: Link, queue: str) -> int | None:
    """How many messages wait in a queue; None where there is no such queue."""
    channel = await link.channel()
    try:
        found = await link.ask(channel.queue_declare(fitting_queue(queue), passive=True))
    except ChannelNotFoundEntity:
        return None
    except ChannelLockedResource as error:
        raise Conflict(f"the queue {queue} is another connection's own: {said(error)}", at=link.at) from error
    return found.message_count or 0


def _number(address: Address, name: str, otherwise: int) -> int:
    text = address.url.query.get(name, str(otherwise))
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{name} is {text!r}", at="the broker's address", hint="a whole number")
    return int(text)
