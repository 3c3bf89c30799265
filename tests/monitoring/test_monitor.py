"""`canario monitor`: a real Prometheus and a real Alertmanager, and nothing of them when it has ended."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from canario.adapters.homes import monitoring_folder
from canario.errors import Conflict, NotFound
from canario.monitoring.table import read_table
from canario.platforms.local.monitoring import MonitoringPlan, monitoring
from canario.platforms.local.processes import find_processes, free_port
from tests.parts import missing

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("programs")]


def missing_programs() -> list[str]:
    return [
        program
        for program in ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
        if not shutil.which(program)
    ]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both programs, and a home of its own; without them the test is skipped, and in CI it fails."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    if absent := missing_programs():
        missing(f"missing: {', '.join(absent)}")


def plan() -> MonitoringPlan:
    return MonitoringPlan(table=read_table(), port=free_port(), alertmanager_port=free_port())


@contextmanager
def command(running: MonitoringPlan) -> Iterator[subprocess.Popen[str]]:
    """The command as a person types it, once it says that both are there."""
    line = [sys.executable, "-c", "from canario.cli.main import main; main()", "monitor"]
    ports = ["--port", str(running.port), "--alertmanager-port", str(running.alertmanager_port)]
    with subprocess.Popen([*line, *ports], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for told in process.stderr:
            if "Ctrl-C ends it" in told:
                break
        try:
            yield process
        finally:
            process.kill()


def _alertmanagers(chosen: MonitoringPlan) -> list[dict[str, str]]:
    """Those that Prometheus tells; it looks for them a moment after it has begun."""
    answer = httpx.get(f"{chosen.url}/api/v1/alertmanagers", trust_env=False).json()
    return list(answer["data"]["activeAlertmanagers"])


def test_both_run_with_the_generated_rules_until_ctrl_c(tmp_path: Path) -> None:
    """Prometheus answers with canario's alerts, knows its Alertmanager, and Ctrl-C leaves no process."""
    chosen = plan()
    with command(chosen) as process:
        groups = httpx.get(f"{chosen.url}/api/v1/rules?type=alert", trust_env=False).json()["data"]["groups"]
        assert "CanarioDegradation" in {rule["name"] for group in groups for rule in group["rules"]}
        deadline = time.monotonic() + 30
        while not (known := _alertmanagers(chosen)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert str(chosen.alertmanager_port) in known[0]["url"]
        assert len(find_processes(monitoring_folder())) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert find_processes(tmp_path / "monitoring") == []


def test_a_second_one_in_the_same_home_is_refused() -> None:
    """Two would write one database: the second says which process has it, and the first goes on."""
    with monitoring(plan()) as first:
        with pytest.raises(Conflict, match="another `canario monitor` runs"), monitoring(plan()):
            pass
        first.check()


def test_what_a_killed_one_left_is_ended_by_the_next() -> None:
    """After kill -9 the same command works again, on the same ports."""
    chosen = plan()
    with command(chosen) as process:
        process.kill()
        process.wait()
    assert len(find_processes(monitoring_folder())) == 2
    with monitoring(chosen) as running:
        running.check()
        assert len(find_processes(monitoring_folder())) == 2
    assert find_processes(monitoring_folder()) == []


def test_a_taken_port_is_named() -> None:
    """A busy port is refused before anything starts, with the option that chooses another."""
    chosen = plan()
    with monitoring(chosen):
        pass
    with socket.socket() as other:
        other.bind(("127.0.0.1", chosen.port))
        other.listen()
        with pytest.raises(Conflict, match=str(chosen.port)) as refused, monitoring(chosen):
            pass
    assert "--port" in refused.value.hint


def test_missing_programs_are_named_with_what_brings_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who has no Prometheus reads what to install, and nothing has been started."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="no prometheus on PATH") as missing, monitoring(plan()):
        pass
    assert "apt-get install" in missing.value.hint
    assert find_processes(monitoring_folder()) == []
