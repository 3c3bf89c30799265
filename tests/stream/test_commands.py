"""`canario worker`, `enqueue` and `tail`, as a person uses them on one machine without a broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from canario.adapters.homes import stream_file, targets_file
from canario.model.deployment import Status
from canario.model.stream import Message, queue_names
from canario.stream.sqlite_queues import Put, Queues
from tests.cli.program import PROGRAM
from tests.platforms.conftest import platform, store, up  # noqa: F401 - fixtures
from tests.serving.metric_text import of, scraped
from tests.stream.living_worker import wait_until

pytestmark = pytest.mark.real

LINES = '{"rate": 70, "variation": 40, "age": 50}\n{"rate": 80, "variation": 140, "age": 50}\n'
CSV = "rate,variation,age\n70,40,50\n80,140,50\n"


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


def canario(*arguments: str, given: str = "", **environment: str) -> Run:
    """Run one command line."""
    done = subprocess.run(
        [PROGRAM, *arguments],
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def labels(lines: str) -> list[str]:
    return [line.split()[1] for line in lines.splitlines()]


@pytest.fixture
def empty_home(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """A home where nothing is up."""
    monkeypatch.setenv("BENTOML_HOME", str(store))
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def worker(up: Status) -> Iterator[subprocess.Popen[str]]:  # noqa: F811
    """`canario worker pulse`, which has told where its metrics are."""
    with subprocess.Popen([PROGRAM, "worker", "pulse"], stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def targets() -> list[dict[str, Any]]:
    found = sorted(targets_file("pulse").parent.glob("pulse.worker-*.json"))
    return [group for path in found for group in json.loads(path.read_text())]


def test_rows_go_in_by_hand_and_answers_come_out(
    up: Status,  # noqa: F811
    worker: subprocess.Popen[str],
    tmp_path: Path,
) -> None:
    """Lines of JSON, a CSV, a list and Arrow are answered alike; a worker is told to Prometheus while it runs; SIGTERM ends it with 0."""
    body = json.dumps({"rows": [json.loads(line) for line in LINES.splitlines()]})
    asked = httpx.post(f"{up.url}/predict", content=body, headers={"content-type": "application/json"}, trust_env=False)
    expected = [each["label"] for each in asked.json()["predictions"]]
    (tmp_path / "rows.csv").write_text(CSV)
    (tmp_path / "rows.jsonl").write_text(LINES)
    for file in ("rows.csv", "rows.jsonl"):
        run = canario("enqueue", "pulse", str(tmp_path / file), "--wait", "--priority", "urgent")
        assert (run.code, sorted(labels(run.stdout))) == (0, sorted(expected)), run.stderr
        assert "2 messages sent to canario.pulse.urgent" in run.stderr
    listed = canario("enqueue", "pulse", "-", "--wait", "--output", "json", given=f"[{','.join(LINES.splitlines())}]")
    assert [len(answer["body"]["predictions"]) for answer in json.loads(listed.stdout)["answers"]] == [1, 1]
    arrow = canario("enqueue", "pulse", "-", "--arrow", "--wait", "--output", "json", given=CSV)
    (answer,) = json.loads(arrow.stdout)["answers"]
    assert [row["label"] for row in answer["body"]] == expected
    (group,) = targets()
    assert group["labels"] == {"model": "pulse", "part": "worker"}
    told = scraped(f"http://{group['targets'][0]}/metrics")
    assert of(told, "canario_messages_total", model="pulse", outcome="answered") == 7
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert targets() == []


def test_what_does_not_fit_is_told_with_its_reason(worker: subprocess.Popen[str]) -> None:
    """Whoever waits hears why a message is dead, and `tail --dead` shows it until somebody takes it."""
    run = canario("enqueue", "pulse", "-", "--wait", "--id", "odd", given='{"rate": "fast"}\nhello\n')
    assert run.code == 0
    assert "rate does not fit" in run.stdout
    assert "not a JSON object" in run.stdout
    dead = canario("tail", "pulse", "--dead")
    assert sorted(line.split()[0] for line in dead.stdout.splitlines()) == ["odd-1", "odd-2"]
    taken = canario("tail", "pulse", "--dead", "--take", "--output", "json")
    assert {json.loads(line)["headers"]["canario-queue"] for line in taken.stdout.splitlines()} == {
        "canario.pulse.normal"
    }
    assert canario("tail", "pulse", "--dead").stdout == ""


def test_the_same_file_with_the_same_id_is_answered_once(worker: subprocess.Popen[str]) -> None:
    """An interrupted sending may be repeated: `tail` shows one answer of each message, and leaves them where they are."""
    for _ in range(2):
        assert canario("enqueue", "pulse", "-", "--id", "again", given=LINES).code == 0
    wait_until(lambda: len(canario("tail", "pulse").stdout.splitlines()) == 2, "two answers")
    time.sleep(1.0)
    for _ in range(2):
        shown = canario("tail", "pulse").stdout
        assert sorted(line.split()[0] for line in shown.splitlines()) == ["again-1", "again-2"]


def test_who_waits_in_vain_is_told_what_to_do(empty_home: Path) -> None:
    """Without a worker the messages stay, and the exit code says that no answer came."""
    run = canario("enqueue", "pulse", "-", "--wait", "--timeout", "0.5", given=LINES)
    assert run.code == 1
    assert "2 of 2 answers did not come" in run.stderr
    assert "canario worker pulse" in run.stderr
    assert "answered before" not in run.stderr
    named = canario("enqueue", "pulse", "-", "--wait", "--timeout", "0.5", "--id", "x", given=LINES)
    assert "an id that was answered before is not answered again" in named.stderr


@pytest.mark.parametrize("output", ["table", "json"])
def test_answers_that_came_before_ctrl_c_are_told(output: str, empty_home: Path) -> None:
    """Who stops waiting has every answer that was taken from the broker, and the ids of those to come."""
    ours = Put("canario.pulse.replies", [Message(id=f"x-{number}", body=b'{"predictions": []}') for number in (1, 2)])
    words = [PROGRAM, "enqueue", "pulse", "-", "--wait", "--id", "x", "--output", output]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        process.stdin.write(LINES + LINES)
        process.stdin.close()
        process.stdin = None
        queues = Queues(stream_file("pulse"), outlives_power=True)
        wait_until(lambda: queues.has_any([ours.queue]) and queues.waiting(["canario.pulse.normal"]), "the questions")
        assert queues.put([ours], 10) == [None]
        wait_until(lambda: queues.waiting([ours.queue]) == {ours.queue: 0}, "the answers to be taken")
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    told = [line.split()[0] for line in stdout.splitlines()]
    if output == "json":
        told = [each["id"] for each in json.loads(stdout)["answers"]]
    assert told == ["x-1", "x-2"]
    assert "waiting for the answers to x-1 to x-4" in stderr


@pytest.mark.parametrize(
    "words", [("enqueue", "plues", "-"), ("tail", "plues"), ("tail", "plues", "--dead")], ids=" ".join
)
def test_a_model_that_nobody_knows_gets_no_queues(words: tuple[str, ...], empty_home: Path) -> None:
    """A misspelt name is told as `canario predict` tells it, and no file is made for it."""
    run = canario(*words, given=LINES)
    assert (run.code, run.stdout) == (1, "")
    assert "no version of 'plues' is stored here" in run.stderr
    assert "`canario list` shows all" in run.stderr
    assert not (empty_home / "stream").exists()


def test_a_version_is_no_model(empty_home: Path) -> None:
    """Queues are a model's: who names a version is told so."""
    run = canario("enqueue", "pulse:v1", "-", given=LINES)
    assert (run.code, run.stdout) == (2, "")
    assert "hint: write pulse" in run.stderr
    assert not (empty_home / "stream").exists()


@pytest.mark.parametrize("known_by", ["a version", "a room", "its queues"])
def test_who_is_known_may_be_sent_to(known_by: str, empty_home: Path) -> None:
    """A stored version, a room without one, or queues that a worker made: each of them is enough."""
    model, settings = "pulse" if known_by == "a version" else "plues", {}
    if known_by == "a room":
        room = empty_home / "rooms" / model
        room.mkdir(parents=True)
        (room / "model.yaml").write_text("name: plues\n")
        settings = {"CANARIO_ROOMS": str(room.parent)}
    if known_by == "its queues":
        Queues(stream_file(model), outlives_power=True).declare(queue_names(model))
    run = canario("enqueue", model, "-", "--id", "one", given=LINES.splitlines()[0], **settings)
    assert (run.code, run.stdout) == (0, "one-1\n"), run.stderr
    assert run.stderr == f"1 message sent to canario.{model}.normal\n"
    assert canario("tail", model, **settings).code == 0


def test_an_amqp_broker_is_asked_for_any_model(empty_home: Path) -> None:
    """What may be sent through RabbitMQ is not for this machine's store to say: it is connected to, whatever the name."""
    run = canario("enqueue", "plues", "-", "--broker", "amqp://guest:guest@127.0.0.1:9/", given=LINES)
    assert run.code == 1
    assert "is stored here" not in run.stderr
    assert "0 messages were sent before" in run.stderr


WRONG = {
    "no such file": ("enqueue", "pulse", "not-there.json"),
    "a path for a model": ("enqueue", "../../evil", "-"),
    "a path for a worker's model": ("worker", "../../evil", "--router", "http://127.0.0.1:9"),
    "an id that cannot be": ("enqueue", "pulse", "-", "--id", "a b"),
    "a header without a value": ("enqueue", "pulse", "-", "--header", "x-user"),
    "a header that is no text": ("enqueue", "pulse", "-", "--header", "correlation-id=\udcff"),
    "a broker that nobody knows": ("enqueue", "pulse", "-", "--broker", "redis://here"),
    "a priority that is none": ("enqueue", "pulse", "-", "--priority", "soon"),
    "a router that is none": ("worker", "pulse", "--router", "here"),
    "a ledger that is none": ("worker", "pulse", "--router", "http://127.0.0.1:9", "--ledger", "redis://here"),
    "another broker": ("worker", "pulse", "--router", "http://127.0.0.1:9", "--broker", "kafka://here"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_exit_code_2_with_a_hint(name: str, empty_home: Path) -> None:
    """What cannot be meant is refused before anything is sent, with what to write instead."""
    run = canario(*WRONG[name], given=LINES)
    assert (run.code, run.stdout) == (2, "")
    assert "hint:" in run.stderr
    assert not (empty_home / "stream" / "pulse.sqlite").exists() or name == "a ledger that is none"


BROKEN = {
    "nothing": ("", "empty"),
    "no rows": ("[1, 2]", "no JSON of rows"),
    "an empty list": ("[]", "there is no row"),
    "rows that differ": ('[{"a": 1}, {"b": 2}]', "differ in their columns"),
    "a CSV with a word for a number": ("rate,variation,age\nfast,1,1\n", "rate"),
    "a CSV without a column": ("rate,variation\n1,1\n", "age"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_holds_no_rows_sends_nothing(name: str, empty_home: Path) -> None:
    """A file that cannot be read as rows is refused whole, and says where."""
    content, reason = BROKEN[name]
    run = canario("enqueue", "pulse", "-", given=content)
    assert (run.code, run.stdout) == (1, "")
    assert reason in run.stderr
    assert not (empty_home / "stream" / "pulse.sqlite").exists()


ARROW = {
    "no rows": ('{"rows": []}', "there is no row"),
    "words and numbers": ('[{"rate": 70, "age": 1}, {"rate": "fast", "age": 2}]', "rate cannot be a column"),
    "a list as a value": ('[{"rate": [70]}]', "rate cannot be a column"),
    "a number without end": ('[{"rate": 99999999999999999999}, {"rate": 1}]', "rate cannot be a column"),
}


@pytest.mark.parametrize("name", ARROW)
def test_rows_that_are_no_columns_send_nothing(name: str, empty_home: Path) -> None:
    """With --arrow rows become columns; where they cannot, it says which and why."""
    content, reason = ARROW[name]
    run = canario("enqueue", "pulse", "-", "--arrow", given=content)
    assert (run.code, run.stdout) == (1, "")
    assert reason in run.stderr
    assert "hint:" in run.stderr
    assert not (empty_home / "stream" / "pulse.sqlite").exists()


def test_columns_may_come_in_any_order(empty_home: Path) -> None:
    """Rows with the same columns in another order are rows of one file."""
    run = canario("enqueue", "pulse", "-", "--id", "x", given='[{"rate": 1, "age": 1}, {"age": 1, "rate": 1}]')
    assert (run.code, run.stdout) == (0, "x-1 to x-2\n"), run.stderr


def test_a_row_that_no_broker_takes_is_told_what_helps(empty_home: Path) -> None:
    """Sending the same again does not make it smaller: the hint is to send less in one message."""
    run = canario("enqueue", "pulse", "-", given=json.dumps([{"rate": "x" * 17_000_000}]))
    assert run.code == 1
    assert "send its rows in several messages" in run.stderr
    assert "--id" not in run.stderr


def test_a_model_that_is_not_up_has_no_worker(empty_home: Path) -> None:
    """A worker needs a router: without one here or named it says how to get one."""
    run = canario("worker", "pulse")
    assert run.code == 1
    assert "canario up pulse" in run.stderr
