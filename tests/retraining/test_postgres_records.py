"""The record of a cluster's retrainings promises what that of a laptop does, in a real PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from canario.errors import Conflict, IntegrityError, Unavailable
from canario.model.retraining import Outcome, Retraining, Trigger
from canario.retraining import postgres_records
from canario.retraining.postgres_records import PostgresRetrainings
from tests.feedback.postgres_server import PostgresServer

pytestmark = pytest.mark.real
BEGUN = Retraining(number=1, model="fraud", trigger=Trigger.ALERT, asked_for="recall fell", began_at_seconds=5.0)
HOLD = """
import sys, time
from canario.retraining.postgres_records import PostgresRetrainings
with PostgresRetrainings(sys.argv[1], "fraud").alone():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    one = PostgresServer()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def url(server: PostgresServer) -> str:
    """An empty database."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS canario CASCADE")
    return server.url


def test_what_is_kept_is_read_again(url: str) -> None:
    """A retraining is kept when it begins and again, under the same number, when it ends; models do not mix."""
    record = PostgresRetrainings(url, "fraud")
    assert record.all() == []
    record.keep(BEGUN)
    assert record.all() == [BEGUN]
    ended = replace(BEGUN, outcome=Outcome.REJECTED, reason="no better", ended_at_seconds=9.0)
    record.keep(ended)
    record.keep(replace(ended, number=2))
    PostgresRetrainings(url, "loan").keep(replace(BEGUN, model="loan"))
    assert [each.number for each in PostgresRetrainings(url, "fraud").all()] == [1, 2]
    assert PostgresRetrainings(url, "fraud").all()[0] == ended
    record.close()


def test_the_oldest_go(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record stays short, however long a model lives."""
    monkeypatch.setattr(postgres_records, "KEPT", 3)
    record = PostgresRetrainings(url, "fraud")
    for number in range(1, 8):
        record.keep(replace(BEGUN, number=number))
    assert [each.number for each in record.all()] == [5, 6, 7]
    record.close()


def test_a_broken_record_is_named(url: str) -> None:
    """A row that somebody has edited badly is an error that names the table."""
    record = PostgresRetrainings(url, "fraud")
    record.keep(BEGUN)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE canario.retrainings SET content = '{}'")
    with pytest.raises(IntegrityError, match=r"canario\.retrainings"):
        record.all()
    record.close()


def test_one_process_at_a_time_even_after_a_kill(url: str) -> None:
    """While one process retrains no other may, of that model; when it is killed with -9 the next one can."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, text=True)
    record = PostgresRetrainings(url, "fraud")
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert record.is_under_way()
        with pytest.raises(Conflict, match="being retrained already"), record.alone():
            pass
        with PostgresRetrainings(url, "loan").alone():
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    deadline = time.monotonic() + 20
    while record.is_under_way() and time.monotonic() < deadline:
        time.sleep(0.05)  # the database hears of it from the kernel
    with record.alone():
        assert record.is_under_way()
    assert not record.is_under_way()
    record.close()


def test_a_database_that_is_away_is_told() -> None:
    """Nothing is trained that nobody could remember."""
    record = PostgresRetrainings("postgresql://nobody@127.0.0.1:1/none", "fraud")
    with pytest.raises(Unavailable), record.alone():
        pass
    with pytest.raises(Unavailable):
        record.all()
