"""A real S3-speaking server of one's own: versitygw over a folder, on loopback; it can be taken away and brought back."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import s3fs  # type: ignore[import-untyped]  # it ships no types

from canario.errors import Unavailable
from tests.cluster import programs
from tests.cluster.running import Progress
from tests.cluster.settings import Settings
from tests.parts import missing

START_SECONDS = 20.0
BUCKET = "bank"


def require_versitygw() -> Path:
    """The program, built once; skips without Go, and fails there with CI=true."""
    settings = Settings.from_environment()
    module = next(module for module in programs.ALL if module.name == "versitygw")
    if not module.is_built(settings.programs) and shutil.which("go") is None:
        missing("versitygw, the tests' object store, is built with Go, which is not installed")
    programs.build(settings, Progress(), [module.name])
    return settings.programs / "versitygw"


class S3Server:
    """One object store with one bucket."""

    def __init__(self, folder: Path) -> None:
        self._program = require_versitygw()
        self._folder = folder
        self._access, self._secret = secrets.token_hex(8), secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        (folder / BUCKET).mkdir(parents=True)
        (folder / "iam").mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to reach it, as people set it for any S3."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": self._access,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def storage(self) -> dict[str, Any]:
        """The same as fsspec takes it."""
        return {
            "endpoint_url": f"http://127.0.0.1:{self._port}",
            "key": self._access,
            "secret": self._secret,
            "client_kwargs": {"region_name": "us-east-1"},
        }

    def client(self) -> Any:
        """A client without a memory of earlier answers."""
        return s3fs.S3FileSystem(**self.storage, skip_instance_cache=True, use_listings_cache=False)

    def start(self) -> S3Server:
        """Run it until it answers."""
        command = [str(self._program), "--port", f"127.0.0.1:{self._port}", "--iam-dir", str(self._folder / "iam")]
        keys = {"ROOT_ACCESS_KEY": self._access, "ROOT_SECRET_KEY": self._secret}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "posix", str(self._folder)], env={**os.environ, **keys}, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return self
            time.sleep(0.05)
        raise Unavailable(f"versitygw does not answer: {(self._folder / 'log').read_text()[-500:]}")

    def stop(self) -> None:
        """Take it away, at once; what it has stored stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
