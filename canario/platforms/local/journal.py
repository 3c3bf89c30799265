"""The journal on disk: numbered JSON lines, appended and made durable, in segments so that it never grows without end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from canario.adapters.files import make_durable

LARGEST_SEGMENT_BYTES = 1024 * 1024
KEPT_SEGMENTS = 64


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
        """Every whole entry, oldest first; a torn last line is left out."""
        for segment in self._segments():
            try:
                content = segment.read_bytes()
            except FileNotFoundError:
                continue  # removed as the oldest while we read
            for line in content.splitlines(keepends=True):
                if line.endswith(b"\n"):
                    with contextlib.suppress(msgspec.DecodeError):
                        yield msgspec.json.decode(line, type=dict[str, Any])

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    def _repair(self) -> int:
        """Cut off what a killed writer left torn at the end; the number of the next entry."""
        self._folder.mkdir(parents=True, exist_ok=True)
        segments = self._segments()
        if not segments:
            return 1
        content = segments[-1].read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(segments[-1], len(whole))
            make_durable(segments[-1])
        if not whole:
            return int(segments[-1].stem)  # its only line was torn; its name says which number was to come
        return int(msgspec.json.decode(whole.splitlines()[-1], type=dict[str, Any])["number"]) + 1

    def _segment_for(self, number: int) -> Path:
        segments = self._segments()
        if segments and segments[-1].stat().st_size < LARGEST_SEGMENT_BYTES:
            return segments[-1]
        for oldest in segments[: max(0, len(segments) + 1 - KEPT_SEGMENTS)]:
            oldest.unlink()
        return self._folder / f"{number:010d}.jsonl"


def _write_whole(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
