"""What a store promises when its writers are killed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill_writers.py"


def test_killed_writers_leave_nothing_half_written() -> None:
    """A dozen writers, killed at random moments, leave whole versions or none; `--kills 200` does it at length."""
    done = subprocess.run([sys.executable, str(SCRIPT), "--kills", "12"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {what: int(count) for what, count in re.findall(r"  (.+): (\d+)\n", done.stdout)}
    assert counts["import: versions"] > 0, done.stdout
    assert counts["train: versions"] > 0, done.stdout
