"""A real Prometheus that reads a real target every second, for tests; what the target tells is a text that tests write."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests.parts import missing

LOOPBACK = "127.0.0.1"
CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
scrape_configs:
  - job_name: told
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def program() -> str:
    """Prometheus. Skips without it, and fails with CI=true."""
    found = shutil.which("prometheus")
    if found is None:
        missing("prometheus is missing: tests/install-system-parts has it, Debian's package prometheus")
    return found


class Target:
    """A process that tells metrics."""

    def __init__(self) -> None:
        self.text = ""
        target = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = target.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
                """Say nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Answer)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class RealPrometheus:
    """One Prometheus over one target."""

    def __init__(self, folder: Path) -> None:
        self.target = Target()
        self._folder = folder
        self.port = _free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        (folder / "prometheus.yml").write_text(CONFIGURATION.format(port=self.target.port))
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                program(),
                f"--config.file={self._folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address={LOOPBACK}:{self.port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.is_ready, "Prometheus did not become ready")

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def tells(self, text: str) -> None:
        """Have the target tell this, and wait until Prometheus has read it."""
        told = time.time()
        self.target.text = f"{text}\ntold_at_seconds {told}\n"
        wait_for(lambda: self._newest() == told, "Prometheus has not read its target")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def close(self) -> None:
        self.stop()
        self.target.close()

    def _newest(self) -> float:
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": "told_at_seconds"}, trust_env=False).json()
        return float(answer["data"]["result"][0]["value"][1]) if answer["data"]["result"] else 0.0


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait until something holds; fails, saying what does not, after so long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        return int(listening.getsockname()[1])
