"""Queues in a person's hands, however much lies in them and however long the broker is away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from canario.cli import queues
from canario.cli.queues import REPLIES, answers_to, look
from canario.errors import Conflict, Unavailable
from canario.model.stream import ANSWERS, DEAD, Message, queue_name, queue_names
from canario.stream.sqlite import SqliteBroker, SqliteReceiver

LONG_AGO = 1_700_000_000.0


def numbered(number: int, prefix: str) -> list[Message]:
    return [Message(id=f"{prefix}-{place}", body=b"{}", sent_at_seconds=LONG_AGO) for place in range(number)]


async def filled(path: Path, which: str, messages: list[Message]) -> SqliteBroker:
    """A broker with messages in one queue."""
    broker = SqliteBroker(path / "q.sqlite")
    await broker.declare([*queue_names("m"), queue_name("m", REPLIES)])
    sender = await broker.sender()
    await sender.send(queue_name("m", which), messages)
    await sender.close()
    return broker


def test_who_waits_hears_of_dead_letters_behind_thousands_of_older_ones(tmp_path: Path) -> None:
    """`enqueue --wait` sees its own dead letters behind any number of others', and they all stay where they are."""

    async def ask() -> None:
        broker = await filled(tmp_path, DEAD, [*numbered(4500, "old"), *numbered(1200, "mine")])
        found: list[str] = []
        ids = [message.id for message in numbered(1200, "mine")]
        assert await answers_to(broker, "m", ids, 20.0, lambda _, message: found.append(message.id)) == 1200
        assert found == ids
        assert await broker.waiting([queue_name("m", DEAD)]) == {queue_name("m", DEAD): 5700}

    asyncio.run(ask())


def test_who_follows_sees_more_than_can_be_held_at_once(tmp_path: Path) -> None:
    """`tail --follow` without --take goes on after a thousand messages, tells each once and leaves them there."""

    async def follow() -> None:
        broker = await filled(tmp_path, ANSWERS, numbered(2500, "a"))
        told: list[str] = []
        queue = queue_name("m", ANSWERS)
        looking = asyncio.create_task(
            look(broker, queue, 10, follow=True, take=False, tell=lambda message: told.append(message.id))
        )
        async with asyncio.timeout(20):
            while len(told) < 2500:
                await asyncio.sleep(0.05)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        assert told == [message.id for message in numbered(2500, "a")]
        assert await broker.waiting([queue]) == {queue: 2500}

    asyncio.run(follow())


def test_who_follows_more_than_any_broker_lends_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no more messages can be held it says so, and what to do; it does not stand still without a word."""
    monkeypatch.setattr(queues, "MOST_HELD", 1500, raising=False)

    async def follow() -> None:
        broker = await filled(tmp_path, ANSWERS, numbered(2500, "a"))
        async with asyncio.timeout(20):
            with pytest.raises(Conflict) as refused:
                await look(broker, queue_name("m", ANSWERS), 10, follow=True, take=False, tell=lambda _: None)
        assert "--take" in refused.value.hint

    asyncio.run(follow())


def test_who_follows_waits_for_a_broker_however_long_it_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is away for hours is tried again every few seconds, and soon when it goes once more."""
    pauses: list[float] = []

    async def rest(seconds: float) -> None:
        pauses.append(seconds)

    class Away(SqliteBroker):
        tries = 0

        async def receiver(self, prefetch: Mapping[str, int]) -> SqliteReceiver:
            self.tries += 1
            if self.tries in (1200, 1202):
                receiver = await super().receiver(prefetch)
                if self.tries == 1200:
                    await receiver.close()
                return receiver
            raise Unavailable("the broker is away")

    async def follow() -> None:
        broker = Away(tmp_path / "q.sqlite")
        looking = asyncio.create_task(
            look(broker, queue_name("m", ANSWERS), 10, follow=True, take=False, tell=lambda _: None)
        )
        async with asyncio.timeout(20):
            while broker.tries < 1202 and not looking.done():
                await asyncio.sleep(0.05)
        assert not looking.done()
        looking.cancel()

    monkeypatch.setattr(queues, "asyncio", SimpleNamespace(sleep=rest))
    asyncio.run(follow())
    assert max(pauses) == 5.0
    assert pauses[1199] < 1.0
