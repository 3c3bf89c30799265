"""False alarms and shifts in simulated traffic: the small form of benchmarks/drift.py, which follows 20,000 column-days."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "drift.py"


def test_columns_at_rest_are_silent_and_a_shift_is_told_in_time() -> None:
    """No alarm in hundreds of column-days without a shift, and a PSI of 0.2 in one column of ten told within 1,500 rows and two looks."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--column-days", "70", "--shifts", "10"],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in all, knowing the rows: 0 in 280 column-days" in done.stdout
