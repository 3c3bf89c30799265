"""What the tests of the command line share: `canario` run as a program, and versions trained once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_RUN_SECONDS = 110


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of `canario` ended."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True)
class Canario:
    """The `canario` program with homes of its own."""

    environment: Mapping[str, str]
    folder: Path

    def __call__(self, *arguments: str, **changes: str) -> Ended:
        """Run one command line to its end; `changes` are added to the environment."""
        done = subprocess.run(
            self.command(arguments),
            env={**self.environment, **changes},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN_SECONDS,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same without waiting for its end."""
        return subprocess.Popen(
            self.command(arguments),
            env=dict(self.environment),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, arguments: Sequence[str]) -> list[str]:
        return [str(Path(sys.executable).with_name("canario")), *arguments]


def canario_in(folder: Path) -> Canario:
    """The program with everything that it keeps below `folder`, and the project's rooms."""
    kept = {"CANARIO_HOME": str(folder / "home"), "BENTOML_HOME": str(folder / "bentoml")}
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return Canario({**plain, **kept, "CANARIO_ROOMS": str(ROOT / "bentos"), "PYTHONWARNINGS": "default"}, folder)


@pytest.fixture
def canario(tmp_path: Path) -> Canario:
    """The program on a machine where nothing was trained yet."""
    return canario_in(tmp_path)
