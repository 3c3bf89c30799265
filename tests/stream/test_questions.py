"""Asking a router that is odd, slow, full, broken or away: what is tried again, what is given up, and what it costs the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from canario.errors import InputError, UsageError
from canario.model.stream import Message
from canario.stream import posting, questions
from canario.stream.asking import Kind, Outcome, passed_on, router
from canario.stream.burying import MOST_ROUNDS, another_round, dead_letter
from canario.stream.ending import Ending, GivenBack
from canario.stream.foreign import CUT_BYTES, UNREADABLE
from canario.stream.questions import Decided, Fate, Questions
from tests.stream.odd_router import GONE, GOOD, SILENCE, OddRouter, odd_router, reply

MESSAGE = Message(id="a", body=b"{}")


def asked(answer: Callable[[int, bytes], bytes], message: Message = MESSAGE) -> tuple[Outcome, OddRouter]:
    """What comes of one question."""

    async def ask() -> tuple[Outcome, OddRouter]:
        async with odd_router(answer) as odd, router(odd.url) as one:
            return await one.ask(message), odd

    return asyncio.run(ask())


def settled(answer: Callable[[int, bytes], bytes]) -> tuple[Decided, OddRouter]:
    """What becomes of one message."""

    async def settle() -> tuple[Decided, OddRouter]:
        async with odd_router(answer) as odd, router(odd.url) as one:
            return await Questions(one, Ending()).settle(MESSAGE), odd

    return asyncio.run(settle())


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not wait half a minute."""
    monkeypatch.setattr(questions, "LONGEST_PAUSE_SECONDS", 0.05)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nt: 1\r\n\r\n"
ODD = {
    "chunks": (CHUNKED, Kind.ANSWERED),
    "an early hint": (b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD, Kind.ANSWERED),
    "until the end": (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcde", Kind.ANSWERED),
    "closed": (reply(200, b"abcde", "connection: close"), Kind.ANSWERED),
    "hung up": (GONE, Kind.AWAY),
    "half an answer": (reply(200, b"abcde", "connection: close")[:-2], Kind.AWAY),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", Kind.AWAY),
    "no length": (b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", Kind.AWAY),
    "too long": (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", Kind.AWAY),
    "too long a head": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", Kind.AWAY),
    "bad request": (reply(400, b'{"error":"e","at":"a","hint":"h"}'), Kind.REFUSED),
    "no words": (reply(404, b"there is no such version"), Kind.REFUSED),
    "a crash": (reply(500), Kind.FAILED),
    "full": (reply(429, b"", "retry-after: 2"), Kind.AWAY),
    "nobody there": (reply(503, b"no healthy upstream", "retry-after: nonsense"), Kind.AWAY),
    "late": (reply(504), Kind.LATE),
}


@pytest.mark.parametrize("name", ODD)
def test_every_answer_means_something(name: str) -> None:
    """Whatever a router or what stands before it says, it is an answer, a refusal, or a reason to try again; never a crash."""
    said, kind = ODD[name]
    outcome, _ = asked(lambda *_: said)
    assert outcome.kind is kind
    if name in ("chunks", "until the end", "closed"):
        assert outcome.body == b"abcde"
    assert outcome.retry_after_seconds == (2.0 if name == "full" else 0.0)
    if name == "bad request":
        assert outcome.error is not None
        assert (outcome.error.message, outcome.error.at, outcome.error.hint) == ("e", "a", "h")
    if name == "no words":
        assert "there is no such version" in str(outcome.error)


def test_nobody_there_is_no_crash() -> None:
    """A port where nobody listens, and a name that nobody has, are a router that is away."""

    async def ask(url: str) -> Outcome:
        async with router(url) as one:
            return await one.ask(MESSAGE)

    for url in ("http://127.0.0.1:9", "http://no-such-host.invalid:80"):
        assert asyncio.run(ask(url)).kind is Kind.AWAY


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://here", "http://", "http://host:port"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """A router's address that cannot be is an error at once."""
    with pytest.raises(UsageError, match=r"address|router"):
        posting.Poster(url)


def test_connections_are_used_again() -> None:
    """A hundred questions one after the other use one connection; one that the router has closed is replaced unseen."""

    async def ask(close_at: int) -> OddRouter:
        closing = GOOD.replace(b"content-length", b"connection: keep-alive\r\ncontent-length")
        async with odd_router(lambda *_: closing) as odd, router(odd.url) as one:
            for number in range(100):
                if number == close_at:
                    for writer in one._poster._idle:
                        writer.writer.close()
                assert (await one.ask(MESSAGE)).kind is Kind.ANSWERED
            return odd

    assert asyncio.run(ask(close_at=-1)).connections == 1
    assert asyncio.run(ask(close_at=50)).connections == 2


def test_silence_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that says nothing is given up after a while, and the question is for later."""
    monkeypatch.setattr(posting, "ANSWER_SECONDS", 0.2)
    assert asked(lambda *_: SILENCE)[0].kind is Kind.LATE


WRONG: dict[str, tuple[Message, str]] = {
    "an id with spaces": (Message(id="a b", body=b"{}"), "message_id"),
    "an endless id": (Message(id="a" * 65, body=b"{}"), "message_id"),
    "50 MB": (Message(id="a", body=b" " * 50_000_000), "body"),
    "50 MB, cut by a broker": (Message(id="a", body=b" ", headers={CUT_BYTES: "50000000"}), "body"),
    "what a broker could not read": (Message(id="a", body=b"", headers={UNREADABLE: "no words"}), "properties"),
    "another kind": (Message(id="a", body=b"{}", content_type="text/csv"), "content_type"),
    "a header that breaks the line": (Message(id="a", body=b"{}", headers={"x-a": "b\r\nc: d"}), "headers.'x-a'"),
    "a header without a fit name": (Message(id="a", body=b"{}", headers={"x-a b": "c"}), "headers.'x-a b'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_asked_is_refused_before_anybody_is_asked(name: str) -> None:
    """A wrong id, kind or header and a body that is too long cost the router nothing, and the reason is clear."""
    message, at = WRONG[name]
    outcome, odd = asked(lambda *_: GOOD, message)
    assert outcome.kind is Kind.REFUSED
    assert isinstance(outcome.error, InputError)
    assert outcome.error.at == at
    assert outcome.error.hint
    assert odd.requests == []
    if "50 MB" in name:
        assert "50000000 bytes" in str(outcome.error)


def test_only_meant_headers_are_passed_on() -> None:
    """Headers that begin with x- reach the router, but for those that brokers, proxies and the router itself write."""
    headers = {"X-User": "7", "x-canario-version": "v1", "x-death": "[]", "x-envoy-retry-on": "5xx", "host": "evil"}
    assert passed_on(headers) == {"x-user": "7", "x-canario-version": "v1"}
    _, odd = asked(lambda *_: GOOD, Message(id="abc", body=b"{}", headers={**headers, "x-request-id": "z"}))
    head = odd.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert "x-user: 7" in head
    others = ("death", "envoy", "evil", "x-request-id")
    assert not [line for line in head if any(word in line for word in others)]


def test_a_model_that_fails_is_asked_three_times() -> None:
    """A 500 may pass; three of them are the message's end, and it says so."""
    decided, odd = settled(lambda *_: reply(500, b'{"error":"the model failed"}'))
    assert (decided.fate, decided.tries, len(odd.requests)) == (Fate.DEAD, 3, 3)
    assert "the model failed" in str(decided.error)
    decided, odd = settled(lambda number, _: GOOD if number == 2 else reply(500))
    assert (decided.fate, len(odd.requests)) == (Fate.ANSWERED, 3)


def test_a_full_router_is_asked_again_when_it_says() -> None:
    """Retry-After is kept, and what was refused for now is answered in the end."""
    began = time.monotonic()
    decided, odd = settled(lambda number, _: GOOD if number else reply(429, b"", "retry-after: 1"))
    assert (decided.fate, len(odd.requests)) == (Fate.ANSWERED, 2)
    assert 1.0 <= time.monotonic() - began < 3.0


def test_who_cannot_be_asked_goes_to_the_end_of_the_queue(short_pauses: None) -> None:
    """A message for which there is never a server makes room for others after a while; it is not dead."""
    decided, odd = settled(lambda *_: reply(503))
    assert decided.fate is Fate.POSTPONED
    assert not decided.others_were_answered
    assert len(odd.requests) == questions.MOST_TRIES


def test_one_message_that_is_never_answered_does_not_stop_the_others(short_pauses: None) -> None:
    """While one always times out or finds nobody, all others are answered without waiting for it."""

    async def play() -> tuple[Decided, float]:
        answer: Callable[[int, bytes], bytes] = lambda _, body: reply(503) if b"poison" in body else GOOD  # noqa: E731
        async with odd_router(answer) as odd, router(odd.url) as one:
            asking = Questions(one, Ending())
            poison = asyncio.create_task(asking.settle(Message(id="p", body=b"poison")))
            began = time.monotonic()
            for number in range(200):
                assert (await asking.settle(Message(id=f"m{number}", body=b"{}"))).fate is Fate.ANSWERED
            return await poison, time.monotonic() - began

    decided, seconds = asyncio.run(play())
    assert seconds < 3.0
    assert decided.fate is Fate.POSTPONED
    assert decided.others_were_answered


def test_a_router_that_is_away_is_not_asked_by_everybody(short_pauses: None) -> None:
    """Sixteen who wait for one router ask it hardly more often than one would, and learn at once that it is back."""

    async def play() -> int:
        since = time.monotonic()
        away: Callable[[int, bytes], bytes] = lambda *_: GOOD if time.monotonic() - since > 0.3 else reply(503)  # noqa: E731
        async with odd_router(away) as odd, router(odd.url) as one:
            asking = Questions(one, Ending())

            async def until_answered(name: str) -> None:
                while (await asking.settle(Message(id=name, body=b"{}"))).fate is not Fate.ANSWERED:
                    pass

            await asyncio.gather(*(until_answered(f"m{number}") for number in range(16)))
            assert asking.trouble == ""
            return len(odd.requests)

    assert asyncio.run(play()) < 400


def test_who_ends_waits_for_nobody() -> None:
    """A worker that is told to end gives back at once what waits for a router."""

    async def play() -> float:
        async with odd_router(lambda *_: reply(503, b"", "retry-after: 30")) as odd, router(odd.url) as one:
            ending = Ending()
            waiting: asyncio.Task[Any] = asyncio.create_task(Questions(one, ending).settle(MESSAGE))
            await asyncio.sleep(0.3)
            began = time.monotonic()
            ending.begin()
            with pytest.raises(GivenBack):
                await waiting
            return time.monotonic() - began

    assert asyncio.run(play()) < 1.0


def test_a_dead_letter_tells_everything() -> None:
    """Reason, place, hint, queue and attempts stand beside the message as it was, each in one line."""
    message = Message(id="a", body=b"x", headers={"x-user": "7"}, reply_to="r", sent_at_seconds=3.0)
    letter = dead_letter(message, InputError("it is\nwrong", at="rows[1].a", hint="mend it"), "canario.m.bulk", 2)
    assert (letter.id, letter.body, letter.reply_to, letter.sent_at_seconds) == ("a", b"x", "r", 3.0)
    assert letter.headers == {
        "x-user": "7",
        "canario-reason": "it is wrong",
        "canario-at": "rows[1].a",
        "canario-hint": "mend it",
        "canario-queue": "canario.m.bulk",
        "canario-attempts": "2",
    }


def test_rounds_end_only_while_others_are_answered() -> None:
    """A message goes round for ever while nobody is answered, and not for ever while it alone is not."""
    message: Message | None = MESSAGE
    for _ in range(100):
        assert message is not None
        message = another_round(message, counts=False)
    rounds = 0
    while message is not None:
        message = another_round(message, counts=True)
        rounds += 1
    assert rounds == MOST_ROUNDS + 1
