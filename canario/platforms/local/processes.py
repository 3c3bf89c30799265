"""Processes that outlive whoever started them: launched detached, marked, found again by their mark; when to start them is for keeper.

A mark travels in a process's environment, so the kernel's own process table is the record of what runs: a supervisor that
is killed between starting a process and writing that down loses nothing, and a recycled pid can never be mistaken for ours.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec
import psutil

from canario.errors import Unavailable

MARK_VARIABLE = "CANARIO_PROCESS"
LOOPBACK = "127.0.0.1"

# Below the range from which kernels take the local ports of outgoing connections, so that a server that died finds its port again.
FIRST_PORT, LAST_PORT = 15_000, 31_999


class Role(StrEnum):
    """What a process of a local platform is for."""

    SUPERVISOR = "supervisor"
    ROUTER = "router"
    SERVER = "server"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Whose a process is and what it is for."""

    platform: str
    """The folder of the platform that it belongs to."""
    role: Role
    version: str = ""
    slot: int = 0
    """A server's place among its version's servers, from 0."""
    http_port: int = 0
    grpc_port: int = 0
    operator_port: int = 0


class LocalProcess:
    """One process, known by pid and time of creation; a zombie counts as dead."""

    def __init__(self, mark: Mark, process: psutil.Process, child: subprocess.Popen[bytes] | None = None) -> None:
        self.mark = mark
        self._process = process
        self._child = child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def started_at_seconds(self) -> float:
        """When it was created, in seconds since 1970."""
        return self._process.create_time()

    def is_alive(self) -> bool:
        """Whether it runs; reaps it if it is our own child and has ended."""
        if self._child is not None:
            return self._child.poll() is None
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone gets none, nor does a stranger that has its pid now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(number)

    def listens_on(self, port: int) -> bool:
        """Whether this very process has the port open, and not another that took it first."""
        try:
            connections = self._process.net_connections(kind="tcp")
        except psutil.Error:
            return False
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr[1] == port for connection in connections
        )


def launch(
    command: Sequence[str], mark: Mark, log: Path, environment: Mapping[str, str], folder: Path | None = None
) -> LocalProcess:
    """Start a command in a session of its own, its output appended to a log, so that no death of ours reaches it.

    Raises Unavailable when it cannot be started at all.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    marked = {**os.environ, **environment, MARK_VARIABLE: msgspec.json.encode(mark).decode()}
    try:
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=marked,
                cwd=folder,
                start_new_session=True,
            )
    except OSError as refused:
        raise Unavailable(f"{command[0]} cannot be started: {refused}", at=str(log)) from refused
    return LocalProcess(mark, psutil.Process(child.pid), child)


def find_processes(platform: Path) -> list[LocalProcess]:
    """Every living process that carries this platform's mark, oldest first, our own one left out."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            text = process.environ().get(MARK_VARIABLE)
            mark = msgspec.json.decode(text, type=Mark) if text else None
        except (psutil.Error, OSError, msgspec.DecodeError):
            continue
        if mark is not None and mark.platform == str(platform):
            found.append(LocalProcess(mark, process))
    return sorted(found, key=lambda each: each.started_at_seconds)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closed connections do not count
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(taken: Iterable[int] = ()) -> int:
    """A loopback port that nobody listens on and that is not among `taken`. Raises Unavailable when there is none."""
    avoided = set(taken)
    for port in random.sample(range(FIRST_PORT, LAST_PORT + 1), k=500):
        if port not in avoided and is_free(port):
            return port
    raise Unavailable(f"no free port between {FIRST_PORT} and {LAST_PORT} on {LOOPBACK}")
