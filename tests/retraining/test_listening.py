"""Whoever listens for alerts answers at once, has each model retrained in a process of its own, and survives whatever that does."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from canario.adapters.homes import retraining_folder
from canario.errors import Unavailable
from canario.platforms.local.processes import free_port
from canario.retraining.alerts import Call
from canario.retraining.listening import Listener
from canario.retraining.receiver import LONGEST_BODY_BYTES

WORK = "import sys, time; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); time.sleep(float(sys.argv[3])); sys.exit(int(sys.argv[4]))"
"""A process that writes down whom it is for, takes its time, and ends as it is told."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    return tmp_path


class Here:
    """A listener that runs, what it was told to begin, and what it said."""

    def __init__(self, folder: Path, *, seconds: float = 0.0, code: int = 0) -> None:
        self._file, self._seconds, self._code = folder / "begun", seconds, code
        self.calls: list[Call] = []
        self.said: list[str] = []
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, call: Call) -> Sequence[str]:
        """What retrains a model here."""
        self.calls.append(call)
        return [
            sys.executable,
            "-c",
            WORK,
            str(self._file),
            call.model,
            str(self._seconds),
            str(self._code),
            call.reason,
        ]

    def begun(self) -> list[str]:
        """The models whose process has begun, in order."""
        return self._file.read_text().split() if self._file.exists() else []

    @contextmanager
    def listening(
        self, every_seconds: float | None = None, models: Callable[[], Sequence[str]] = lambda: ["fraud", "loan"]
    ) -> Iterator[None]:
        """Listen until the block ends, and find it ended in time."""
        listener = Listener(
            models=models,
            command=self.command,
            every_seconds=every_seconds,
            tell=self.said.append,
        )
        thread = threading.Thread(target=listener.run, args=(self.port,))
        thread.start()
        try:
            until(lambda: _answers(self.port), "it to listen")
            yield
        finally:
            listener.end()
            thread.join(20)
            assert not thread.is_alive()


def _answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def until(holds: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.02)


def webhook(*models: str) -> dict[str, object]:
    """What Alertmanager sends."""
    labels = [{"alertname": "CanarioDegradation", "answer": "retrain", "model": model} for model in models]
    return {"version": "4", "alerts": [{"status": "firing", "labels": each, "annotations": {}} for each in labels]}


@pytest.mark.real
def test_an_alert_is_answered_at_once_and_worked_on_once(tmp_path: Path) -> None:
    """The webhook does not wait for the training; the same alert ten times more, while one waits its turn, is one more."""
    here = Here(tmp_path, seconds=1.0)
    with here.listening():
        asked = time.monotonic()
        answer = httpx.post(f"{here.url}/alerts", json=webhook("fraud", "churn"))
        assert time.monotonic() - asked < 0.9
        assert answer.status_code == 202
        assert answer.json() == {"taken": ["fraud"], "unknown": ["churn"]}
        until(lambda: here.begun() == ["fraud"], "the first to begin")
        for _ in range(10):
            httpx.post(f"{here.url}/alerts", json=webhook("fraud", "loan"))
        until(lambda: len(here.begun()) == 3, "the others")
        time.sleep(1.5)
        assert here.begun() == ["fraud", "fraud", "loan"]
    assert any("exit code 0" in line for line in here.said)


@pytest.mark.real
def test_a_retraining_that_crashes_takes_nothing_down(tmp_path: Path) -> None:
    """Its exit code is told, with the command that says why, and the next alert is worked on."""
    here = Here(tmp_path, code=1)
    with here.listening():
        for number in (1, 2):
            httpx.post(f"{here.url}/alerts", json=webhook("loan"))
            until(lambda number=number: len(here.begun()) == number, "it to begin")  # type: ignore[misc]  # mypy takes the default for an argument
            until(lambda number=number: sum("exit code 1" in line for line in here.said) == number, "its end")  # type: ignore[misc]
    assert any("canario retrain loan --history" in line for line in here.said)


@pytest.mark.real
def test_a_retraining_that_cannot_start_takes_nothing_down(tmp_path: Path) -> None:
    """Words that no command line can hold are told, and the next call is worked on."""
    here = Here(tmp_path)
    retraining_folder().mkdir()
    with here.listening():
        (retraining_folder() / "fraud.asked").write_bytes(
            b'{"rollout":"fraud-0003","reason":"labels\\u0000fail","at_seconds":1.0}\n'
        )
        until(lambda: any("cannot start" in line for line in here.said), "the failure to be told")
        httpx.post(f"{here.url}/alerts", json=webhook("loan"))
        until(lambda: here.begun() == ["loan"], "the next")


@pytest.mark.real
def test_the_clock_survives_models_that_cannot_be_read(tmp_path: Path) -> None:
    """When the models cannot be read at the hour of a retraining, they have their turn as soon as they can."""
    here, is_broken = Here(tmp_path), threading.Event()

    def models() -> Sequence[str]:
        if is_broken.is_set():
            raise Unavailable("a status cannot be read just now")
        return ["fraud"]

    with here.listening(every_seconds=1.0, models=models):
        until(lambda: len(here.begun()) == 1, "the first round")
        is_broken.set()
        time.sleep(2.5)
        before = len(here.begun())
        is_broken.clear()
        until(lambda: len(here.begun()) > before, "the next round")


@pytest.mark.real
def test_it_retrains_by_the_clock(tmp_path: Path) -> None:
    """Every so often each model has its turn, whether an alert has come or not."""
    here = Here(tmp_path)
    with here.listening(every_seconds=1.0):
        until(lambda: len(here.begun()) >= 4, "two rounds", 20)
    assert sorted(here.begun()[:2]) == ["fraud", "loan"]
    assert {call.trigger.value for call in here.calls} == {"schedule"}


@pytest.mark.real
def test_a_rollouts_wish_is_worked_on(tmp_path: Path) -> None:
    """What a rollout has left in the file is found within seconds, with its name, and not asked for every second."""
    here = Here(tmp_path)
    retraining_folder().mkdir()
    with here.listening():
        (retraining_folder() / "fraud.asked").write_bytes(
            b'{"rollout":"fraud-0003","reason":"labels fail","at_seconds":1.0}\n'
        )
        until(lambda: here.begun() == ["fraud"], "the wish")
        time.sleep(2.5)
        assert here.begun() == ["fraud"]
    assert [(call.wish, call.reason) for call in here.calls] == [("fraud-0003", "labels fail")]


@pytest.mark.real
def test_what_is_no_webhook_is_refused_in_words(tmp_path: Path) -> None:
    """A wrong path, a wrong body, no length, too much: each has its own status and says what is taken here."""
    here = Here(tmp_path)
    with here.listening():
        assert httpx.get(f"{here.url}/healthz").text == "ok\n"
        assert httpx.get(f"{here.url}/metrics").status_code == 200
        refusals = {
            "wrong path": httpx.post(f"{here.url}/alarms", json={}),
            "get": httpx.get(f"{here.url}/alerts"),
            "no webhook": httpx.post(f"{here.url}/alerts", content=b"{}"),
            "no length": httpx.post(f"{here.url}/alerts", content=iter([b"{}"])),
            "nested": httpx.post(f"{here.url}/alerts", content=b"[" * 200_000),
            "too long": httpx.post(f"{here.url}/alerts", content=b" " * (LONGEST_BODY_BYTES + 1)),
        }
        assert {name: answer.status_code for name, answer in refusals.items()} == {
            "wrong path": 404,
            "get": 404,
            "no webhook": 400,
            "no length": 411,
            "nested": 400,
            "too long": 413,
        }
        assert all(answer.json()["error"] for answer in refusals.values())
        with socket.create_connection(("127.0.0.1", here.port), 10) as caller:
            caller.sendall(b"POST /alerts HTTP/1.1\r\nhost: here\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n")
            assert b" 413 " in caller.recv(100)
    assert here.begun() == []


@pytest.mark.real
def test_ending_ends_the_retraining_under_way(tmp_path: Path) -> None:
    """Ctrl-C does not wait for an hour of training: the process is ended, and nothing is left."""
    here = Here(tmp_path, seconds=60.0)
    began = time.monotonic()
    with here.listening():
        httpx.post(f"{here.url}/alerts", json=webhook("fraud"))
        until(lambda: here.begun() == ["fraud"], "it to begin")
    assert time.monotonic() - began < 15
    assert any("exit code -15" in line for line in here.said)
