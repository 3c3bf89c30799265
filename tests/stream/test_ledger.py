"""The ledger, in a file and in PostgreSQL: one answer of each message holds, whoever writes at once, and attempts are counted."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from canario.errors import IntegrityError, Unavailable, UsageError
from canario.model.stream import Message
from canario.stream.ledger import Known, Ledger, kept_seconds, open_ledger
from tests.feedback.conftest import postgres  # noqa: F401 - a fixture
from tests.feedback.keepers import empty


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger is."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'ledger.sqlite'}"
    address: str = request.getfixturevalue("postgres").url
    empty(address)
    return address


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = open_ledger("fraud", url)
    yield opened
    opened.close()


def answer(name: str, body: bytes = b"{}") -> Message:
    return Message(id=name, body=body, headers={"canario-version": "v1"}, sent_at_seconds=7.5)


def test_the_first_answer_holds(url: str, ledger: Ledger) -> None:
    """Whoever comes later with another answer gets the first one, byte for byte, also after everybody has gone."""
    assert ledger.look({"a": False}) == {"a": Known()}
    assert ledger.write([answer("a", b"one")], [], []) == {"a": Known(answer=answer("a", b"one"))}
    ledger.close()
    with_another = open_ledger("fraud", url)
    assert with_another.write([answer("a", b"two"), answer("b")], [], []) == {
        "a": Known(answer=answer("a", b"one")),
        "b": Known(answer=answer("b")),
    }
    assert with_another.look({"a": True, "c": False}) == {"a": Known(answer=answer("a", b"one")), "c": Known()}
    with_another.close()


def test_what_was_sent_is_known_and_not_sent_again(ledger: Ledger) -> None:
    """An answer that was sent needs no bytes any more; a later one of its id changes nothing."""
    ledger.write([answer("a")], [], [])
    ledger.write([], ["a", "never-there"], [])
    assert ledger.look({"a": False}) == {"a": Known(is_sent=True)}
    assert ledger.write([answer("a", b"two")], [], []) == {"a": Known(is_sent=True)}


def test_attempts_are_counted_until_they_are_forgiven(ledger: Ledger) -> None:
    """Only a message that was redelivered and has no answer counts, one at each look."""
    assert ledger.look({"a": False, "b": True})["b"] == Known(attempts=1)
    assert ledger.look({"a": True, "b": True}) == {"a": Known(attempts=1), "b": Known(attempts=2)}
    ledger.write([answer("a")], [], ["b"])
    assert ledger.look({"a": True, "b": True}) == {"a": Known(answer=answer("a")), "b": Known(attempts=1)}


def test_models_and_namespaces_do_not_meet(url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same id of another model, or of the same one in another namespace, is another message."""
    ledger.write([answer("a")], [], [])
    other = open_ledger("rides", url)
    monkeypatch.setenv("CANARIO_LEDGER_SPACE", "elsewhere")
    elsewhere = open_ledger("fraud", url)
    for each in (other, elsewhere):
        assert each.look({"a": False}) == {"a": Known()}
        each.close()


def test_old_answers_are_forgotten(ledger: Ledger) -> None:
    """What is older than it needs to be goes; what is younger stays."""
    ledger.write([answer("a"), answer("b")], ["b"], [])
    assert ledger.forget(time.time() - 60) == 0
    assert ledger.forget(time.time() + 60) == 2
    assert ledger.look({"a": False, "b": False}) == {"a": Known(), "b": Known()}


def test_many_writers_agree(url: str) -> None:
    """Eight writers with different answers to the same messages, in different orders, end with one answer of each."""
    names = [f"m{number}" for number in range(50)]
    held: list[dict[str, Known]] = [{} for _ in range(8)]

    def write(place: int) -> None:
        mine = open_ledger("fraud", url)
        for name in names if place % 2 else reversed(names):
            while name not in held[place]:
                with contextlib.suppress(Unavailable):  # a busy database; a worker tries again too
                    held[place] |= mine.write([answer(name, b"%d" % place), answer(f"own-{place}-{name}")], [], [])
        mine.close()

    threads = [threading.Thread(target=write, args=[place]) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all({name: each[name] for name in names} == {name: held[0][name] for name in names} for each in held)


def test_a_ledger_that_is_away_says_so(tmp_path: Path) -> None:
    """A database that does not answer, or a file that is none, is an error that names the setting or the file."""
    with pytest.raises(Unavailable, match="ledger database") as away:
        open_ledger("fraud", "postgresql://canario@127.0.0.1:9/none").look({"a": False})
    assert "CANARIO_LEDGER_URL" in away.value.hint
    (tmp_path / "text").write_text("this is no database at all, but long enough to be taken for one" * 20)
    with pytest.raises(IntegrityError, match="text"):
        open_ledger("fraud", f"sqlite:{tmp_path / 'text'}").look({"a": False})


@pytest.mark.parametrize("url", ["redis://localhost", "sqlite:", "nonsense"])
def test_another_kind_of_ledger_is_refused(url: str) -> None:
    """A setting that cannot be is refused before anything starts."""
    with pytest.raises(UsageError, match="ledger"):
        open_ledger("fraud", url)


@pytest.mark.parametrize("hours", ["0", "-1", "many", "inf", "nan"])
def test_hours_that_cannot_be_are_refused(hours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long answers are remembered is a number of hours."""
    monkeypatch.setenv("CANARIO_LEDGER_HOURS", hours)
    with pytest.raises(UsageError, match="hours"):
        kept_seconds()


def test_a_password_is_in_no_error() -> None:
    """An address that cannot be read is not repeated."""
    with pytest.raises(UsageError) as wrong:
        open_ledger("fraud", "postgresql://canario:sec%ret@host:port/x")
    assert "sec" not in str(wrong.value) + wrong.value.hint


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_the_database_is_as_it_was_when_a_write_fails(url: str, ledger: Ledger) -> None:
    """All or nothing: an answer that cannot be kept leaves no other behind."""
    ledger.look({"a": False})
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE canario.message_answers ADD CONSTRAINT small CHECK (length(answer) < 500)")
    with pytest.raises(Unavailable):
        ledger.write([answer("a"), answer("b", b"x" * 1000)], [], [])
    assert ledger.look({"a": False}) == {"a": Known()}
