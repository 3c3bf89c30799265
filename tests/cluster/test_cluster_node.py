"""Only processes of this very cluster are found, and ending what is not there is no error."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from canario.errors import Unavailable
from tests.cluster import node
from tests.cluster.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A cluster that was never started."""
    state = tmp_path.parent / "state"
    return Settings(state if len(str(state)) < 80 else Path("/tmp/never"), tmp_path, IPv4Network("10.213.0.0/16"))  # noqa: S108


def test_a_process_is_the_nodes_only_if_its_command_line_names_the_state_folder(settings: Settings) -> None:
    """Another cluster's first process, or one that merely mentions the folder, is left alone."""
    sleep = "import time; time.sleep(30)"
    others = [
        subprocess.Popen([sys.executable, "-c", sleep, "init.py", str(settings.state)]),
        subprocess.Popen([sys.executable, "-c", sleep, str(settings.state)]),
    ]
    try:
        assert not node.has_node(settings)
        assert node.processes(settings) == {}
        node.end_node(settings)
        assert [process.poll() for process in others] == [None, None]
    finally:
        for process in others:
            process.kill()
            process.wait()


def test_asking_a_cluster_that_does_not_run_says_how_to_start_it(settings: Settings) -> None:
    """The hint is a command."""
    with pytest.raises(Unavailable, match="not running") as refused:
        node.first_process(settings)
    assert refused.value.hint == "make cluster"


def test_only_the_end_of_a_log_is_shown(tmp_path: Path) -> None:
    """A component's failure is told by its last lines, and a log that is not there by none."""
    log = tmp_path / "etcd.log"
    assert node.tail(log) == ""
    log.write_text("\n".join(map(str, range(100))))
    assert node.tail(log).split() == [str(number) for number in range(85, 100)]
