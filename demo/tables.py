"""`python -m demo.tables fraud payments.csv --rows 10000`: a file of a model's rows to try batches and streams with; nothing of the label is in it."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from canario.errors import CanarioError, UsageError
from canario.packaging.rooms import Room, load_room
from demo.rows import FIRST_DAY, SEED

ID_COLUMN = "id"
"""A column that no card has: it shows how rows keep their name on the way through a batch."""
WRITERS: Mapping[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": lambda rows, path: rows.to_csv(path, index=False),
    ".parquet": lambda rows, path: rows.to_parquet(path, index=False),
    ".arrow": lambda rows, path: rows.to_feather(path, compression="uncompressed"),
    ".jsonl": lambda rows, path: rows.to_json(path, orient="records", lines=True),
}
"""By the ending of the file's name. JSON lines have no id: each is a row as a request has it."""


def table(room: Room, rows: int) -> pd.DataFrame:
    """So many rows of a room, with ids, the same each time."""
    days, found = 1, pd.DataFrame()
    while len(found) < rows:
        found = room.generate(FIRST_DAY, FIRST_DAY + dt.timedelta(days=days), SEED)
        days = max(2 * days, days * rows // max(1, len(found)) + 1)
    chosen = found[list(room.card.column_names)].head(rows)
    chosen.insert(0, ID_COLUMN, [f"{room.name}-{number:07d}" for number in range(rows)])
    return chosen


def write(room: Room, rows: int, path: Path) -> None:
    """Write them as the file's name says. Raises UsageError for a name with another ending."""
    if path.suffix not in WRITERS:
        raise UsageError(
            f"{path.name} says no kind of file that is known here", hint=f"end it with {', '.join(WRITERS)}"
        )
    chosen = table(room, rows)
    WRITERS[path.suffix](chosen.drop(columns=ID_COLUMN) if path.suffix == ".jsonl" else chosen, path)


def main() -> int:
    """Write one file."""
    parser = argparse.ArgumentParser(prog="python -m demo.tables", description=__doc__)
    parser.add_argument("model", help="a model that has a room, such as fraud")
    parser.add_argument("file", type=Path, help=f"where to: a name that ends with {', '.join(WRITERS)}")
    parser.add_argument("--rows", type=int, default=10_000, help="how many (10000)")
    flags = parser.parse_args()
    try:
        write(load_room(flags.model), flags.rows, flags.file)
    except CanarioError as error:
        print(f"error: {error}\n  hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    print(f"{flags.rows:,} rows of {flags.model} are in {flags.file}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
