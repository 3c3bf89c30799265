"""Reads logs of predictions while they are written: whole lines from a place on, whatever is torn, broken or gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from canario.feedback.log import LOG_SUFFIX


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The part of a logged Prediction that a join needs; the row's own values stay as they were written."""

    prediction: str
    request: str
    row: int
    version: str
    at_seconds: float
    label: str | float
    score: float
    shadow: bool
    values: msgspec.Raw
    """JSON, `{"column": value, ...}`."""


class Reading(NamedTuple):
    """What one look at a file gave."""

    answers: list[Answered]
    offset: int
    """Where the next look begins, in bytes: after the last whole line."""
    broken: int
    """Lines that are no predictions: what a failed write left."""


_DECODER = msgspec.json.Decoder(Answered)


def log_files(folder: Path) -> Iterator[tuple[str, int]]:
    """The name and size, in bytes, of every log in a folder; none when there is no folder yet."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.name.endswith(LOG_SUFFIX):
                    yield entry.name, entry.stat().st_size


def read_answers(path: Path, offset: int, longest_bytes: int) -> Reading:
    """The whole lines from `offset` (bytes) on, about `longest_bytes` of them; a vanished file has no more lines."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            content = stream.read(longest_bytes)
            # The rest of the last line, so that a line longer than the limit can't stop the reading for ever.
            content += stream.readline()
    except FileNotFoundError:
        return Reading([], offset, 0)
    whole = content[: content.rfind(b"\n") + 1]
    try:
        return Reading(_DECODER.decode_lines(whole), offset + len(whole), 0)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answers, broken = _read_one_by_one(whole)
        return Reading(answers, offset + len(whole), broken)


def _read_one_by_one(content: bytes) -> tuple[list[Answered], int]:
    answers, broken = [], 0
    for line in content.splitlines():
        try:
            answers.append(_DECODER.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            broken += 1
    return answers, broken
