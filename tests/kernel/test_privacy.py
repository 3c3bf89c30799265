"""Nothing about a model or its machine leaves it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

IMPORTED = "import os, canario.kernel.compiled; print(os.environ['ORT_DISABLE_TELEMETRY'], flush=True)"


def test_onnx_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """The library's reporting is off before it is imported: it keeps no identifier of this machine in the home folder."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], env=environment, capture_output=True, text=True, check=True, timeout=90
    )
    assert done.stdout.strip() == "1"
    assert list(tmp_path.iterdir()) == []
