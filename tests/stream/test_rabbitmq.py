"""What is RabbitMQ's own, on a real one: messages of other clients, queues of another kind, refusals, addresses and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aio_pika
import aiormq
import psutil
import pytest
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from canario.errors import CanarioError, Conflict, NotFound, Overloaded, TooLarge, Unavailable, UsageError
from canario.model.stream import Message
from canario.stream.foreign import CUT_BYTES, KEPT_OF_A_CUT_BODY_BYTES, UNREADABLE
from canario.stream.rabbitmq import RabbitMq
from tests.stream.broker_connections import connected, ids, in_time
from tests.stream.rabbitmq_server import RabbitMqServer


@contextlib.asynccontextmanager
async def other_client(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """A client that knows nothing of canario."""
    connection = await aio_pika.connect(url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


def new_queue() -> str:
    return f"canario.test-{uuid.uuid4().hex}.normal"


@in_time
async def test_any_client_may_ask(rabbitmq: RabbitMqServer) -> None:
    """A message of another client arrives with what it said, in words, and one that said nothing arrives with an id all the same."""
    async with connected(rabbitmq.url) as at, other_client(rabbitmq.url) as other:
        said = aio_pika.Message(
            b'{"amount": 1}',
            message_id="order-7",
            correlation_id="call 7",
            reply_to="elsewhere",
            content_type="application/json",
            timestamp=datetime.fromtimestamp(1_700_000_000, UTC),
            headers={"x-tries": 3, "x-live": True, "tags": ["a", 1]},
        )
        await other.default_exchange.publish(said, at.queue)
        await other.default_exchange.publish(aio_pika.Message(b"{}"), at.queue)
        full, bare = await at.take(await at.receiver(), 2)
    headers = {"x-tries": "3", "x-live": "true", "tags": '["a", 1]', "correlation-id": "call 7"}
    assert full.message == Message(
        id="order-7", body=b'{"amount": 1}', headers=headers, sent_at_seconds=1_700_000_000, reply_to="elsewhere"
    )
    assert bare.message.body == b"{}"
    assert bare.message.content_type == "application/json"


@in_time
async def test_an_answer_is_read_by_any_client(rabbitmq: RabbitMqServer) -> None:
    """What canario sends another client reads: body, id, the correlation id of its question, and it outlives the broker."""
    async with connected(rabbitmq.url) as at, other_client(rabbitmq.url) as other:
        sender = await at.sender()
        answer = Message(
            id="order-7", body=b"[]", headers={"correlation-id": "call 7", "note": "déjà"}, sent_at_seconds=5.5
        )
        await sender.send(at.queue, [answer])
        queue = await other.get_queue(at.queue, ensure=False)
        got = await queue.get()
        await got.ack()
    assert (got.body, got.message_id, got.correlation_id) == (b"[]", "order-7", "call 7")
    assert got.headers["note"] == "déjà"
    assert got.timestamp == datetime.fromtimestamp(5, UTC)
    assert got.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def publish_garbled(url: str, queue: str, properties: Basic.Properties, mark: bytes, instead: bytes) -> None:
    """Send a message with bytes in its properties that no client library would write."""
    connection = await aiormq.connect(url)
    channel = await connection.channel()
    frames: list[Any] = [
        Basic.Publish(routing_key=queue),
        ContentHeader(body_size=2, properties=properties),
        ContentBody(b"{}"),
    ]
    frame = ChannelFrame.marshall(channel_number=channel.number, frames=frames)
    assert frame.payload.count(mark) == 1
    await connection.write_queue.put(ChannelFrame(frame.payload.replace(mark, instead), should_close=False))
    # Its confirm, or any answer, comes after the message was taken.
    await channel.queue_declare(queue, passive=True)
    await connection.close()


@pytest.mark.parametrize(
    ("properties", "mark", "instead"),
    [
        (Basic.Properties(message_id="MARK"), b"MARK", b"\xff\xfe\xfdx"),
        (Basic.Properties(headers={"MARK": "x"}), b"MARK", b"\xff\xfe\xfdx"),
        (
            Basic.Properties(timestamp=datetime.fromtimestamp(1_700_000_000, UTC)),
            (1_700_000_000).to_bytes(8, "big"),
            (1_700_000_000_000_000_000).to_bytes(8, "big"),
        ),
    ],
    ids=["id", "header", "nanoseconds"],
)
@in_time
async def test_a_message_that_nobody_can_decode_blocks_nobody(
    rabbitmq: RabbitMqServer, properties: Basic.Properties, mark: bytes, instead: bytes
) -> None:
    """A message whose properties can't be decoded is handed over with that reason, and those behind it are taken as ever."""
    async with connected(rabbitmq.url) as at:
        await publish_garbled(rabbitmq.url, at.queue, properties, mark, instead)
        await (await at.sender()).send(at.queue, [Message(id="after", body=b"{}")])
        receiver = await at.receiver()
        garbled, after = await at.take(receiver, 2)
        assert "can't be read" in garbled.message.headers[UNREADABLE]
        assert garbled.message.body == b"{}"
        assert after.message.id == "after"
        await receiver.acknowledge(garbled)
        await receiver.acknowledge(after)
        await receiver.close()
        await at.waiting(0)


@in_time
async def test_a_huge_message_harms_no_receiver(rabbitmq: RabbitMqServer) -> None:
    """Messages of 50 MB of another client arrive as their beginning, with size and reason; memory stays bounded, others go on."""
    async with connected(rabbitmq.url) as at, other_client(rabbitmq.url) as other:
        for number in range(4):
            await other.default_exchange.publish(
                aio_pika.Message(bytes(50_000_000), message_id=f"huge-{number}"), at.queue
            )
        await (await at.sender()).send(at.queue, [Message(id="after", body=b"{}")])
        before = psutil.Process().memory_info().rss
        receiver = await at.receiver(10)
        async with asyncio.timeout(30):
            while len(receiver._here[at.queue]) < 5:  # type: ignore[attr-defined]
                await asyncio.sleep(0.05)
        assert psutil.Process().memory_info().rss - before < 150_000_000
        *huge, after = await at.take(receiver, 5)
        assert after.message.id == "after"
        for each in huge:
            assert len(each.message.body) == KEPT_OF_A_CUT_BODY_BYTES
            assert each.message.headers[CUT_BYTES] == "50000000"
            await receiver.acknowledge(each)


@in_time
async def test_many_large_messages_fit_into_a_small_worker(rabbitmq: RabbitMqServer) -> None:
    """However many large messages wait, a receiver holds some 64 MiB, for as long as it takes, and gets the rest as it acknowledges."""
    async with connected(f"{rabbitmq.url}?heartbeat=1") as at, other_client(rabbitmq.url) as other:
        number = 24
        for place in range(number):
            await other.default_exchange.publish(aio_pika.Message(bytes(15_000_000), message_id=str(place)), at.queue)
        before = psutil.Process().memory_info().rss
        receiver = await at.receiver(number)
        # Longer than the client waits for a broker that says nothing.
        await asyncio.sleep(8)
        held = []
        while (delivery := await receiver.take(at.queue)) is not None:
            held.append(delivery)
        assert 4 <= len(held) <= 6
        assert psutil.Process().memory_info().rss - before < 200_000_000
        taken = len(held)
        while held:
            await receiver.acknowledge(held.pop())
        while taken < number:
            [delivery] = await at.take(receiver, 1)
            await receiver.acknowledge(delivery)
            taken += 1
        began = time.monotonic()
        await receiver.close()
        assert time.monotonic() - began < 3


@in_time
async def test_what_the_broker_finds_too_large_is_named(rabbitmq: RabbitMqServer) -> None:
    """A broker with a smaller limit than ours refuses one message as too large, and those around it can be sent again."""
    rabbitmq.evaluate("application:set_env(rabbit, max_message_size, 100000).")
    try:
        async with connected(rabbitmq.url) as at:
            sender = await at.sender()
            with pytest.raises(TooLarge, match="larger than"):
                await sender.send(at.queue, [Message(id="big", body=bytes(200_000))])
            await sender.send(at.queue, [Message(id="small", body=bytes(50_000))])
            small, big = await asyncio.gather(
                sender.send(at.queue, [Message(id="small-2", body=bytes(50_000))]),
                sender.send(at.queue, [Message(id="big", body=bytes(200_000))]),
                return_exceptions=True,
            )
            assert isinstance(big, TooLarge)
            assert small is None or isinstance(small, Unavailable)
            await sender.send(at.queue, [Message(id="small-3", body=bytes(50_000))])
    finally:
        rabbitmq.evaluate("application:set_env(rabbit, max_message_size, 134217728).")


@in_time
async def test_a_queue_of_another_kind_is_a_conflict(rabbitmq: RabbitMqServer) -> None:
    """A queue that somebody made otherwise is not used in silence: what differs is said, and what to do about it."""
    broker = RabbitMq(rabbitmq.url)
    async with other_client(rabbitmq.url) as other:
        kinds: list[dict[str, Any]] = [
            {"durable": False},
            {"durable": True},
            {"durable": True, "arguments": {"x-queue-type": "quorum"}},
            {"durable": False, "exclusive": True},
        ]
        for kind in kinds:
            queue = new_queue()
            await other.declare_queue(queue, **kind)
            with pytest.raises(Conflict, match=queue) as differs:
                await broker.declare([queue])
            assert "rabbitmqctl delete_queue" in differs.value.hint
        plain = new_queue()
        await other.declare_queue(plain, durable=True)
        await RabbitMq(f"{rabbitmq.url}?most_waiting=0").declare([plain])


@in_time
async def test_quorum_queues_on_request(rabbitmq: RabbitMqServer) -> None:
    """With `queue_type=quorum` at the address queues have copies; messages without ids keep theirs when they come again."""
    async with connected(f"{rabbitmq.url}?queue_type=quorum") as at, other_client(rabbitmq.url) as other:
        await other.default_exchange.publish(aio_pika.Message(b"{}"), at.queue)
        first = await at.receiver()
        [lent] = await at.take(first, 1)
        await first.close()
        second = await at.receiver()
        [again] = await at.take(second, 1)
        assert again.is_redelivered
        assert again.message == lent.message
        await second.acknowledge(again)
        assert "quorum" in rabbitmq.control("list_queues", "name", "type")


@in_time
async def test_a_refused_message_spoils_no_other(rabbitmq: RabbitMqServer) -> None:
    """Where tasks share a sender, one whose queue is not there or is full is told so; the others' messages are confirmed."""
    full = new_queue()
    await RabbitMq(f"{rabbitmq.url}?most_waiting=1").declare([full])
    async with connected(rabbitmq.url) as at:
        sender = await at.sender()

        async def send(queue: str, name: str) -> list[Exception | None]:
            said: list[Exception | None] = []
            for number in range(30):
                try:
                    await sender.send(queue, [Message(id=f"{name}-{number}", body=b"{}")])
                    said.append(None)
                except CanarioError as error:
                    said.append(error)
            return said

        fine, missing, crowded = await asyncio.gather(send(at.queue, "a"), send(new_queue(), "b"), send(full, "c"))
        assert fine == [None] * 30
        assert all(isinstance(each, NotFound) for each in missing)
        assert all(isinstance(each, Overloaded) for each in crowded[5:])
        assert ids(await at.take(await at.receiver(), 30)) == [f"a-{number}" for number in range(30)]


@in_time
async def test_one_id_on_its_way_twice(rabbitmq: RabbitMqServer) -> None:
    """The same id sent to two queues at once, one of which is not there, is confirmed for the one and refused for the other."""
    async with connected(rabbitmq.url) as at:
        sender = await at.sender()
        for _ in range(20):
            sent = [sender.send(queue, [Message(id="same", body=b"{}")]) for queue in (at.queue, new_queue(), at.queue)]
            first, second, third = await asyncio.gather(*sent, return_exceptions=True)
            assert (first, third) == (None, None)
            assert isinstance(second, NotFound)
        await at.waiting(40)


@in_time
async def test_who_may_only_read_and_write_can_work(rabbitmq: RabbitMqServer) -> None:
    """A user without the right to make queues uses those that are there, and is told when one is not."""
    name = f"worker-{uuid.uuid4().hex[:8]}"
    rabbitmq.control("add_user", name, "secret")
    rabbitmq.control("set_permissions", name, "^$", ".*", ".*")
    url = f"amqp://{name}:secret@127.0.0.1:{rabbitmq.port}/"
    async with connected(rabbitmq.url) as at:
        broker = RabbitMq(url)
        await broker.declare([at.queue])
        sender = await broker.sender()
        await sender.send(at.queue, [Message(id="1", body=b"{}")])
        await sender.close()
        await at.waiting(1)
        with pytest.raises(Conflict, match="may not make"):
            await broker.declare([new_queue()])


@in_time
async def test_passwords_and_vhosts_of_any_letters(rabbitmq: RabbitMqServer) -> None:
    """A password and a vhost may have any letters, written as URLs have them; a line's end after the address is no part of it."""
    name = f"odd-{uuid.uuid4().hex[:8]}"
    rabbitmq.control("add_user", name, "p@ss/w:rd%?é")
    rabbitmq.control("add_vhost", "team/fraud é")
    rabbitmq.control("set_permissions", "-p", "team/fraud é", name, ".*", ".*", ".*")
    url = f"amqp://{name}:p%40ss%2Fw%3Ard%25%3F%C3%A9@127.0.0.1:{rabbitmq.port}/team%2Ffraud%20%C3%A9\n"
    await RabbitMq(url).declare([queue := new_queue()])
    assert queue in rabbitmq.control("list_queues", "-p", "team/fraud é", "name")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda server: f"amqp://canario:wrong-secret@127.0.0.1:{server.port}/", "refuses the user 'canario'"),
        (lambda server: f"{server.url}elsewhere", "into the vhost 'elsewhere'"),
        (lambda server: server.url.replace("amqp:", "amqps:"), "does not speak TLS"),
        (lambda server: server.url.replace(f":{server.port}", ":1"), "does not answer: Connection refused"),
        (lambda server: server.url.replace("127.0.0.1", "no-such-host.invalid"), "does not answer"),
    ],
)
@in_time
async def test_a_wrong_address_is_said_in_words(rabbitmq: RabbitMqServer, change: Any, words: str) -> None:
    """Wrong password, vhost, port or protocol: the error says which, has a hint, and never has the password."""
    url = change(rabbitmq)
    with pytest.raises(Unavailable, match=words) as wrong:
        await RabbitMq(url).sender()
    told = f"{wrong.value} {wrong.value.hint} {wrong.value.at} {RabbitMq(url)!r}"
    assert wrong.value.hint
    assert "secret" not in told
    assert rabbitmq.password not in told


@pytest.mark.parametrize(
    "url",
    [
        "http://u:hunter2@host/",
        "amqp://",
        "amqp://u:hunter2/more@host/",
        "amqp://u:hunter2@host:port/",
        "amqp://u:hunter2@host/?most_waiting=many",
        "amqp://u:hunter2@host/?queue_type=stream",
    ],
)
def test_an_address_that_cannot_be_is_refused_at_once(url: str) -> None:
    """An address that can't be one of RabbitMQ is a mistake of who wrote it, and is not shown with its password."""
    with pytest.raises(UsageError) as wrong:
        RabbitMq(url)
    assert wrong.value.hint
    assert "hunter2" not in f"{wrong.value} {wrong.value.hint} {wrong.value.at}"


@pytest.fixture(scope="module")
def with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RabbitMqServer, Path]]:
    """A second broker beside the first, that speaks TLS, and the certificate of its authority."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "server.crt", folder / "server.key"
    make = ("openssl", "req", "-x509", "-nodes", "-days", "2")
    of_kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    named = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    subprocess.run([*make, *of_kind, *named, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = RabbitMqServer(certificate=(certificate, key))
    try:
        server.start()
        yield server, certificate
    finally:
        server.stop()
    assert not server.folder.exists()
    assert not [each for each in psutil.process_iter(["environ"]) if str(server.folder) in str(each.info["environ"])]


@in_time
async def test_tls(with_tls: tuple[RabbitMqServer, Path]) -> None:
    """Over amqps:// messages go as over amqp://, once the authority is named; a certificate of another one is refused."""
    server, certificate = with_tls
    async with connected(f"{server.tls_url}?cafile={certificate}") as at:
        await at.send(500)
        receiver = await at.receiver()
        for each in await at.take(receiver, 100):
            await receiver.acknowledge(each)
    with pytest.raises(Unavailable, match="certificate that is not trusted") as untrusted:
        await RabbitMq(server.tls_url).sender()
    assert "cafile" in untrusted.value.hint
    assert server.password not in f"{untrusted.value}{untrusted.value.hint}"
    began = time.monotonic()
    with pytest.raises(Unavailable) as plain:
        await RabbitMq(f"amqp://canario:x@localhost:{server.tls_port}/").sender()
    assert "amqps" in plain.value.hint, plain.value
    assert time.monotonic() - began < 12
