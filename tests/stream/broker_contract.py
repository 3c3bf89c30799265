"""What every broker promises to senders, receivers and workers; each test class of test_brokers.py proves it of one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from canario.errors import NotFound, Overloaded, TooLarge, Unavailable
from canario.kernel.limits import Limits
from canario.model.stream import ContentType, Delivery, Message
from canario.ports.stream import Receiver
from canario.stream.opening import open_broker
from tests.stream.broker_connections import A_WHILE_SECONDS, SOON_SECONDS, connected, ids, in_time, numbered
from tests.stream.client_process import client_process


class BrokerContract:
    """To be inherited, with a fixture `url` (a broker that runs) and a fixture `nowhere` (a URL where none can be reached)."""

    @in_time
    async def test_messages_keep_their_order(self, url: str) -> None:
        """Who sends messages one after the other has them received in that order, each once, none of them as redelivered."""
        async with connected(url) as at:
            sender, receiver = await at.sender(), await at.receiver(7)
            for first in range(0, 500, 50):
                await sender.send(at.queue, [Message(id=str(first + each), body=b"{}") for each in range(50)])
            received: list[Delivery] = []
            while len(received) < 500:
                received += await at.take(receiver, 1)
                await receiver.acknowledge(received[-1])
            assert ids(received) == numbered(*range(500))
            assert not any(each.is_redelivered for each in received)
            assert {each.queue for each in received} == {at.queue}
            assert await at.nothing(receiver)

    @in_time
    async def test_everything_of_a_message_arrives(self, url: str) -> None:
        """A message arrives as it was sent: id, every byte of its body, content type, headers, time and where to reply."""
        sent = [
            Message(id="plain", body=b'{"rows": []}'),
            Message(
                id="A.b-c_" + "9" * 58,
                body=bytes(range(256)) * 3,
                content_type=ContentType.ARROW,
                headers={"x-canario-version": "v2", "canario-reason": "zażółć gęślą jaźń \N{BIRD}", "empty": ""},
                sent_at_seconds=1_764_064_800.123456,
                reply_to="canario.fraud.replies",
            ),
            Message(id="empty", body=b""),
        ]
        async with connected(url) as at:
            await (await at.sender()).send(at.queue, sent)
            assert [each.message for each in await at.take(await at.receiver(), 3)] == sent

    @in_time
    async def test_the_largest_body_arrives(self, url: str) -> None:
        """A body of as many bytes as a request may have arrives whole, several at once too."""
        bodies = [bytes([filling]) * Limits().longest_body_bytes for filling in (1, 2, 3)]
        async with connected(url) as at:
            await (await at.sender()).send(at.queue, [Message(id="big", body=each) for each in bodies])
            assert [each.message.body for each in await at.take(await at.receiver(2), 2)] == bodies[:2]

    @in_time
    async def test_a_body_that_is_too_large_is_refused(self, url: str) -> None:
        """A message of 50 MB is refused where it is sent, and harms neither what is there nor what comes after it."""
        async with connected(url) as at:
            sender = await at.sender()
            await sender.send(at.queue, [Message(id="before", body=b"{}")])
            with pytest.raises(TooLarge) as refused:
                await sender.send(at.queue, [Message(id="big", body=bytes(50_000_000))])
            assert refused.value.hint
            await sender.send(at.queue, [Message(id="after", body=b"{}")])
            receiver = await at.receiver()
            assert ids(await at.take(receiver, 2)) == ["before", "after"]
            assert await at.nothing(receiver)

    @pytest.mark.parametrize("at_once", [1, 20])
    @in_time
    async def test_what_was_sent_outlives_its_sender(self, url: str, at_once: int) -> None:
        """Once send has returned the message is kept, also when the process that sent it is killed in the next moment."""
        async with connected(url) as at:
            with client_process("send", url, at.queue, at_once) as sender:
                said = await asyncio.to_thread(sender.said, 100)
                said += await asyncio.to_thread(sender.kill)
            assert said == numbered(*range(len(said)))
            receiver = await at.receiver(1000)
            kept = ids(await at.take(receiver, len(said)))
            assert kept == said
            while (more := await receiver.take(at.queue)) is not None:
                kept.append(more.message.id)
            assert len(kept) <= len(said) + 2 * at_once
            assert kept == numbered(*range(len(kept)))

    @in_time
    async def test_what_a_killed_receiver_held_comes_again(self, url: str) -> None:
        """What a process holds when it is killed is lent to others at once, at its old place, and said to be redelivered."""
        async with connected(url) as at:
            await at.send(8)
            with client_process("hold", url, at.queue, 3, 3, 0) as holder:
                assert await asyncio.to_thread(holder.said, 3) == numbered(0, 1, 2)
                receiver = await at.receiver()
                first = await at.take(receiver, 5)
                assert ids(first) == numbered(3, 4, 5, 6, 7)
                assert await at.nothing(receiver)
                await asyncio.to_thread(holder.kill)
                began = time.monotonic()
                again = await at.take(receiver, 3)
            assert time.monotonic() - began < SOON_SECONDS / 2
            assert ids(again) == numbered(0, 1, 2)
            assert [each.is_redelivered for each in first + again] == [False] * 5 + [True] * 3

    @in_time
    async def test_no_more_is_fetched_than_was_asked_for(self, url: str) -> None:
        """With a prefetch of three a receiver holds three messages, and gets another for each that it acknowledges."""
        async with connected(url) as at:
            await at.send(10)
            receiver = await at.receiver(3)
            taken = await at.take(receiver, 3)
            assert await at.nothing(receiver)
            await at.waiting(7)
            await receiver.acknowledge(taken[1])
            assert ids(await at.take(receiver, 1)) == numbered(3)
            assert await at.nothing(receiver)
            await at.waiting(6)

    @in_time
    async def test_each_queue_has_its_own_prefetch(self, url: str) -> None:
        """A receiver that holds all it may of one queue still gets the messages of another."""
        async with connected(url) as at:
            other = f"{at.queue}.other"
            await at.broker.declare([other])
            await at.send(10)
            receiver = await at.receiver({at.queue: 2, other: 3})
            await at.take(receiver, 2)
            await at.send(10, other)
            assert ids(await at.take(receiver, 3, other)) == numbered(0, 1, 2)
            assert await at.nothing(receiver)
            assert await at.nothing(receiver, other)
            await at.waiting(8)
            await at.waiting(7, other)

    @in_time
    async def test_what_was_acknowledged_is_gone(self, url: str) -> None:
        """An acknowledged message never comes again, in whatever order they are acknowledged; a second time harms nothing."""
        async with connected(url) as at:
            await at.send(5)
            receiver = await at.receiver()
            taken = await at.take(receiver, 5)
            for place in (4, 0, 2, 2):
                await receiver.acknowledge(taken[place])
            await receiver.close()
            assert ids(await at.take(await at.receiver(), 2)) == numbered(1, 3)
            await at.waiting(0)

    @in_time
    async def test_what_was_acknowledged_is_gone_for_a_killed_receiver_too(self, url: str) -> None:
        """An acknowledged message is gone, also when the process is killed a moment later.

        In the same moment it may come again, where the protocol does not answer acknowledgements, as AMQP.
        """
        async with connected(url) as at:
            await at.send(5)
            with client_process("hold", url, at.queue, 5, 5, 3) as holder:
                await asyncio.to_thread(holder.said, 5)
                await asyncio.sleep(A_WHILE_SECONDS)
                await asyncio.to_thread(holder.kill)
            receiver = await at.receiver()
            assert ids(await at.take(receiver, 2)) == numbered(3, 4)
            assert await at.nothing(receiver)

    @in_time
    async def test_closing_gives_back(self, url: str) -> None:
        """What a receiver has fetched and not acknowledged waits again when it closes, at its old place."""
        async with connected(url) as at:
            await at.send(6)
            first = await at.receiver(4)
            await at.take(first, 3)
            await at.waiting(2)
            await first.close()
            again = await at.take(await at.receiver(), 6)
            assert ids(again) == numbered(0, 1, 2, 3, 4, 5)
            assert all(each.is_redelivered for each in again[:3])
            assert not any(each.is_redelivered for each in again[4:])

    @in_time
    async def test_a_closed_receiver_is_of_no_use(self, url: str) -> None:
        """Who goes on with a closed receiver is told so, and one receiver can't acknowledge what was lent to another."""
        async with connected(url) as at:
            await at.send(1)
            first = await at.receiver()
            [lent] = await at.take(first, 1)
            await first.close()
            await first.close()
            asked: list[Callable[[], Coroutine[Any, Any, object]]] = [
                lambda: first.take(at.queue),
                lambda: first.wait(1.0),
                lambda: first.acknowledge(lent),
            ]
            for act in asked:
                with pytest.raises(Unavailable):
                    await act()
            second = await at.receiver()
            [again] = await at.take(second, 1)
            with pytest.raises(Unavailable):
                await second.acknowledge(lent)
            await second.acknowledge(again)
            await second.close()
            await at.waiting(0)

    @in_time
    async def test_waiting_messages_are_counted(self, url: str) -> None:
        """A queue's length is what waits: neither what somebody holds nor what was acknowledged."""
        async with connected(url) as at:
            await at.waiting(0)
            await at.send(10)
            await at.waiting(10)
            receiver = await at.receiver(4)
            taken = await at.take(receiver, 4)
            await at.waiting(6)
            await receiver.acknowledge(taken[0])
            await at.waiting(5)
            await receiver.close()
            await at.waiting(9)

    @in_time
    async def test_a_queue_is_declared_once(self, url: str) -> None:
        """Declaring a queue again changes nothing: what waits goes on waiting."""
        async with connected(url) as at:
            await at.send(3)
            await at.broker.declare([at.queue, at.queue])
            await at.waiting(3)

    @in_time
    async def test_an_unknown_queue_is_named(self, url: str) -> None:
        """Who names a queue that nobody has declared is told which, and can go on."""
        async with connected(url) as at:
            sender = await at.sender()
            unknown = f"{at.queue}.typo"
            with pytest.raises(NotFound, match=unknown):
                await sender.send(unknown, [Message(id="1", body=b"{}")])
            with pytest.raises(NotFound, match=unknown):
                await at.broker.receiver({at.queue: 1, unknown: 1})
            with pytest.raises(NotFound, match=unknown):
                await at.broker.waiting([at.queue, unknown])
            await sender.send(at.queue, [Message(id="1", body=b"{}")])
            await at.take(await at.receiver(), 1)

    @in_time
    async def test_a_full_queue_takes_no_more(self, url: str) -> None:
        """With `most_waiting` in the URL a queue refuses what comes on top, keeps what it has taken, and takes again later."""
        async with connected(f"{url}?most_waiting=5") as at:
            sender = await at.sender()
            kept: list[str] = []

            async def fill() -> None:
                while len(kept) < 20:
                    await sender.send(at.queue, [Message(id=str(len(kept)), body=b"{}")])
                    kept.append(str(len(kept)))

            with pytest.raises(Overloaded) as full:
                await fill()
            assert 5 <= len(kept) <= 7
            assert full.value.hint
            receiver = await at.receiver()
            taken = await at.take(receiver, len(kept))
            assert ids(taken) == kept
            assert await at.nothing(receiver)
            await asyncio.gather(*map(receiver.acknowledge, taken))
            await sender.send(at.queue, [Message(id="later", body=b"{}")])
            assert ids(await at.take(receiver, 1)) == ["later"]

    @in_time
    async def test_two_receivers_share_a_queue(self, url: str) -> None:
        """Several receivers of one queue never hold the same message, and together get every message once."""
        async with connected(url) as at:
            held: set[str] = set()
            done: dict[int, list[str]] = {0: [], 1: [], 2: []}

            async def work(number: int, receiver: Receiver) -> None:
                while sum(map(len, done.values())) < 300:
                    delivery = await receiver.take(at.queue)
                    if delivery is None:
                        await receiver.wait(0.1)
                        continue
                    assert delivery.message.id not in held
                    held.add(delivery.message.id)
                    await asyncio.sleep(0.001)
                    held.discard(delivery.message.id)
                    await receiver.acknowledge(delivery)
                    done[number].append(delivery.message.id)

            workers = [work(number, await at.receiver(5)) for number in done]
            await asyncio.gather(at.send(300), *workers)
            assert sorted(each for some in done.values() for each in some) == sorted(numbered(*range(300)))
            assert all(done.values())

    @in_time
    async def test_many_tasks_use_one_connection(self, url: str) -> None:
        """Tasks may send and acknowledge through one connection at once; each task's messages keep their order."""
        async with connected(url) as at:
            sender = await at.sender()

            async def send(task: int) -> None:
                for number in range(20):
                    await sender.send(at.queue, [Message(id=f"{task}.{number}", body=b"{}")])

            await asyncio.gather(*(send(task) for task in range(20)))
            receiver = await at.receiver(400)
            taken = await at.take(receiver, 400)
            for task in range(20):
                mine = [each for each in ids(taken) if each.startswith(f"{task}.")]
                assert mine == [f"{task}.{number}" for number in range(20)]
            await asyncio.gather(*map(receiver.acknowledge, taken))
            await receiver.close()
            await at.waiting(0)

    @in_time
    async def test_who_waits_is_woken(self, url: str) -> None:
        """A receiver that waits goes on as soon as a message comes, and without one when its time is up."""
        async with connected(url) as at:
            receiver = await at.receiver()
            began = time.monotonic()
            await receiver.wait(0.2)
            assert 0.15 < time.monotonic() - began < 2.0
            waiting = asyncio.create_task(receiver.wait(30.0))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await at.send(1)
            began = time.monotonic()
            await waiting
            assert time.monotonic() - began < 2.0
            await at.take(receiver, 1)

    @in_time
    async def test_a_broker_that_is_away_is_unavailable(self, nowhere: str) -> None:
        """Without a broker every question ends soon, as Unavailable and with a hint: to be tried again."""
        broker = open_broker("fraud", nowhere)

        async def send() -> None:
            await (await broker.sender()).send("canario.fraud.normal", [Message(id="1", body=b"{}")])

        asked: list[Callable[[], Coroutine[Any, Any, object]]] = [
            lambda: broker.declare(["canario.fraud.normal"]),
            lambda: broker.waiting(["canario.fraud.normal"]),
            lambda: broker.receiver({"canario.fraud.normal": 1}),
            send,
        ]
        for act in asked:
            began = time.monotonic()
            with pytest.raises(Unavailable) as away:
                await act()
            assert away.value.hint
            assert time.monotonic() - began < 2 * SOON_SECONDS
