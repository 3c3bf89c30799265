"""A RabbitMQ in trouble: killed, restarted, standing still, out of memory, connections cut; nothing that was confirmed is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from canario.errors import NotFound, Overloaded, Unavailable
from canario.model.stream import Message
from canario.stream.amqp import Patience
from canario.stream.rabbitmq import RabbitMq
from tests.stream.broker_connections import Connections, connected, ids, in_time
from tests.stream.rabbitmq_server import RabbitMqServer

SOON = Patience(connect_seconds=2.0, answer_seconds=2.0, confirm_seconds=2.0, blocked_seconds=1.0, close_seconds=1.0)
AT_ONCE = 200


async def send_through(broker: RabbitMq, queue: str, confirmed: list[str], until: asyncio.Event) -> int:
    """Send windows of messages, again over a new connection after each failure; how often it failed."""
    failures = 0
    sender = None
    while not until.is_set():
        window = [Message(id=str(len(confirmed) + each), body=b"{}" * 50) for each in range(AT_ONCE)]
        try:
            sender = sender or await broker.sender()
            await sender.send(queue, window)
            confirmed += [message.id for message in window]
        except Unavailable:
            failures += 1
            if sender is not None:
                await sender.close()
            sender = None
            await asyncio.sleep(0.1)
    if sender is not None:
        await sender.close()
    return failures


async def all_of(at: Connections) -> list[str]:
    """The ids of all that waits, in order."""
    receiver = await at.receiver(1000)
    got: list[str] = []
    while True:
        delivery = await receiver.take(at.queue)
        if delivery is None:
            await receiver.wait(1.0)
            delivery = await receiver.take(at.queue)
        if delivery is None:
            return got
        got.append(delivery.message.id)
        await receiver.acknowledge(delivery)


@pytest.mark.parametrize("trouble", ["restart", "kill"])
@in_time
async def test_nothing_confirmed_is_lost_with_the_broker(rabbitmq: RabbitMqServer, trouble: str) -> None:
    """A broker that is restarted or killed while windows are sent has every message it confirmed, in order, when it is back."""

    def act() -> None:
        if trouble == "restart":
            rabbitmq.restart()
        else:
            rabbitmq.kill()
            rabbitmq.start()

    async with connected(rabbitmq.url) as at:
        await asyncio.to_thread(rabbitmq.settle)
        confirmed: list[str] = []
        until = asyncio.Event()
        sending = asyncio.create_task(send_through(RabbitMq(rabbitmq.url), at.queue, confirmed, until))

        async def have(number: int) -> None:
            while len(confirmed) < number and not sending.done():
                await asyncio.sleep(0.01)

        await have(5 * AT_ONCE)
        await asyncio.to_thread(act)
        await have(len(confirmed) + 2 * AT_ONCE)
        until.set()
        assert await sending > 0
        got = await all_of(at)
        assert list(dict.fromkeys(got)) == confirmed, f"{len(confirmed)} confirmed, {len(set(got))} there"


async def raises_soon(act: Callable[[], object], kind: type[Exception], most_seconds: float) -> Exception:
    """What it raises, if it does so in time."""
    began = time.monotonic()
    with pytest.raises(kind) as raised:
        await act()  # type: ignore[misc]
    assert time.monotonic() - began < most_seconds
    return raised.value


@in_time
async def test_a_cut_connection_is_told_of_at_once(rabbitmq: RabbitMqServer) -> None:
    """When the broker cuts connections, who waits is told at once; what was lent comes again, and old receipts are worth nothing."""
    async with connected(rabbitmq.url) as at:
        await at.send(3)
        sender, receiver = await at.sender(), await at.receiver()
        lent = await at.take(receiver, 3)
        await receiver.acknowledge(lent[0])
        waiting = asyncio.create_task(receiver.wait(30))
        await asyncio.to_thread(rabbitmq.control, "close_all_connections", "the test says so")
        assert "the test says so" in str(await raises_soon(lambda: waiting, Unavailable, 5.0))
        await raises_soon(lambda: receiver.take(at.queue), Unavailable, 1.0)
        await raises_soon(lambda: receiver.acknowledge(lent[1]), Unavailable, 1.0)
        await raises_soon(lambda: sender.send(at.queue, [Message(id="9", body=b"")]), Unavailable, 1.0)
        again = await at.receiver()
        taken = await at.take(again, 2)
        assert ids(taken) == ["1", "2"]
        assert all(each.is_redelivered for each in taken)
        await raises_soon(lambda: again.acknowledge(lent[1]), Unavailable, 1.0)
        for each in taken:
            await again.acknowledge(each)
        await again.close()
        await at.waiting(0)


@in_time
async def test_a_removed_queue_is_told_of(rabbitmq: RabbitMqServer) -> None:
    """When somebody removes a queue, who receives from it is told at once instead of waiting for ever."""
    async with connected(rabbitmq.url) as at:
        receiver = await at.receiver()
        waiting = asyncio.create_task(receiver.wait(30))
        await asyncio.to_thread(rabbitmq.control, "delete_queue", at.queue)
        await raises_soon(lambda: waiting, Unavailable, 5.0)
        await raises_soon(lambda: at.broker.receiver({at.queue: 1}), NotFound, 5.0)


@in_time
async def test_a_message_held_too_long_is_lent_again(rabbitmq: RabbitMqServer) -> None:
    """A broker with a limit on how long a message may be held ends the receiver's channel: it is told why, and the message comes again."""
    patient = "application:set_env(rabbit, consumer_timeout, 1800000), application:set_env(rabbit, channel_tick_interval, 60000)."
    impatient = patient.replace("1800000", "300").replace("60000", "200")
    async with connected(rabbitmq.url) as at:
        await at.send(1)
        await asyncio.to_thread(rabbitmq.evaluate, impatient)
        try:
            receiver = await at.receiver()
            await at.take(receiver, 1)
            error = await raises_soon(lambda: receiver.wait(30), Unavailable, 10.0)
            assert "timed out" in str(error)
        finally:
            await asyncio.to_thread(rabbitmq.evaluate, patient)
        [again] = await at.take(await at.receiver(), 1)
        assert again.is_redelivered


@in_time
async def test_a_broker_out_of_memory_is_overloaded(rabbitmq: RabbitMqServer) -> None:
    """While the broker has an alarm a sender is told so in time, receivers go on, and after it all that was confirmed is there."""
    async with connected(rabbitmq.url) as at:
        broker = RabbitMq(rabbitmq.url, patience=SOON)
        await at.send(10)
        receiver = await at.receiver(5)
        await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.000001")
        try:
            sender = await broker.sender()
            window = [Message(id=f"a-{each}", body=bytes(1000)) for each in range(500)]
            error = await raises_soon(lambda: sender.send(at.queue, window), Overloaded, 5.0)
            assert "memory" in str(error)
            await raises_soon(lambda: sender.send(at.queue, window), Unavailable, 1.0)
            began = time.monotonic()
            await sender.close()
            assert time.monotonic() - began < 2.0
            for each in await at.take(receiver, 5):
                await receiver.acknowledge(each)
            taken = await at.take(receiver, 5)
            assert ids(taken) == [str(number) for number in range(5, 10)]
            for each in taken:
                await receiver.acknowledge(each)
        finally:
            await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.4")
        sender = await broker.sender()
        await sender.send(at.queue, [Message(id=f"b-{each}", body=b"") for each in range(5)])
        await sender.close()
        await receiver.close()
        got = await all_of(at)
        # Some of what was refused may have got through; all of what was confirmed did.
        assert [each for each in got if each.startswith("b")] == [f"b-{each}" for each in range(5)]


@in_time
async def test_an_alarm_that_is_short_is_only_a_delay(rabbitmq: RabbitMqServer) -> None:
    """An alarm that ends before patience does delays a window; it is confirmed whole and no message twice."""
    async with connected(rabbitmq.url) as at:
        sender = await at.sender()
        await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.000001")
        sent = [str(each) for each in range(500)]
        sending = asyncio.create_task(sender.send(at.queue, [Message(id=each, body=bytes(500)) for each in sent]))
        try:
            await asyncio.sleep(0.5)
            assert not sending.done()
        finally:
            await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.4")
        await sending
        assert await all_of(at) == sent


@in_time
async def test_a_broker_that_stands_still_is_given_up(rabbitmq: RabbitMqServer) -> None:
    """A broker that keeps its connections and says nothing, as behind a broken network, is unavailable in bounded time."""
    async with connected(rabbitmq.url) as at:
        broker = RabbitMq(f"{rabbitmq.url}?heartbeat=1", patience=SOON)
        sender, receiver = await broker.sender(), await broker.receiver({at.queue: 5})
        await sender.send(at.queue, [Message(id="before", body=b"{}")])
        [lent] = await at.take(receiver, 1)
        rabbitmq.pause()
        try:
            waiting = asyncio.create_task(receiver.wait(30))
            await raises_soon(broker.sender, Unavailable, 4.0)
            await raises_soon(lambda: broker.waiting([at.queue]), Unavailable, 4.0)
            await raises_soon(lambda: sender.send(at.queue, [Message(id="1", body=b"")]), Unavailable, 6.0)
            await raises_soon(lambda: waiting, Unavailable, 15.0)
            await raises_soon(lambda: receiver.acknowledge(lent), Unavailable, 1.0)
            began = time.monotonic()
            await sender.close()
            await receiver.close()
            assert time.monotonic() - began < 3.0
        finally:
            rabbitmq.resume()
        again = await at.receiver()
        assert "before" in ids(await at.take(again, 1))


@in_time
async def test_who_gives_up_sending_harms_nobody(rabbitmq: RabbitMqServer) -> None:
    """A task that is cancelled while it sends leaves the sender as it was for the others."""
    async with connected(rabbitmq.url) as at:
        sender = await at.sender()
        for number in range(20):
            messages = [Message(id=f"{number}-{each}", body=bytes(200)) for each in range(300)]
            sending = asyncio.create_task(sender.send(at.queue, messages))
            await asyncio.sleep(0.002 * number)
            sending.cancel()
            await asyncio.wait({sending})
            await sender.send(at.queue, [Message(id=f"kept-{number}", body=b"{}")])
        got = await all_of(at)
        assert [each for each in got if each.startswith("kept")] == [f"kept-{number}" for number in range(20)]
