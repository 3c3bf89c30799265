"""CSV as batches of text, row by row accounted for: a line with too few or too many cells is a row that can't be read."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from io import IOBase
from typing import Any, cast

import numpy as np
import pyarrow as pa
from pyarrow import csv

from canario.batch.settings import compression_of

BLOCK_BYTES = 1024 * 1024
"""What is parsed at once; no row may be longer."""
SHOWN_CHARACTERS = 200
OPEN_QUOTE = "it ends inside a quoted cell, so rows may be missing, or be taken for a part of that cell"
MOST_WAITING = 100_000
"""Unreadable rows in a row, after which it is the file that is no table."""

Chosen = Callable[[Sequence[str]], list[str]]
"""Of a file's columns, those that shall be read."""
Opened = Callable[[], Any]
"""The file from its beginning, as pyarrow reads it."""
Ragged = deque[tuple[int, str]]
"""Rows that can't be read, by their places in the file, with the reason; in order."""


def csv_pieces(
    opened: Opened, name: str, chosen: Chosen, coded: Collection[str]
) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
    """Batches of text columns, null where a cell is empty, with the rows in them that could not be read and why.

    The columns of `coded` come as codes with a dictionary.

    These rows are in the batch too, all null, so that every row of the file has its place. Raises pyarrow's errors.
    """
    with _plain(opened, name, b"\n") as file:
        names = _reader(file, csv.ConvertOptions(), lambda _: "skip").schema.names
        present = chosen(names)
        if not present:  # whoever asks for the batch may ask the open file how far it is
            yield pa.RecordBatch.from_pylist([], schema=pa.schema([])), {}
            return
    ragged: Ragged = deque()
    end = _End(len(names))
    with _plain(opened, name, end.line) as file:
        reader = _reader(file, _as_text(present, coded), lambda row: end.note(row) or _note(row, ragged))
        begins = 0
        yield pa.RecordBatch.from_pylist([], schema=reader.schema), {}
        for batch in reader:
            # The reader parses ahead: what belongs to later batches waits.
            whole, unreadable = _in_place(batch, begins, ragged)
            yield whole, unreadable
            begins += len(whole)
        if not end.was_seen:
            raise pa.ArrowInvalid(OPEN_QUOTE)
        yield _in_place(pa.RecordBatch.from_pylist([], schema=reader.schema), begins, ragged, is_last=True)


class _End:
    """A line behind a file's last one. It comes back as a row of its own, unless a quote that nobody closes swallows it."""

    def __init__(self, columns: int) -> None:
        word = secrets.token_hex(16)
        self._text = f"{word},{word}" if columns == 1 else word  # never a row that the file could have
        self.line = f"\n{self._text}\n".encode()
        self.was_seen = False

    def note(self, row: Any) -> str:
        """What shall become of an unreadable row: `skip` when it is this one, otherwise others decide."""
        if row.text != self._text:
            return ""
        self.was_seen = True
        return "skip"


class _Tailed:
    """A file with a few bytes more, as pyarrow reads from Python's files."""

    def __init__(self, file: Any, tail: bytes) -> None:
        self._file = file
        self._tail = tail
        self._is_over = False

    @property
    def closed(self) -> bool:
        """Whether it is."""
        return bool(self._file.closed)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, size: int) -> bytes:
        """The next bytes. The tail comes with the last ones: pyarrow takes no row that lies in three blocks."""
        room = max(1, size - len(self._tail))
        pieces: list[bytes] = []
        while room and not self._is_over:
            pieces.append(self._file.read(room) or self._tail)
            room -= len(pieces[-1])
            self._is_over = pieces[-1] is self._tail
        return b"".join(pieces)


def _plain(opened: Opened, name: str, tail: bytes) -> Any:
    compression: Any = compression_of(name)
    file: Any = pa.CompressedInputStream(opened(), compression) if compression else opened()
    return pa.PythonFile(cast("IOBase", _Tailed(file, tail)), "r")


def ends_inside_a_quote(content: bytes) -> bool:
    """Whether a small CSV ends inside a quoted cell."""
    try:
        for _ in csv_pieces(lambda: pa.BufferReader(content), "", list, ()):
            pass
    except pa.ArrowException as broken:
        return OPEN_QUOTE in str(broken)
    return False


def _reader(file: Any, ways: csv.ConvertOptions, note: Any) -> csv.CSVStreamingReader:
    return csv.open_csv(
        file,
        read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
        convert_options=ways,
    )


def _as_text(present: list[str], coded: Collection[str]) -> csv.ConvertOptions:
    return csv.ConvertOptions(
        include_columns=present,
        column_types={
            name: pa.dictionary(pa.int32(), pa.string()) if name in coded else pa.string() for name in present
        },
        null_values=[""],
        strings_can_be_null=True,
    )


def _note(row: Any, ragged: Ragged) -> str:
    """Write an unreadable row down, to be passed over; beyond a number of them pyarrow shall refuse the file."""
    if len(ragged) >= MOST_WAITING:
        return "error"
    text = row.text if len(row.text) <= SHOWN_CHARACTERS else row.text[:SHOWN_CHARACTERS] + "..."
    reason = f"the row has {row.actual_columns} cells, and the heading {row.expected_columns}: {text}"
    ragged.append((row.number - 2, reason))  # pyarrow counts from 1, and the heading is one
    return "skip"


def _in_place(
    batch: pa.RecordBatch, begins: int, ragged: Ragged, *, is_last: bool = False
) -> tuple[pa.RecordBatch, dict[int, str]]:
    """The batch, with empty rows where the file has unreadable ones, and the reasons by the rows' places in the batch."""
    rows = len(batch)
    unreadable = {}
    while ragged and (is_last or ragged[0][0] < begins + rows):
        place, reason = ragged.popleft()
        unreadable[place - begins] = reason
        rows += 1
    if not unreadable:
        return batch, unreadable
    is_empty = np.zeros(rows, dtype=bool)
    is_empty[list(unreadable)] = True
    taken = np.cumsum(~is_empty) - 1
    return batch.take(pa.array(taken, mask=is_empty)), unreadable
