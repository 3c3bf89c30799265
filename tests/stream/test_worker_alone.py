"""A worker whose router and broker are the test's own: strangers' messages, full queues and answers too large hold up nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from canario.errors import InputError, Overloaded, TooLarge, Unavailable
from canario.model.stream import ANSWERS, DEAD, Message, queue_name, queue_names
from canario.stream import link, questions, worker
from canario.stream.asking import Kind, Outcome, Router
from canario.stream.foreign import CUT_BYTES
from canario.stream.ledger import Known
from canario.stream.ledger_sqlite import SqliteLedger
from canario.stream.sqlite import SqliteBroker, SqliteSender
from canario.stream.worker import Bounds, Worker

NORMAL = queue_name("m", "normal")
OTHERS = "client.replies"

Ask = Callable[[Message], Outcome]


class OddRouter(Router):
    """Says what the test wants."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def ask(self, message: Message) -> Outcome:
        await asyncio.sleep(0.01)  # so that several are asked at once
        return self._ask(message)


class Narrow(SqliteBroker):
    """Takes no message with so many bytes of headers, as RabbitMQ does."""

    async def sender(self) -> SqliteSender:
        sender = await super().sender()
        send = sender.send

        async def checked(queue: str, messages: Sequence[Message]) -> None:
            for message in messages:
                if sum(map(len, message.headers.values())) > 1000:
                    raise TooLarge(f"the headers of {message.id} are too large", at="headers")
            await send(queue, messages)

        sender.send = checked  # type: ignore[method-assign]
        return sender


def fine(message: Message) -> Outcome:
    return Outcome(kind=Kind.ANSWERED, body=b"ok", version="v1")


def away(message: Message) -> Outcome:
    return Outcome(kind=Kind.AWAY, error=Unavailable("the router is away"))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not wait half a minute."""
    for module in (link, questions, worker):
        monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.05)


async def at_work(
    broker: SqliteBroker, ask: Ask, tmp_path: Path, test: Callable[[Worker], Awaitable[None]], **bounds: float
) -> None:
    """Run a worker while the test does."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", "m")
    one = Worker("m", broker, ledger, OddRouter(ask), Bounds(**bounds))  # type: ignore[arg-type]
    running = asyncio.create_task(one.run())
    try:
        await test(one)
    finally:
        one.end()
        await running


async def put(broker: SqliteBroker, queue: str, messages: Sequence[Message]) -> None:
    await broker.declare([*queue_names("m"), OTHERS])
    sender = await SqliteBroker.sender(broker)
    await sender.send(queue, messages)
    await sender.close()


async def taken(broker: SqliteBroker, which: str, number: int, seconds: float = 20.0) -> dict[str, Message]:
    """So many messages by id; fewer when no more come in time."""
    queue = which if which == OTHERS else queue_name("m", which)
    receiver = await broker.receiver({queue: 1000})
    found: dict[str, Message] = {}
    deadline = time.monotonic() + seconds
    while len(found) < number and time.monotonic() < deadline:
        while (delivery := await receiver.take(queue)) is not None:
            found[delivery.message.id] = delivery.message
            await receiver.acknowledge(delivery)
        await receiver.wait(0.1)
    await receiver.close()
    return found


async def kept_full(broker: SqliteBroker, queue: str, seconds: float) -> int:
    """Send whatever there is room for; how many messages were sent."""
    sent, deadline = 0, time.monotonic() + seconds
    await broker.declare(queue_names("m"))
    sender = await broker.sender()
    while time.monotonic() < deadline:
        with contextlib.suppress(Overloaded):
            await sender.send(queue, [Message(id=f"s-{sent}", body=b"1")])
            sent += 1
        await asyncio.sleep(0.02)
    await sender.close()
    return sent


def some(number: int, prefix: str = "m", reply_to: str = "") -> list[Message]:
    return [Message(id=f"{prefix}-{place}", body=b"1", reply_to=reply_to) for place in range(number)]


def test_a_letter_that_no_broker_takes_as_it_was_is_sent_without_what_is_too_much(tmp_path: Path) -> None:
    """A dead message whose headers leave no room for the reason is among the dead with its body and the reason, and blocks nobody."""
    broker = Narrow(tmp_path / "q.sqlite")
    wide = {"a": "x" * 990}
    large = b"y" * 100_000

    def ask(message: Message) -> Outcome:
        if message.id.startswith("m"):
            return fine(message)
        return Outcome(kind=Kind.REFUSED, error=InputError("not a row", at="body", hint="send a row"))

    async def test(_: Worker) -> None:
        bad = [Message(id="bad", body=b"hello", headers=wide), Message(id="large", body=large, headers=wide)]
        await put(broker, NORMAL, [*bad, *some(40)])
        assert len(await taken(broker, ANSWERS, 40)) == 40
        dead = await taken(broker, DEAD, 2)
        assert dead["bad"].body == b"hello"
        assert (dead["bad"].headers["canario-reason"], dead["bad"].headers["canario-queue"]) == ("not a row", NORMAL)
        assert large.startswith(dead["large"].body)
        assert dead["large"].headers[CUT_BYTES] == "100000"

    asyncio.run(at_work(broker, ask, tmp_path, test))


def test_an_answer_that_is_too_large_is_the_only_one_that_is_dead(tmp_path: Path) -> None:
    """Answers that are sent together with one that the broker does not take arrive all the same."""
    broker = SqliteBroker(tmp_path / "q.sqlite", longest_body_bytes=1000)

    def ask(message: Message) -> Outcome:
        return Outcome(kind=Kind.ANSWERED, body=b"x" * (2000 if message.id == "m-3" else 10), version="v1")

    async def test(_: Worker) -> None:
        await put(broker, NORMAL, some(8))
        answers = await taken(broker, ANSWERS, 7)
        dead = await taken(broker, DEAD, 1)
        assert [*dead] == ["m-3"]
        assert "too large" in dead["m-3"].headers["canario-reason"]
        assert answers.keys() | dead.keys() == {message.id for message in some(8)}

    asyncio.run(at_work(broker, ask, tmp_path, test))


def test_a_full_queue_and_a_router_that_comes_back_are_no_deadlock(tmp_path: Path) -> None:
    """Messages that can't go to the end of their full queue are asked about again, and all are answered once the router is back."""
    broker = SqliteBroker(tmp_path / "q.sqlite", most_waiting=5)
    is_up = [False]

    async def test(one: Worker) -> None:
        sent = await kept_full(broker, NORMAL, seconds=2.0)
        is_up[0] = True
        answers: dict[str, Message] = {}
        while len(answers) < sent and (more := await taken(broker, ANSWERS, 1, seconds=5.0)):
            answers |= more
        assert answers.keys() == {f"s-{number}" for number in range(sent)}
        assert one.troubles() == []

    asyncio.run(at_work(broker, lambda each: fine(each) if is_up[0] else away(each), tmp_path, test, prefetch=3))


def test_a_full_queue_of_somebody_else_holds_up_nobody(tmp_path: Path) -> None:
    """Answers for a queue that nobody reads are given up after a while; the question is dead, its answer is kept, and the others are answered."""
    broker = SqliteBroker(tmp_path / "q.sqlite", most_waiting=100)

    async def test(_: Worker) -> None:
        await put(broker, OTHERS, some(100, "old"))
        await put(broker, NORMAL, [*some(40, "stuck", reply_to=OTHERS), *some(20)])
        assert len(await taken(broker, ANSWERS, 20)) == 20
        dead = await taken(broker, DEAD, 40)
        assert dead.keys() == {message.id for message in some(40, "stuck")}
        letter = dead["stuck-7"]
        assert letter.headers["canario-at"] == "reply_to"
        assert "its answer is kept" in letter.headers["canario-hint"]
        await taken(broker, OTHERS, 100)
        await put(broker, NORMAL, some(40, "stuck", reply_to=OTHERS))
        assert (await taken(broker, OTHERS, 40)).keys() == dead.keys()

    asyncio.run(at_work(broker, fine, tmp_path, test))


def test_old_answers_are_forgotten_as_fast_as_they_come(tmp_path: Path) -> None:
    """However many answers have become too old since the last time, all are forgotten within seconds: the ledger does not grow without bound."""
    broker = SqliteBroker(tmp_path / "q.sqlite")
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", "m")
    ledger.write([Message(id=str(number), body=b"x") for number in range(25_000)], [], [])

    sample = {str(number): False for number in range(0, 25_000, 100)}

    async def test(_: Worker) -> None:
        async with asyncio.timeout(20):
            while any(each != Known() for each in ledger.look(sample).values()):
                await asyncio.sleep(0.1)

    asyncio.run(at_work(broker, fine, tmp_path, test, kept_seconds=0.001))
    assert ledger.forget(time.time() + 1) == 0
    ledger.close()
