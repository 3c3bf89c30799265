"""One server's place: kept with its ports, watched, replaced when it hangs, drained before it ends."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canario.model.split import Endpoint
from canario.platforms.local import slots
from canario.platforms.local.keeper import KeptProcess
from canario.platforms.local.probes import Prober
from canario.platforms.local.processes import (
    LocalProcess,
    Mark,
    Role,
    find_processes,
    free_port,
    is_free,
    launch,
)
from canario.platforms.local.slots import ServerSlot, Stage
from canario.platforms.local.starting import served_version

from .conftest import version, wait_for

pytestmark = pytest.mark.real


def nobody(_: Endpoint) -> int:
    """A router that has no requests for any server."""
    return 0


def until(slot: ServerSlot, so: Callable[[], bool], active_requests: Callable[[Endpoint], int] = nobody) -> None:
    """Let a slot go on until something is so."""

    def look() -> bool:
        slot.tick(time.monotonic(), active_requests)
        return so()

    wait_for(look, "the slot", 30)


@pytest.fixture
def slot(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerSlot]:
    """A slot of v1, ready."""
    monkeypatch.setenv("BENTOML_HOME", str(store))
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    prober = Prober()
    ready = ServerSlot(tmp_path, served_version(version("v1"), print), 0, prober)
    try:
        until(ready, lambda: ready.stage is Stage.READY)
        yield ready
    finally:
        for process in find_processes(tmp_path):
            process.send(signal.SIGKILL)
        prober.close()


def test_a_server_that_dies_finds_its_ports_again(slot: ServerSlot) -> None:
    """A replaced server listens where the dead one did; if somebody took its port meanwhile, on another."""
    assert slot.process
    before = slot.endpoint
    slot.process.send(signal.SIGKILL)
    until(slot, lambda: slot.stage is Stage.COLD)
    until(slot, lambda: slot.stage is Stage.READY)
    assert slot.endpoint == before
    assert slot.restarts == 1
    slot.process.send(signal.SIGKILL)
    wait_for(lambda: slot.process and not slot.process.is_alive(), "its death", 5)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((before.host, before.http_port))
        other.listen()
        until(slot, lambda: slot.stage is Stage.COLD)
        until(slot, lambda: slot.stage is Stage.READY)
    assert slot.endpoint.http_port != before.http_port
    assert slot.endpoint.grpc_port == before.grpc_port


def test_a_server_that_hangs_is_replaced(slot: ServerSlot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that lives and answers nothing for long is killed, and another one takes its place."""
    monkeypatch.setattr(slots, "HUNG_SECONDS", 1.0)
    assert slot.process
    hung = slot.process
    hung.send(signal.SIGSTOP)
    until(slot, lambda: slot.process is not hung and slot.stage is Stage.READY)
    assert not hung.is_alive()


def test_a_server_leaves_only_after_its_last_request(slot: ServerSlot) -> None:
    """Who is told to leave is not stopped while the router has requests for it, and then ends by itself."""
    assert slot.process
    process = slot.process
    slot.leave(time.monotonic())
    busy_until = time.monotonic() + 1.0
    until(slot, lambda: time.monotonic() > busy_until, lambda _: 1)
    assert slot.stage is Stage.LEAVING
    assert process.is_alive()
    until(slot, lambda: slot.stage is Stage.GONE)
    assert not process.is_alive()


def test_a_leave_can_be_taken_back(slot: ServerSlot) -> None:
    """A version that is wanted again before its servers were stopped keeps them, warm."""
    assert slot.process
    process = slot.process
    slot.leave(time.monotonic())
    until(slot, lambda: slot.stage is Stage.LEAVING)
    slot.stay(time.monotonic())
    until(slot, lambda: slot.stage is Stage.READY)
    assert slot.process is process


def test_a_port_that_another_process_answers_on_is_not_ready(slot: ServerSlot, tmp_path: Path) -> None:
    """A stranger who answers on a server's port is never taken for the server."""
    assert slot.process
    mark = Mark(
        platform=str(tmp_path),
        role=Role.SERVER,
        version="v1",
        slot=1,
        http_port=slot.endpoint.http_port,
        grpc_port=slot.endpoint.grpc_port,
    )
    stranger = launch(["sleep", "60"], mark, tmp_path / "logs" / "v1-1.log", {})
    prober = Prober()
    other = ServerSlot(tmp_path, served_version(version("v1"), print), 1, prober)
    other.adopt(stranger, time.monotonic())
    seen_until = time.monotonic() + 1.0
    until(other, lambda: time.monotonic() > seen_until)
    other.trust(time.monotonic())
    assert other.stage is Stage.COLD
    prober.close()


def test_what_dies_quickly_is_tried_again_later_and_later(tmp_path: Path) -> None:
    """After each quick death the wait doubles; after three the reason is told, in the process's own last words."""
    mark = Mark(platform=str(tmp_path), role=Role.SERVER)
    log = tmp_path / "it.log"

    def start() -> LocalProcess:
        return launch(["sh", "-c", "echo no such luck; exit 3"], mark, log, {})

    kept, now, waits = KeptProcess("it", log, start), 1000.0, []
    assert kept.tick(now)
    for death in range(1, 7):
        wait_for(lambda: kept.process and not kept.process.is_alive(), "its death", 5)
        assert bool(kept.failure) == (death > 3)
        assert not kept.tick(now)
        died_at = now
        while not kept.tick(now):
            now += 0.05
        waits.append(now - died_at)
    assert waits == sorted(waits)
    assert waits[-1] > 16 * waits[0]
    assert "no such luck" in kept.failure


def test_processes_are_found_by_their_mark_alone(tmp_path: Path) -> None:
    """Whoever looks finds exactly a platform's own processes, alive, without a file that says so."""
    mark = Mark(platform=str(tmp_path / "one"), role=Role.SERVER, version="v1", slot=3, http_port=1, grpc_port=2)
    mine = launch(["sleep", "60"], mark, tmp_path / "a.log", {})
    theirs = launch(["sleep", "60"], Mark(platform="elsewhere", role=Role.SERVER), tmp_path / "b.log", {})
    try:
        # A process shows its environment only once it runs its own program.
        wait_for(lambda: find_processes(tmp_path / "one") != [], "its first sight", 5)
        (found,) = find_processes(tmp_path / "one")
        assert (found.pid, found.mark) == (mine.pid, mark)
    finally:
        for process in (mine, theirs):
            process.send(signal.SIGKILL)
    wait_for(lambda: not mine.is_alive(), "its death", 5)
    assert not found.is_alive()
    assert find_processes(tmp_path / "one") == []


def test_a_free_port_is_free(tmp_path: Path) -> None:
    """A port that is called free can be listened on, and is not one of those that are spoken for."""
    port = free_port()
    assert is_free(port)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not is_free(port)
    assert all(free_port(range(15_000, 31_000)) >= 31_000 for _ in range(5))
