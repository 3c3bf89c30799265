"""Writes into monitoring/ and into the charts what follows from the table; `--check` only says which files are stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from canario.errors import UsageError
from canario.monitoring.files import ALERTMANAGER_FILE, monitoring_files
from canario.monitoring.table import read_table

ROOT = Path(__file__).parents[2]
CHART = Path("helm/canario/files/monitoring")
"""A chart reads nothing outside its own folder."""


def made() -> dict[Path, str]:
    """Every file that follows from the table, by its path below the root of the project."""
    files = monitoring_files(read_table())
    charts = {path: text for path, text in files.items() if path.name != ALERTMANAGER_FILE}
    return {
        **{Path("monitoring") / path: text for path, text in files.items()},
        **{CHART / path: text for path, text in charts.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Write what is stale; with `--check` write nothing and fail when something is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    check: bool = parser.parse_args(arguments).check
    stale = {
        path: text for path, text in made().items() if not (ROOT / path).is_file() or (ROOT / path).read_text() != text
    }
    for path, text in stale.items():
        if not check:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text)
        sys.stderr.write(f"{'stale' if check else 'wrote'}: {path}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as wrong:
        sys.exit(f"{wrong}: {wrong.hint}")
