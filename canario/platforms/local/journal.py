"""The journal on disk: numbered JSON lines, appended and made durable, in segments so that it never grows without end."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from canario.adapters.files import make_durable
from canario.errors import IntegrityError

LARGEST_SEGMENT_BYTES = 1024 * 1024
KEPT_SEGMENTS = 64


_log = logging.getLogger(__name__)


class _Numbered(msgspec.Struct):
    """What every entry has."""

    number: int


class FileJournal:
    """As canario.ports.rollout.Journal wants it; each entry gets a `number`, one more than the last.

    One writer at a time: the supervisor, or whoever holds its lock. Anyone may read at any moment. The files are named by
    their first entry's number; the oldest are removed once there are more than KEPT_SEGMENTS.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next_number: int | None = None

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one entry durably before it returns."""
        if self._next_number is None:
            self._next_number = self._repair()
        segment = self._segment_for(self._next_number)
        line = msgspec.json.encode({**entry, "number": self._next_number}) + b"\n"
        descriptor = os.open(segment, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            start = os.lseek(descriptor, 0, os.SEEK_END)
            try:
                _write_whole(descriptor, line)
                os.fsync(descriptor)
            except OSError:
                # A full disk must not leave half a line in front of the next entry.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, start)
                raise
        finally:
            os.close(descriptor)
        if start == 0:
            make_durable(self._folder)
        self._next_number += 1

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """Every whole entry, oldest first; a torn last line is left out. Raises IntegrityError at anything else that is not whole."""
        segments = self._segments()
        for segment in segments:
            try:
                content = segment.read_bytes()
            except FileNotFoundError:
                continue  # removed as the oldest while we read
            *lines, rest = content.split(b"\n")
            if rest and segment != segments[-1]:
                lines.append(rest)  # a writer mends the end before it begins another file, so this was cut later
            for number, line in enumerate(lines, start=1):
                try:
                    yield msgspec.json.decode(line, type=dict[str, Any])
                except msgspec.DecodeError as broken:
                    raise IntegrityError(
                        f"this line of the journal is not what was written: {broken}", at=f"{segment}:{number}"
                    ) from broken

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    def _repair(self) -> int:
        """Cut off what a killed writer left torn at the end, put aside what is damaged there; the number of the next entry."""
        self._folder.mkdir(parents=True, exist_ok=True)
        segments = self._segments()
        if not segments:
            return 1
        last = segments[-1]
        content = last.read_bytes()
        lines = content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]
        damaged: list[bytes] = []
        while lines and _number_of(lines[-1]) is None:
            damaged.insert(0, lines.pop())
        if damaged:
            aside = last.with_suffix(".damaged")
            _log.warning("the last %d lines of %s are damaged; they are put aside in %s", len(damaged), last, aside)
            with aside.open("ab") as stream:
                stream.write(_joined(damaged))
            make_durable(aside)
        whole = _joined(lines)
        if len(whole) < len(content):
            os.truncate(last, len(whole))
            make_durable(last)
        # Without a whole line the file's name says which number was to come.
        before = _number_of(lines[-1]) if lines else int(last.stem) - 1
        return (before or 0) + len(damaged) + 1

    def _segment_for(self, number: int) -> Path:
        segments = self._segments()
        if segments and segments[-1].stat().st_size < LARGEST_SEGMENT_BYTES:
            return segments[-1]
        for oldest in segments[: max(0, len(segments) + 1 - KEPT_SEGMENTS)]:
            oldest.unlink()
        return self._folder / f"{number:010d}.jsonl"


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _number_of(line: bytes) -> int | None:
    """The number of an entry; None of what is none."""
    try:
        return msgspec.json.decode(line, type=_Numbered).number
    except msgspec.DecodeError:
        return None


def _write_whole(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
