"""A model on this machine: up, kept up whatever dies, and down, with real servers, a real Envoy and real clients."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from canario.errors import Conflict, NotFound, PlanError, Unavailable
from canario.model.deployment import Status
from canario.model.evidence import CommandKind
from canario.platforms.local.envoy import answers_clients
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import find_processes, free_port, is_free
from canario.platforms.local.records import PlatformFiles
from demo.traffic import Traffic

from .conftest import MODEL, plan, traffic_to, version, wait_for

pytestmark = pytest.mark.real


def ready_pids(platform: LocalPlatform) -> list[int]:
    return [server.pid for server in platform.status().servers if server.stage == "ready" and server.pid]


def port_of(status: Status) -> int:
    return int(status.url.rpartition(":")[2])


def test_up_answers_rest_and_grpc_and_down_leaves_nothing(platform: LocalPlatform, tmp_path: Path) -> None:
    """One command brings a model up on one port for both protocols; one command leaves no process behind."""
    started = platform.up(version("v1"), port=free_port(), processes=2)
    assert not started.was_up
    assert len(ready_pids(platform)) == 2
    with traffic_to(platform.status(), requests_per_second=100) as traffic:
        wait_for(lambda: traffic.tally.requests >= 50, "50 answers")
    assert traffic.tally.failures == {}
    assert set(traffic.tally.by_protocol) == {"REST", "gRPC"}
    assert set(traffic.tally.by_version) == {"v1"}
    assert platform.up().was_up
    assert platform.down()
    assert find_processes(tmp_path / "local" / MODEL) == []
    assert not platform.status().is_up
    assert not platform.down()
    with pytest.raises(httpx.ConnectError):
        httpx.get(started.url, trust_env=False)


def test_a_port_that_is_taken_is_named_before_anything_starts(platform: LocalPlatform, tmp_path: Path) -> None:
    """A busy port is refused at once, with the port and what to do, and nothing has been started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Conflict, match=f"port {port} is taken") as refused:
            platform.up(version("v1"), port=port)
    assert "--port" in refused.value.hint
    assert find_processes(tmp_path / "local" / MODEL) == []


def test_what_was_never_up_says_so(platform: LocalPlatform) -> None:
    """Every verb on a model that was never up answers with how to bring it up."""
    for verb in (platform.status, platform.rollback, lambda: platform.send(CommandKind.PAUSE)):
        with pytest.raises(NotFound) as missing:
            verb()
        assert "canario up" in missing.value.hint
    assert not platform.down()


def test_what_cannot_be_honoured_is_refused(platform: LocalPlatform, up: Status) -> None:
    """A bad plan, the stable version as its own candidate, a wish without a rollout: refused with a reason, nothing changes."""
    with pytest.raises(PlanError):
        platform.start_rollout(plan(50, 10), version("v2"))
    with pytest.raises(Conflict, match="stable version already"):
        platform.start_rollout(plan(50, 100), version("v1"))
    with pytest.raises(Conflict, match="no rollout of pulse is under way"):
        platform.send(CommandKind.PROMOTE)
    with pytest.raises(NotFound, match="no other stable version"):
        platform.rollback()
    with pytest.raises(Conflict, match="up with v1"):
        platform.up(version("v2"), port=free_port())
    assert platform.status().past == ()


def test_a_second_supervisor_is_refused(platform: LocalPlatform, up: Status) -> None:
    """Two supervisors never run on one state: the second one ends at once, and names the first."""
    second = subprocess.run(
        [sys.executable, "-m", "canario.platforms.local", "--model", MODEL],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert f"has a supervisor already, process {up.supervisor_pid}" in second.stderr


def test_a_killed_server_costs_no_request_and_is_replaced(platform: LocalPlatform) -> None:
    """Servers killed under steady traffic are replaced, and the clients see no failed request."""
    platform.up(version("v1"), port=free_port(), processes=2)
    before = ready_pids(platform)
    with traffic_to(platform.status(), requests_per_second=100) as traffic:
        wait_for(lambda: traffic.tally.requests >= 30, "traffic")
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: before[0] not in ready_pids(platform), "the dead server to be noticed", 5)
        wait_for(lambda: len(ready_pids(platform)) == 2, "its replacement")
        os.kill(before[1], signal.SIGKILL)
        wait_for(lambda: before[1] not in ready_pids(platform), "the dead server to be noticed", 5)
        wait_for(lambda: len(ready_pids(platform)) == 2, "its replacement")
    assert traffic.tally.failures == {}
    assert not set(before) & set(ready_pids(platform))


def test_a_killed_router_is_started_again(platform: LocalPlatform, up: Status) -> None:
    """When Envoy dies another one answers on the same port, with the same split."""
    assert up.router_pid
    os.kill(up.router_pid, signal.SIGKILL)
    wait_for(lambda: platform.status().router_pid not in (None, up.router_pid), "another Envoy", 20)
    wait_for(lambda: answers_clients(port_of(up)), "its answers", 20)
    assert platform.status().asked == up.asked


def test_a_router_whose_own_port_was_taken_gets_another(platform: LocalPlatform, up: Status, tmp_path: Path) -> None:
    """When a stranger takes the port at which the router's operator asks, the next Envoy gets another and answers clients."""
    assert up.supervisor_pid
    assert up.router_pid
    files = PlatformFiles.of(MODEL)
    before = files.deployment()
    assert before is not None
    os.kill(up.supervisor_pid, signal.SIGSTOP)
    os.kill(up.router_pid, signal.SIGKILL)
    wait_for(lambda: is_free(before.admin_port), "its port", 10)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", before.admin_port))
        stranger.listen()
        os.kill(up.supervisor_pid, signal.SIGCONT)
        wait_for(lambda: platform.status().router_pid not in (None, up.router_pid), "another Envoy", 20)
        wait_for(lambda: answers_clients(port_of(up)), "its answers", 20)
        wait_for(lambda: platform.status().actual == up.asked, "its split", 20)
    after = files.deployment()
    assert after is not None
    assert after.admin_port != before.admin_port


def test_servers_and_router_outlive_their_supervisor(platform: LocalPlatform, up: Status, traffic: Traffic) -> None:
    """A killed supervisor costs nothing but decisions; `up` starts another, which adopts what runs."""
    assert up.supervisor_pid
    os.kill(up.supervisor_pid, signal.SIGKILL)
    wait_for(lambda: not platform.status().is_supervised, "the supervisor's end", 5)
    alone = platform.status()
    assert alone.router_pid == up.router_pid
    assert [server.pid for server in alone.servers] == [server.pid for server in up.servers]
    with pytest.raises(Unavailable, match="supervisor"):
        platform.start_rollout(plan(50, 100), version("v2"))
    assert not platform.up().was_up
    again = platform.status()
    assert again.supervisor_pid != up.supervisor_pid
    assert [(server.pid, server.http_port) for server in again.servers] == [
        (server.pid, server.http_port) for server in up.servers
    ]
    assert again.router_pid == up.router_pid
    assert traffic.stop().failures == {}


def test_down_needs_no_supervisor_and_no_readable_state(platform: LocalPlatform, up: Status, tmp_path: Path) -> None:
    """Down stops everything also when the supervisor was killed and the state was destroyed."""
    assert up.supervisor_pid
    os.kill(up.supervisor_pid, signal.SIGKILL)
    (tmp_path / "local" / MODEL / "state.json").write_text("{")
    assert platform.down()
    assert find_processes(tmp_path / "local" / MODEL) == []


def test_up_after_everything_was_killed_goes_on(platform: LocalPlatform, up: Status, tmp_path: Path) -> None:
    """After a restart of the machine `up` brings back what was up, on its own port, without being told what it was."""
    for process in find_processes(tmp_path / "local" / MODEL):
        process.send(signal.SIGKILL)
    wait_for(
        lambda: not find_processes(tmp_path / "local" / MODEL) and is_free(port_of(up)), "the end of everything", 10
    )
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port_of(up)))
        other.listen()
        with pytest.raises(Conflict, match="is taken"):
            platform.up()
    started = platform.up()
    assert (started.url, started.version, started.was_up) == (up.url, "v1", False)


def test_a_version_that_cannot_start_is_not_up(platform: LocalPlatform, tmp_path: Path) -> None:
    """Up says why a version does not start, in the server's own words, and leaves nothing running."""
    with pytest.raises(Unavailable, match="is not what was packed"):
        platform.up(version("damaged"), port=free_port(), processes=1)
    assert find_processes(tmp_path / "local" / MODEL) == []
