"""The demo cleans up after itself, its clients see every failure, and its examples fit."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from canario.packaging.rooms import load_room
from canario.platforms.local.processes import free_port
from demo.rows import sample_rows
from demo.story import free_port_from
from demo.traffic import Traffic

ROOT = Path(__file__).parents[2]


def processes_of(folder: Path) -> list[str]:
    """The command lines of the processes whose homes lie in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CANARIO_HOME", "").startswith(str(folder)):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.mark.real
@pytest.mark.timeout(240)
def test_interrupting_the_demo_leaves_no_process(tmp_path: Path) -> None:
    """Ctrl-C in the middle of the demo takes down servers, router, supervisor and clients."""
    log = tmp_path / "log.txt"
    command = [sys.executable, "-u", "-m", "demo", "--port", str(free_port()), "--folder", str(tmp_path / "demo")]
    with log.open("wb") as output:
        demo = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + 180
        while "canario rollout fraud:v2" not in log.read_text():
            assert demo.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        assert processes_of(tmp_path), "nothing ran, so nothing could be left behind"
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(timeout=60) == 130, log.read_text()
    assert processes_of(tmp_path) == []
    assert "Interrupted" in log.read_text()


def test_a_client_counts_every_failed_request() -> None:
    """Where nobody answers, every request of both protocols is counted as failed."""
    traffic = Traffic(
        target=f"127.0.0.1:{free_port()}",
        model="fraud",
        card=load_room("fraud").card,
        rows=sample_rows("fraud", most=5),
        requests_per_second=40.0,
    )
    with traffic:
        time.sleep(1.0)
    tally = traffic.tally
    assert tally.requests == tally.failed > 10
    assert min(tally.by_protocol["REST"], tally.by_protocol["gRPC"]) > 5
    assert {failure.split()[0] for failure in tally.failures} == {"REST", "gRPC"}


def test_the_demo_steps_aside_for_a_taken_port() -> None:
    """A port that somebody listens on is left to them."""
    taken = free_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", taken))
        listener.listen()
        assert taken < free_port_from(taken) < taken + 100


def test_the_example_fits_the_card() -> None:
    """What the README tells its reader to send is the card's own example."""
    (row,) = json.loads((ROOT / "examples" / "fraud.json").read_text())["rows"]
    assert row == {column.name: column.example for column in load_room("fraud").card.columns}
