"""Reads whole rows, with their values, from the logs of predictions; what they are counted for is for others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from canario.feedback.log import LOG_SUFFIX
from canario.feedback.reading import log_files
from canario.model.feedback import Value

LONGEST_PIECE_BYTES = 8 * 1024 * 1024


class LoggedRow(msgspec.Struct, frozen=True, gc=False):
    """The part of a logged Prediction that says what was asked and answered."""

    version: str
    at_seconds: float
    score: float
    shadow: bool
    values: dict[str, Value]


_DECODER = msgspec.json.Decoder(LoggedRow)


def answered_rows(folder: Path, version: str, since_seconds: float, until_seconds: float) -> Iterator[LoggedRow]:
    """The rows that one version answered to users in this time; copies and lines that a failed write left are passed over."""
    for name in sorted(name for name, _ in log_files(folder)):
        if version_of_log(name) != version:
            continue
        # A log may be cleared away while it is read; what was in it was old.
        with contextlib.suppress(FileNotFoundError):
            if (folder / name).stat().st_mtime < since_seconds:
                continue
            for row in _rows(folder / name):
                if not row.shadow and since_seconds <= row.at_seconds < until_seconds:
                    yield row


def version_of_log(name: str) -> str:
    """The version whose answers a log holds: `v2` for `v2-4711-1756000000000000.jsonl`."""
    return name.removesuffix(LOG_SUFFIX).rsplit("-", 2)[0]


def _rows(path: Path) -> Iterator[LoggedRow]:
    with path.open("rb") as stream:
        while lines := stream.readlines(LONGEST_PIECE_BYTES):
            for line in lines:
                with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                    yield _DECODER.decode(line)
