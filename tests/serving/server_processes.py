"""Real server processes for tests, and real clients of them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

ANSWERS = re.compile(r"answers REST on (http://\S+) and gRPC on (\S+)")
START_SECONDS = 90.0


@dataclass
class Server:
    """A running server process."""

    url: str
    grpc: str
    process: subprocess.Popen[bytes]
    log: Path
    home: Path

    def client(self) -> httpx.Client:
        """A client of its REST face, patient because the machine may be busy."""
        return httpx.Client(base_url=self.url, timeout=60)


def start(folder: Path, home: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a server process; what it says goes to `home/log`."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "canario.serving", "--version-folder", str(folder), *options]
    environment = {**os.environ, "CANARIO_HOME": str(home)}
    with (home / "log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@contextlib.contextmanager
def running(folder: Path, home: Path, *options: str) -> Iterator[Server]:
    """A server that is ready, and gone afterwards."""
    process = start(folder, home, "--http-port", "0", "--grpc-port", "0", "--linger-seconds", "0", *options)
    try:
        url, grpc = _addresses(process, home / "log")
        yield Server(url=url, grpc=grpc, process=process, log=home / "log", home=home)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _addresses(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = ANSWERS.search(log.read_text())
        if found:
            return found[1], found[2]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")
