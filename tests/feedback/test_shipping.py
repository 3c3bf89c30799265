"""Prediction logs on their way to a database: nothing lost, nothing doubled, and nobody who asks for an answer ever waits for it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from canario.adapters.homes import predictions_folder
from canario.errors import EvidenceLost, IntegrityError, Unavailable, UsageError
from canario.feedback import postgres as postgres_room
from canario.feedback.log import PredictionLog
from canario.feedback.opening import open_history, open_truths
from canario.feedback.postgres import PostgresDatabase
from canario.feedback.settings import URL_VARIABLE
from canario.feedback.shipping import LogShipper
from canario.model.feedback import Feedback, Prediction
from tests.feedback.keepers import OUTCOME, Keeper, empty
from tests.feedback.postgres_server import PostgresServer

MakePrediction = Callable[..., Prediction]
AWAY = "postgresql://canario@127.0.0.1:9/postgres?connect_timeout=1"


@pytest.fixture
def keeper(home: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    """A keeper in an empty database."""
    empty(postgres.url)
    monkeypatch.setenv(URL_VARIABLE, postgres.url)
    monkeypatch.setenv("CANARIO_FEEDBACK_DAYS", "100000")
    keeper = Keeper(OUTCOME, postgres.url)
    yield keeper
    keeper.close()


def shipper(url: str, place: str = "a-pod") -> LogShipper:
    """The shipper of this home's logs."""
    return LogShipper(url, "fraud", OUTCOME, predictions_folder("fraud"), place)


def eventually(question: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it becomes true in time."""
    until = time.monotonic() + seconds
    while not question():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_thread_ships_what_is_answered(keeper: Keeper, predicted: MakePrediction) -> None:
    """Moments after an answer it is in the database, and a close ships the rest."""
    shipping = shipper(keeper.url)
    shipping.start()
    keeper.log.append([predicted("fraud")])
    assert eventually(lambda: keeper.history.predictions() == {"v1": 1}, 5.0)
    keeper.log.append([predicted("fraud")])
    shipping.close()
    assert keeper.history.predictions() == {"v1": 2}
    assert shipping.left_bytes() == 0


def test_a_database_that_is_away_keeps_no_answer_waiting(
    home: Path, predicted: MakePrediction, caplog: pytest.LogCaptureFixture
) -> None:
    """Answers are logged at their usual speed, closing takes its bound and no longer, and says what is left."""
    log, shipping = PredictionLog(predictions_folder("fraud")), shipper(AWAY)
    shipping.start()
    began = time.monotonic()
    for _ in range(200):
        log.append([predicted("fraud")])
    assert time.monotonic() - began < 2.0
    with caplog.at_level(logging.WARNING):
        shipping.close(within_seconds=2.0)
    assert time.monotonic() - began < 6.0
    assert "bytes" in caplog.text
    assert shipping.left_bytes() > 0
    log.close()


def test_shipping_goes_on_when_the_database_is_back(
    home: Path, predicted: MakePrediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart and a kill of the database cost time and nothing else."""
    server = PostgresServer()
    server.start()
    monkeypatch.setenv(URL_VARIABLE, server.url)
    monkeypatch.setenv("CANARIO_FEEDBACK_DAYS", "100000")
    log, shipping = PredictionLog(predictions_folder("fraud")), shipper(server.url)
    history = open_history("fraud", OUTCOME)
    shipping.start()
    for number in range(3):
        log.append([predicted("fraud") for _ in range(10)])
        server.kill()
        with pytest.raises(EvidenceLost):
            history.counts()
        log.append([predicted("fraud") for _ in range(10)])
        server.start()
        time.sleep(postgres_room.REST_SECONDS)
        assert eventually(lambda done=20 * (number + 1): history.predictions() == {"v1": done})  # type: ignore[misc]
    shipping.close()
    history.close()
    log.close()
    server.stop()


def test_cut_connections_are_made_again(keeper: Keeper, predicted: MakePrediction) -> None:
    """An idle connection that a proxy has cut is no reason to refuse a truth or a question."""
    answer = predicted("fraud")
    keeper.answer([answer])
    keeper.counts()
    with psycopg.connect(keeper.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'canario'")
    keeper.tell(answer, "clean")
    assert keeper.counts() == {"v1": (1, 1, 0, 0)}


def test_a_truth_is_refused_at_once_while_the_database_is_away(home: Path) -> None:
    """Who sends the hundredth truth does not wait for ninety-nine timeouts, and learns what to look at."""
    truths = open_truths("fraud", AWAY)
    said = Feedback(prediction="v1.r.0", truth="fraud", at_seconds=1.0)
    with pytest.raises(Unavailable):
        truths.add(said)
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(Unavailable, match="feedback database"):
            truths.add(said)
    assert time.monotonic() - began < 3.0


def test_two_processes_share_a_folder(keeper: Keeper, predicted: MakePrediction) -> None:
    """Of two servers on one machine one ships for both; when it ends the other takes over, and no row comes twice."""
    first, second = shipper(keeper.url), shipper(keeper.url)
    first.start()
    second.start()
    keeper.log.append([predicted("fraud") for _ in range(5)])
    assert eventually(lambda: keeper.history.predictions() == {"v1": 5})
    first.close()
    keeper.log.append([predicted("fraud") for _ in range(5)])
    assert eventually(lambda: keeper.history.predictions() == {"v1": 10})
    second.close()
    shipper(keeper.url, "another-place").close()
    assert keeper.history.predictions() == {"v1": 10}


SHIP_FOR_EVER = """
import sys
from canario.adapters.homes import predictions_folder
from canario.feedback import shipping
from canario.model.card import Label, Task

shipping.LONGEST_READ_BYTES = 2000
shipper = shipping.LogShipper(sys.argv[1], "fraud", Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud")),
                              predictions_folder("fraud"), "a-pod")
while True:
    shipper.ship()
    print(1, flush=True)
"""


def test_a_killed_shipper_doubles_nothing(keeper: Keeper, predicted: MakePrediction) -> None:
    """Kill -9 in the middle of shipping; the container that starts in the same folder goes on with what was left."""
    answered = kills_with_rows_left = 0
    while kills_with_rows_left < 4:
        for answer in [predicted("fraud") for _ in range(200)]:
            keeper.log.append([answer])
        answered += 200
        with subprocess.Popen(
            [sys.executable, "-c", SHIP_FOR_EVER, keeper.url], stdout=subprocess.PIPE, env=dict(os.environ)
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        kills_with_rows_left += keeper.history.predictions()["v1"] < answered
        assert answered < 4_000, "the shipper was always done before it was killed"
    keeper.ship()
    assert keeper.history.predictions() == {"v1": answered}
    (cohort,) = keeper.history.cohorts(0.0, 10.0)
    assert cohort.predictions == answered


def test_servers_that_start_together_make_one_schema(keeper: Keeper, postgres: PostgresServer) -> None:
    """The first start of a whole fleet makes the tables once, and all of it works."""
    empty(postgres.url)
    failures: list[Exception] = []

    def begin(number: int) -> None:
        truths = open_truths("fraud")
        try:
            truths.add(Feedback(prediction=f"v1.{number}.0", truth="fraud", at_seconds=1.0))
        except Exception as failed:  # noqa: BLE001 - whatever it is, the test tells it
            failures.append(failed)
        truths.close()

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert keeper.history.unmatched().truths == 12


def test_tables_of_another_release_are_refused(keeper: Keeper) -> None:
    """Nobody writes into tables that mean something else; the error says what to do."""
    keeper.history.counts()
    with psycopg.connect(keeper.url) as connection:
        connection.execute("UPDATE canario.schema_number SET number = 99")
    other = PostgresDatabase(keeper.url)
    with pytest.raises(IntegrityError, match="99"):
        other.run(lambda connection: connection.execute("SELECT 1"))


@pytest.mark.parametrize("url", ["postgresql://x y@h/d d?nonsense=1", "mysql://x"])
def test_an_address_that_is_none_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A wrong setting is told before anything starts, by the variable's name."""
    monkeypatch.setenv(URL_VARIABLE, url)
    with pytest.raises(UsageError) as refused:
        open_history("fraud", OUTCOME)
    assert refused.value.at == URL_VARIABLE


def test_old_predictions_go_and_counts_stay(
    keeper: Keeper, predicted: MakePrediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its days a row is gone with its truth, in pieces; what versions were judged by stays, and young rows too."""
    now = time.time()
    old = [predicted("fraud", at_seconds=now - 10 * 86400 - number) for number in range(30)]
    young = [predicted("fraud", at_seconds=now - 86400) for _ in range(3)]
    keeper.answer(old + young)
    for answer in [*old, young[0]]:
        keeper.tell(answer, "clean", at_seconds=now)
    keeper.tell(old[0], "fraud", at_seconds=now)
    keeper.tell("v1.never.0", "fraud", at_seconds=now - 20 * 86400)
    before = keeper.counts()
    monkeypatch.setenv("CANARIO_FEEDBACK_DAYS", "7")
    monkeypatch.setattr("canario.feedback.retention.MOST_ROWS", 7)
    keeper.restart()
    assert keeper.counts() == before == {"v1": (31, 31, 0, 0)}
    assert keeper.history.predictions() == {"v1": 33}
    assert [each.prediction for each in keeper.history.labelled(0.0, now)] == [young[0].prediction]
    assert keeper.history.unmatched().truths == 1
    with psycopg.connect(keeper.url) as connection:
        for table, rows in (("predictions", 3), ("truths", 1), ("earlier_truths", 0)):
            assert connection.execute(f"SELECT count(*) FROM canario.{table}").fetchone() == (rows,)  # noqa: S608 - fixed words


def test_models_of_one_name_in_two_namespaces_keep_apart(
    keeper: Keeper, predicted: MakePrediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One database may serve several namespaces: a label of one never counts for the other's model."""
    answer = predicted("fraud")
    keeper.answer([answer])
    monkeypatch.setenv("CANARIO_FEEDBACK_SPACE", "elsewhere")
    open_truths("fraud").add(Feedback(prediction=answer.prediction, truth="clean", at_seconds=2.0))
    assert keeper.counts() == {"v1": (0, 0, 0, 0)}
    elsewhere = open_history("fraud", OUTCOME)
    assert elsewhere.unmatched().truths == 1
    elsewhere.close()


def test_answers_go_under_the_names_that_a_platform_uses(keeper: Keeper, predicted: MakePrediction) -> None:
    """A resource may call a version otherwise than its maker did; its gates find the labels under its own name."""
    answer = predicted("fraud", version="v2")
    keeper.log.append([answer])
    LogShipper(keeper.url, "fraud", OUTCOME, predictions_folder("fraud"), "a-pod", version="v2-7").close()
    keeper.tell(answer, "clean")
    assert keeper.counts() == {"v2-7": (1, 1, 0, 0)}
    assert [each.version for each in keeper.history.labelled(0.0, 10.0)] == ["v2-7"]
