"""The tests' own cluster keeps to itself: it starts beside another one, runs pods, and leaves the machine as it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.cluster import cluster, components, node
from tests.cluster.machine import machine
from tests.cluster.settings import Settings

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "idle"},
    "spec": {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "idle", "image": "localhost/canario-pause:1", "imagePullPolicy": "Never"}],
    },
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A second cluster's folder and network, whatever KUBECONFIG says; ended whatever happens."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    folder = Path(tempfile.mkdtemp(prefix="canario-second-"))
    second = Settings(folder / "state", Settings.from_environment().cache, IPv4Network("10.214.0.0/16"))
    yield second
    cluster.down(second)
    shutil.rmtree(folder)


def kubectl(settings: Settings, *arguments: str, text: str = "") -> str:
    """What kubectl prints."""
    command = [str(settings.programs / "kubectl"), f"--kubeconfig={settings.kubeconfig}", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def test_a_cluster_with_a_pod_leaves_the_machine_as_it_was(settings: Settings) -> None:
    """No process, mount, link, route, iptables rule, cgroup or kernel setting is left, and ending twice is no error."""
    before = machine()
    started = cluster.up(settings)
    kubectl(settings, "apply", "--filename=-", text=json.dumps(POD))
    kubectl(settings, "wait", "--for=condition=Ready", "pod/idle", "--timeout=60s")
    running = node.processes(settings)
    assert set(running.values()).issuperset(components.EXPECTED)
    assert started.audit_log is not None
    assert '"resource":"pods"' in started.audit_log.read_text()
    assert {line for line in machine() - before if line.startswith(("iptables", "mount", "setting", "file"))} == set()
    cluster.down(settings)
    assert machine() == before
    assert [pid for pid in running if Path(f"/proc/{pid}").exists()] == []
    assert not settings.state.exists()
    cluster.down(settings)


@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0])
def test_a_start_that_is_killed_is_cleared_up(settings: Settings, seconds: float) -> None:
    """`down` removes what a killed `up` had begun, at whatever moment that was."""
    before = machine()
    environment = {
        **os.environ,
        "CANARIO_CLUSTER_STATE": str(settings.state),
        "CANARIO_CLUSTER_NETWORK": str(settings.network),
    }
    command = [sys.executable, "-m", "tests.cluster", "up"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as up:
        time.sleep(seconds)
        up.send_signal(signal.SIGKILL)
    cluster.down(settings)
    assert machine() == before
    assert not settings.state.exists()


def test_a_killed_node_is_started_anew(settings: Settings) -> None:
    """After its first process was killed from outside, the next `up` clears up and gives a working cluster."""
    cluster.up(settings)
    os.kill(node.first_process(settings), signal.SIGKILL)
    cluster.up(settings)
    assert "canario" in kubectl(settings, "config", "current-context")
    assert node.processes(settings)
