"""Where Prometheus finds a model's processes on this machine: a file of its file-based discovery, replaced whole when they come or go."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from canario.adapters.files import write_atomically
from canario.adapters.homes import targets_file
from canario.model.deployment import ServerStatus
from canario.platforms.local.processes import LOOPBACK
from canario.platforms.local.slots import Stage

_ANSWER_OPERATORS = (Stage.READY.value, Stage.LEAVING.value, Stage.STOPPING.value)
"""A leaving server is asked until it is gone: its last counts are worth as much as its first."""


class Targets:
    """The file of one model."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._path: Path = targets_file(model)
        self._written: bytes | None = None

    def tell(self, servers: Iterable[ServerStatus], supervisor_port: int, admin_port: int) -> None:
        """Have the file name what can be asked now. Raises OSError when it cannot be written; tell it again then."""
        groups = [
            self._group("server", sorted(_ports(servers))),
            self._group("supervisor", [supervisor_port]),
            # Envoy tells its counters under a path of its own.
            self._group("router", [admin_port], __metrics_path__="/stats/prometheus"),
        ]
        content = msgspec.json.format(msgspec.json.encode([group for group in groups if group["targets"]]), indent=2)
        if content != self._written or not self._path.exists():
            write_atomically(self._path, content + b"\n")
            self._path.chmod(0o644)  # Prometheus may run as somebody else
            self._written = content

    def remove(self) -> None:
        """Nothing of this model runs any more."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _group(self, part: str, ports: Iterable[int], **labels: str) -> dict[str, Any]:
        targets = [f"{LOOPBACK}:{port}" for port in ports if port]
        return {"targets": targets, "labels": {"model": self._model, "part": part, **labels}}


@contextlib.contextmanager
def worker_target(model: str, port: int) -> Iterator[None]:
    """Have a file of its own name this process, a worker of the stream, for the block; what killed ones left is removed."""
    path = targets_file(f"{model}.worker-{os.getpid()}")
    for left in path.parent.glob(f"{model}.worker-*.json"):
        pid = left.stem.rpartition("-")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            left.unlink(missing_ok=True)
    group = {"targets": [f"{LOOPBACK}:{port}"], "labels": {"model": model, "part": "worker"}}
    write_atomically(path, msgspec.json.format(msgspec.json.encode([group]), indent=2) + b"\n")
    path.chmod(0o644)  # Prometheus may run as somebody else
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _ports(servers: Iterable[ServerStatus]) -> set[int]:
    return {server.operator_port for server in servers if server.stage in _ANSWER_OPERATORS}
