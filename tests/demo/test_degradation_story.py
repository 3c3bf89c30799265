"""The story of the degradation, told for real: every figure it prints is one that was measured, and nothing runs after it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from canario.monitoring.table import read_table
from canario.platforms.local.processes import free_port
from demo.watchers import TABLE, has_monitoring
from tests.demo.test_demo import ROOT, processes_of
from tests.parts import missing

LONGEST_STORY_SECONDS = 420


def command(folder: Path) -> list[str]:
    port = str(free_port())
    return [sys.executable, "-u", "-m", "demo.degradation", "--port", port, "--folder", str(folder / "story")]


@pytest.fixture
def programs() -> None:
    """Prometheus and Alertmanager; without them the test is skipped, and in CI it fails."""
    if not has_monitoring():
        missing("prometheus and prometheus-alertmanager are not installed")


@pytest.mark.real
@pytest.mark.usefixtures("programs")
@pytest.mark.timeout(LONGEST_STORY_SECONDS + 60)
def test_the_story_ends_well(tmp_path: Path) -> None:
    """Recall falls, two alarms tell it, a retraining by webhook is promoted, and recall is back, as clients and Prometheus count it."""
    told = subprocess.run(
        command(tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_STORY_SECONDS, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    rows = re.findall(
        r"^(before|after) the (shift|promotion) +(\S+) +([\d.]+)% +([\d,]+) +([\d.]+)%", told.stdout, re.MULTILINE
    )
    assert [f"{when} {what}" for when, what, *_ in rows] == ["before shift", "after shift", "after promotion"]
    (before, fallen, again) = [(float(clients), float(watchers)) for *_, clients, _, watchers in rows]
    assert min(before) >= 70
    assert max(fallen) < 65
    assert min(again) >= 75
    assert [row[2] == "v1" for row in rows] == [True, True, False]
    assert {"CanarioInputDrift fires", "CanarioDegradation fires"} <= set(re.findall(r"Canario\w+ fires", told.stdout))
    assert "saw 0 failed requests" in told.stdout
    assert processes_of(tmp_path) == []


@pytest.mark.real
@pytest.mark.usefixtures("programs")
@pytest.mark.timeout(240)
def test_interrupting_the_story_leaves_no_process(tmp_path: Path) -> None:
    """Ctrl-C in the middle of it takes down servers, router, Prometheus, Alertmanager and the webhook's taker."""
    log = tmp_path / "log.txt"
    with log.open("wb") as output:
        story = subprocess.Popen(command(tmp_path), cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
        try:
            deadline = time.monotonic() + 180
            while "Payments as it knows them" not in log.read_text():
                assert story.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            running = " ".join(processes_of(tmp_path))
            assert all(word in running for word in ("prometheus", "alertmanager", "--listen")), running
            os.killpg(story.pid, signal.SIGINT)
            assert story.wait(timeout=60) == 130, log.read_text()
        finally:
            if story.poll() is None:
                story.send_signal(signal.SIGINT)
                story.wait(timeout=60)
    assert processes_of(tmp_path) == []
    assert "Interrupted" in log.read_text()


def test_the_hurry_changes_no_limit() -> None:
    """The story's table looks sooner and more often than the usual one, and at the same limits."""
    quick, usual = read_table(TABLE), read_table()
    assert (quick.quality, quick.objectives, quick.traffic) == (usual.quality, usual.objectives, usual.traffic)
    assert (quick.drift.material_psi, quick.drift.minimum_rows) == (usual.drift.material_psi, usual.drift.minimum_rows)
    assert quick.drift.material_novel_ratio == usual.drift.material_novel_ratio
