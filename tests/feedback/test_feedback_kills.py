"""Feedback under SIGKILL: the small form of benchmarks/kill_feedback.py, which plays the same with 100,000 predictions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.feedback.postgres_server import require_postgres

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill_feedback.py"


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize("keeper", ["files", "postgres"])
def test_every_label_counts_once_whoever_is_killed(keeper: str) -> None:
    """Late, early, doubled, changed and unknown labels, and kill -9 of servers, tellers, joiner and database: each counts once."""
    if keeper == "postgres":
        require_postgres()
    size = ("--predictions", "3000", "--kills", "12", "--seconds", "10")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CANARIO_")}
    played = subprocess.run(
        [sys.executable, SCRIPT, "--keeper", keeper, *size], env=plain, capture_output=True, text=True, check=False
    )
    print(played.stdout)  # noqa: T201 - its seed, to play it again
    assert played.returncode == 0, played.stdout + played.stderr
