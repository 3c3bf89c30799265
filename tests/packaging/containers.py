"""Runs an image from buildah's store without a daemon: as its own user, on a read-only root, with the two folders it may write."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.base_image import buildah

START_SECONDS = 90.0
WRITABLE = ("/tmp", "/var/lib/canario")  # noqa: S108 - a folder of the container
_TMPFS = ["nosuid", "nodev", "mode=1777"]


@dataclass(frozen=True)
class Mounted:
    """An image whose files can be looked at."""

    root: Path
    user: str
    environment: list[str]
    entrypoint: list[str]
    labels: dict[str, str]
    history: str
    layers: dict[str, int]
    """The size of each layer in bytes, by its digest, from the lowest on."""


@contextlib.contextmanager
def mounted(image: str) -> Iterator[Mounted]:
    """The files and settings of an image."""
    inspected: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))
    config = inspected["OCIv1"]["config"]
    container = buildah("from", "--pull-never", image)
    try:
        yield Mounted(
            root=Path(buildah("mount", container)),
            user=config["User"],
            environment=config["Env"],
            entrypoint=config.get("Entrypoint", []),
            labels=config["Labels"],
            history=json.dumps(inspected["History"]),
            layers={layer["digest"]: layer["size"] for layer in json.loads(inspected["Manifest"])["layers"]},
        )
    finally:
        buildah("rm", container)


class Running:
    """A container that runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def said(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """What it says, once it does."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            found = re.search(pattern, self.said())
            if found:
                return found
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def stop(self) -> int:
        """Ask it to end, as a node does; its exit code."""
        self.process.terminate()  # runc hands signals on
        return self.process.wait(60)


@contextlib.contextmanager
def running(image: Mounted, bundle: Path, *more: str, command: Sequence[str] = ()) -> Iterator[Running]:
    """The image's entrypoint with more arguments, or another command, in a container of its own on this machine's network."""
    bundle.mkdir(parents=True)
    command = command or [*image.entrypoint, *more]
    (bundle / "config.json").write_text(json.dumps(_container(image, list(command))))
    name, log = f"canario-test-{uuid.uuid4().hex[:12]}", bundle / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["runc", "run", "--bundle", str(bundle), name], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            subprocess.run(["runc", "kill", name, "KILL"], capture_output=True, check=False)
            process.wait(30)
        subprocess.run(["runc", "delete", "--force", name], capture_output=True, check=False)


def _container(image: Mounted, command: list[str]) -> dict[str, Any]:
    user, group = (int(part) for part in image.user.split(":"))
    devices = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]}
    writable = [{"destination": path, "type": "tmpfs", "source": "tmpfs", "options": _TMPFS} for path in WRITABLE]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(image.root), "readonly": True},
        "process": {
            "user": {"uid": user, "gid": group},
            "args": command,
            "env": image.environment,
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {name: [] for name in ("bounding", "effective", "inheritable", "permitted", "ambient")},
        },
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, devices, *writable],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "mount", "ipc", "uts")]},
    }
