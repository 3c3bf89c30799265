"""When an Envoy is started on this machine, and with what."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from canario.errors import RouterError
from canario.model.deployment import Deployment
from canario.model.split import Backend, Endpoint, Split
from canario.platforms.local.ending import stop
from canario.platforms.local.envoy import LocalRouter
from canario.platforms.local.processes import find_processes, free_port
from canario.platforms.local.records import PlatformFiles
from canario.router import folder

HERE = Endpoint(host="127.0.0.1", http_port=1, grpc_port=2)
STABLE = Split(stable="v1")


class Envoys:
    """Processes in place of Envoys; each notes the admin port that it was started with."""

    def __init__(self, files: PlatformFiles) -> None:
        self._files = files
        self.started_at: list[int] = []
        self.refuses = False

    def validate(self, _: object) -> None:
        if self.refuses:
            raise RouterError("Envoy could not be asked about its configuration")

    def command(self) -> list[str]:
        bootstrap = json.loads((self._files.router / "bootstrap.json").read_bytes())
        self.started_at.append(bootstrap["admin"]["address"]["socket_address"]["port_value"])
        return ["sleep", "60"]

    def kill(self) -> None:
        for process in find_processes(self._files.folder):
            process.send(signal.SIGKILL)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformFiles:
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    files = PlatformFiles.of("pulse")
    files.router.mkdir(parents=True)
    files.logs.mkdir(parents=True)
    return files


@pytest.fixture
def envoys(files: PlatformFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[Envoys]:
    envoys = Envoys(files)
    monkeypatch.setattr(folder, "validate", envoys.validate)
    monkeypatch.setattr(folder.Router, "command", envoys.command)
    yield envoys
    stop(find_processes(files.folder))


@pytest.fixture
def deployment() -> Deployment:
    return Deployment(
        model="pulse",
        is_up=True,
        port=free_port(),
        admin_port=free_port(),
        processes=1,
        latency_milliseconds=100.0,
        stable="v1",
        split=STABLE,
        wanted=("v1",),
        served={},
    )


def servers(_: Split) -> tuple[Backend, ...]:
    return (Backend(version="v1", endpoints=(HERE,)),)


def ticks(router: LocalRouter, so: Callable[[], bool] = lambda: False, seconds: float = 1.0) -> None:
    """Turns of the loop until it is so, or time is up."""
    until = time.monotonic() + seconds
    while not so() and time.monotonic() < until:
        router.tick(time.monotonic())
        time.sleep(0.02)


def test_an_envoy_never_starts_at_a_port_it_was_moved_from(
    files: PlatformFiles, envoys: Envoys, deployment: Deployment
) -> None:
    """While the plan with the new port cannot be written, nothing starts with the old one, which somebody else has."""
    router = LocalRouter(files, deployment, servers)
    router.ask(STABLE)
    moved = replace(deployment, admin_port=free_port((deployment.port, deployment.admin_port)))
    router.move(moved)
    envoys.refuses = True
    with pytest.raises(RouterError):
        router.ask(STABLE)
    ticks(router)
    assert (envoys.started_at, router.pid) == ([], None)
    envoys.refuses = False
    router.ask(STABLE)
    ticks(router, lambda: router.pid is not None)
    assert envoys.started_at == [moved.admin_port]


def test_an_envoy_never_starts_without_a_plan(files: PlatformFiles, envoys: Envoys, deployment: Deployment) -> None:
    """Nothing is started, and no death is counted, before there is something to read."""
    router = LocalRouter(files, deployment, servers)
    ticks(router)
    assert (router.pid, router.failure) == (None, "")
    router.ask(STABLE)
    router.tick(time.monotonic())
    assert envoys.started_at == [deployment.admin_port]


@pytest.mark.parametrize("is_adopted", [False, True])
def test_an_envoy_that_dies_is_started_again_though_its_new_plan_is_refused(
    files: PlatformFiles, envoys: Envoys, deployment: Deployment, *, is_adopted: bool
) -> None:
    """What it ran until then is still there: clients wait for a start, not for a plan. So too after an adoption."""
    router = LocalRouter(files, deployment, servers)
    router.ask(STABLE)
    router.tick(time.monotonic())
    if is_adopted:
        router = LocalRouter(files, deployment, servers)
        router.adopt(find_processes(files.folder), time.monotonic())
    envoys.refuses = True
    envoys.kill()
    ticks(router, lambda: len(envoys.started_at) == 2, 10.0)
    assert envoys.started_at == [deployment.admin_port] * 2
