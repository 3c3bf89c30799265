"""How a scoring of files is done: formats, sizes, limits; the words that a person or a resource may set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from canario.errors import UsageError


class FileFormat(StrEnum):
    """How a table lies in a file."""

    CSV = "csv"
    """Text with a heading line, commas and double quotes, UTF-8."""
    PARQUET = "parquet"
    ARROW = "arrow"
    """Arrow IPC; a file or a stream as input, a file as output."""


SUFFIXES = {
    ".csv": FileFormat.CSV,
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".arrow": FileFormat.ARROW,
    ".arrows": FileFormat.ARROW,
    ".feather": FileFormat.ARROW,
    ".ipc": FileFormat.ARROW,
}
"""What a file holds, by how its name ends."""
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""What may stand behind the suffix of a CSV file."""

ROWS_A_PART = 100_000


def format_of(name: str) -> FileFormat | None:
    """What a file of this name holds; None when its name does not say."""
    lower = name.lower()
    for suffix in COMPRESSIONS:
        if lower.endswith(f".csv{suffix}"):
            return FileFormat.CSV
    return next((kind for suffix, kind in SUFFIXES.items() if lower.endswith(suffix)), None)


def compression_of(name: str) -> str | None:
    """How a file of this name is compressed as a whole; None when it is not."""
    return next((kind for suffix, kind in COMPRESSIONS.items() if name.lower().endswith(suffix)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """What shapes a scoring besides the version and the input."""

    kind: FileFormat | None = None
    """Of what is written; None: as the first input file."""
    input_kind: FileFormat | None = None
    """Of what is read; None: as each file's name says."""
    rows_a_part: int = ROWS_A_PART
    """Rows of an input file that become one part (> 0): what is in memory at once, and what a kill can cost."""
    most_rejects_percent: float = 1.0
    """The largest share of rows that may not fit the card, in percent (0 to 100)."""
    partition: int | None = None
    """Only the input files number `partition`, `partition + partitions`, ..., counted from 0; None: all."""
    partitions: int | None = None
    keep: tuple[str, ...] | None = None
    """The input's columns that are written beside the answers; None: `id`, where the first file has it."""
    restart: bool = False
    """Throw away what an earlier run left in the output, whatever it was."""
    storage: Mapping[str, Any] = field(default_factory=dict)
    """What fsspec's file system is made with, for what the environment does not say."""

    def check(self) -> None:
        """Raise UsageError, naming the setting, for what cannot be done."""
        if self.rows_a_part < 1:
            raise UsageError("a part has at least one row", at="--rows-a-part", hint=f"{ROWS_A_PART} is usual")
        if not 0 <= self.most_rejects_percent <= 100:
            raise UsageError("a share is from 0 to 100 percent", at="--most-rejects-percent", hint="1 is usual")
        if (self.partition is None) != (self.partitions is None):
            raise UsageError(
                "a share of the files needs both its number and how many there are",
                at="--index" if self.partition is None else "--indexes",
                hint="write --index I --indexes N; in a pod of an Indexed Job JOB_COMPLETION_INDEX is the first",
            )
        if self.partition is not None and not 0 <= self.partition < (self.partitions or 0):
            raise UsageError(
                f"there is no index {self.partition} of {self.partitions}", at="--index", hint="count from 0"
            )
