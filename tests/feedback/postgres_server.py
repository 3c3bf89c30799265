"""A real PostgreSQL of the tests' own: in a temporary folder, of an unprivileged user, started, killed and started again at will."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from tests.parts import missing

START_SECONDS = 30.0


def binaries() -> Path | None:
    """Where Debian, or whoever installed it, has PostgreSQL's programs; None without them."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None


def require_postgres() -> Path:
    """PostgreSQL's programs; skips where there are none, and fails there with CI=true."""
    found = binaries()
    if found is None:
        missing("PostgreSQL is not installed: `tests/install-system-parts` has it on Debian")
    return found


class PostgresServer:
    """One server with one empty database; nobody else can reach it."""

    def __init__(self) -> None:
        self._programs = require_postgres()
        self._user = _unprivileged_user()
        self.folder = Path(tempfile.mkdtemp(prefix="canario-postgres-"))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"postgresql://canario@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "canario", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        """Start it, after a kill too; returns once it answers."""
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [
                *(str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"),
                *("-c", "max_connections=50", "-c", "shared_buffers=64MB"),
            ],
            stdout=log,
            stderr=log,
            user=self._user,
        )
        log.close()
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < until, (self.folder / "log").read_text()
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill -9 of the server and all its children."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        # They hold the shared memory, and no other server may start while they do.
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=START_SECONDS)

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        asked = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            check=False,
            user=self._user,
            capture_output=True,
            text=True,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr


def _unprivileged_user() -> str | None:
    """Whom the server runs as: PostgreSQL refuses root. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None
