"""Runs the machine's own commands and says why one failed; what is run is for the callers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from canario.errors import Unavailable

POLL_SECONDS = 0.1


def run(*command: str | Path, environment: Mapping[str, str] | None = None, text: str = "") -> str:
    """What a command prints; `text` is its standard input. Raises Unavailable with its last words."""
    done = try_run(*command, environment=environment, text=text)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-2000:]
        raise Unavailable(f"{Path(command[0]).name} failed: {words}", at=" ".join(map(str, command))[:200])
    return done.stdout


def try_run(
    *command: str | Path, environment: Mapping[str, str] | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """The same for a command that may fail."""
    return subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)


def wait_until(what: str, holds: Callable[[], bool], *, seconds: float) -> None:
    """Return as soon as it holds. Raises Unavailable after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Unavailable(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(POLL_SECONDS)


class Progress:
    """Lines on standard error, each with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """One line."""
        sys.stderr.write(f"{time.monotonic() - self._started:6.1f} s  {text}\n")
        sys.stderr.flush()
