"""`canario` run as a program, with everything that it keeps in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = str(Path(sys.executable).with_name("canario"))
LONGEST_RUN_SECONDS = 110


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of `canario` ended."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True)
class Canario:
    """The `canario` program, with everything that it keeps in one folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        plain = {
            name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
        }
        kept = {"CANARIO_HOME": str(self.folder / "home"), "BENTOML_HOME": str(self.folder / "bentoml")}
        return {**plain, **kept, "CANARIO_ROOMS": str(ROOT / "bentos")}

    def __call__(self, *arguments: str, **changes: str) -> Ended:
        """Run one command line to its end; `changes` are added to the environment."""
        return self.of(PROGRAM, *arguments, **changes)

    def of(self, program: str, *arguments: str, **changes: str) -> Ended:
        """The same of another program, such as kubectl, which may start this one."""
        running = self._start(program, *arguments, **changes)
        try:
            stdout, stderr = running.communicate(timeout=LONGEST_RUN_SECONDS)
        finally:
            running.kill()
        return Ended(running.returncode, stdout, stderr)

    def start(self, *arguments: str, **changes: str) -> subprocess.Popen[str]:
        """The same without waiting for its end."""
        return self._start(PROGRAM, *arguments, **changes)

    def _start(self, *command: str, **changes: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            env={**self.environment, **changes},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def in_process(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Give this process the program's environment, for the tests that call commands without a process of their own."""
    for name in ("CANARIO_HOME", "BENTOML_HOME", "CANARIO_ROOMS"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.delenv("CANARIO_DEBUG", raising=False)
