"""Tables read piece by piece in the order of their rows, from CSV, Parquet and Arrow, from any row on; cells are not judged.

However large a file is, only a few pieces of it are in memory: of Parquet a buffer a column (from an object store, one row
group as it is stored), of Arrow one record batch, of CSV a few blocks of text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import IOBase
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from canario.batch.csv_rows import csv_pieces
from canario.batch.inputs import Source
from canario.batch.places import reaching
from canario.batch.settings import FileFormat
from canario.errors import InputError

pc: Any = pyarrow.compute
"""Its stubs lack what it has."""
PIECE_ROWS = 16_384
"""What is checked and answered at once: few enough to stay in the processor's cache."""
BUFFER_BYTES = 64 * 1024
"""What is read at once of one column of a Parquet file on a disk."""
ARROW_FILE = b"ARROW1"
"""How an Arrow IPC file begins; a stream begins otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which columns of a file shall be read; of these a file may lack some."""

    names: tuple[str, ...]
    categories: frozenset[str] = frozenset()
    """Those with few different words: they may come as codes with a dictionary."""
    texts: frozenset[str] = frozenset()
    """Those whose empty cells in a CSV are empty texts; in the others they are null."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a file, one after the other."""

    first_row: int
    """The place of the first one in the file, from 0."""
    batch: pa.RecordBatch
    share: float = 0.0
    """How much of the file has been read with it, about, from 0 to 1."""
    unreadable: Mapping[int, str] = field(default_factory=dict)
    """Rows, counted from the piece's first, that were not even rows, with the reason; they are null in the batch."""

    @property
    def end(self) -> int:
        """The place after the last row."""
        return self.first_row + len(self.batch)

    def part(self, first: int, end: int) -> Piece:
        """The rows of it that lie in that range of the file's rows."""
        start = max(first, self.first_row) - self.first_row
        stop = max(start, min(end, self.end) - self.first_row)
        if start == 0 and stop == len(self.batch):
            return self
        kept = {row - start: reason for row, reason in self.unreadable.items() if start <= row < stop}
        return replace(
            self, first_row=self.first_row + start, batch=self.batch.slice(start, stop - start), unreadable=kept
        )


def pieces_of(source: Source, wanted: Wanted, first_row: int = 0) -> Iterator[Piece]:
    """The rows of a file from one on, with its wanted columns.

    Columns that only the names of the file's folders give come as text. The first piece is empty, and shows the columns
    of a file without rows too. Raises InputError when the file is broken, Unavailable when it is out of reach.
    """
    with reading(source):
        match source.kind:
            case FileFormat.PARQUET:
                pieces = _parquet(source, wanted, first_row)
            case FileFormat.ARROW:
                pieces = _arrow(source, wanted)
            case FileFormat.CSV:
                pieces = _csv(source, wanted)
        for piece in pieces:
            if piece.end > first_row or not len(piece.batch):
                yield _with_folders(source, piece.part(first_row, piece.end), wanted)


@contextlib.contextmanager
def reading(source: Source) -> Iterator[None]:
    """Raise what pyarrow says of a broken file in canario's own words."""
    with reaching(source.place):
        try:
            yield
        except OSError as broken:
            if broken.errno is not None:  # the system's; pyarrow's own have none
                raise
            raise _broken(source, broken) from broken
        except (pa.ArrowException, EOFError, UnicodeDecodeError) as broken:
            raise _broken(source, broken) from broken


def _broken(source: Source, why: Exception) -> InputError:
    said = " ".join(str(why).split())[:300]
    return InputError(
        f"{source.name} can't be read as {source.kind}: {said}",
        at=source.place.url,
        hint="bring the file again, whole, and run the same command: the parts of the files before it are done",
    )


def _with_folders(source: Source, piece: Piece, wanted: Wanted) -> Piece:
    """The piece, with what the folders' names say as columns."""
    batch = piece.batch
    for name, value in source.folders.items():
        if name in wanted.names and name not in batch.schema.names:
            batch = batch.append_column(name, pa.array([value] * len(batch), type=pa.string()))
    return piece if batch is piece.batch else replace(piece, batch=batch)


def native_file(source: Source) -> Any:
    """The file as pyarrow reads it: from a disk without a word of Python between."""
    if source.place.is_local:
        return pa.OSFile(source.place.path, "rb")
    return pa.PythonFile(cast("IOBase", source.place.open()), "r")


def _parquet(source: Source, wanted: Wanted, first_row: int) -> Iterator[Piece]:
    local = source.place.is_local
    ways: dict[str, Any] = {"buffer_size": BUFFER_BYTES, "pre_buffer": False} if local else {"pre_buffer": True}
    with native_file(source) as file:
        metadata = pq.read_metadata(file)
        schema = metadata.schema.to_arrow_schema()
        coded = [name for name in wanted.categories if name in schema.names and _is_text(schema.field(name).type)]
        table = pq.ParquetFile(file, metadata=metadata, read_dictionary=coded, **ways)
        present = _chosen(source, schema, wanted)
        yield Piece(0, _plain(_empty(schema, present)))
        begins, group = 0, 0
        while group < metadata.num_row_groups and begins + metadata.row_group(group).num_rows <= first_row:
            begins += metadata.row_group(group).num_rows
            group += 1
        batches = (
            batch
            for each in range(group, metadata.num_row_groups)
            for batch in table.iter_batches(PIECE_ROWS, row_groups=[each], columns=present, use_threads=False)
        )
        for batch in _gathered(batches):
            yield Piece(begins, batch, (begins + len(batch)) / metadata.num_rows)
            begins += len(batch)


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Small batches joined, for each piece has its price; what has the size of a piece stays as it is."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if waiting and sum(map(len, waiting)) + len(batch) > PIECE_ROWS:
            yield _joined(waiting)
            waiting = []
        if len(batch):
            waiting.append(_plain(batch))
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _empty(schema: pa.Schema, names: Sequence[str]) -> pa.RecordBatch:
    fields = [schema.field(name) for name in names]
    empty: list[Any] = [pa.nulls(0, cast("Any", field_.type)) for field_ in fields]
    return pa.RecordBatch.from_arrays(empty, schema=pa.schema(fields))


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same values without runs and views: much of Arrow, such as taking some of the rows, knows neither."""
    for place, field_ in enumerate(batch.schema):
        array = _without_views(batch.column(place))
        if array.type != field_.type:
            batch = batch.set_column(place, field_.name, array)
    return batch


def _without_views(array: Any) -> Any:
    type_ = array.type
    if pa.types.is_run_end_encoded(type_):
        values = _without_views(array.values)
        return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(array.run_ends, values))
    if pa.types.is_dictionary(type_) and _is_view(type_.value_type):
        return pa.DictionaryArray.from_arrays(array.indices, _without_views(array.dictionary))
    if _is_view(type_):
        return array.cast(pa.string() if pa.types.is_string_view(type_) else pa.binary())
    return array


def _is_view(type_: pa.DataType) -> bool:
    return pa.types.is_string_view(type_) or pa.types.is_binary_view(type_)


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_)


def _arrow(source: Source, wanted: Wanted) -> Iterator[Piece]:
    with native_file(source) as file:
        is_file = file.read(len(ARROW_FILE)) == ARROW_FILE
        file.seek(0)
        batches = _arrow_batches(source, file, wanted, is_file=is_file)
        yield Piece(0, _plain(next(batches)))
        begins = 0
        for batch in _gathered(batches):
            share = file.tell() / (source.size_bytes or 1)
            for start in range(0, len(batch), PIECE_ROWS):
                yield Piece(begins + start, batch.slice(start, PIECE_ROWS), share)
            begins += len(batch)


def _arrow_batches(source: Source, file: Any, wanted: Wanted, *, is_file: bool) -> Iterator[pa.RecordBatch]:
    """An empty one that shows the columns, then those of the file."""
    opened: Any = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
    schema = opened.schema
    present = _chosen(source, schema, wanted)
    ways = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name) for name in present])
    yield _empty(schema, present)
    file.seek(0)
    opened = pa.ipc.open_file(file, options=ways) if is_file else pa.ipc.open_stream(file, options=ways)
    if is_file:
        for number in range(opened.num_record_batches):
            yield opened.get_batch(number)
    else:
        yield from _to_its_end(opened, file)


def _to_its_end(stream: Any, file: Any) -> Iterator[pa.RecordBatch]:
    """A stream's batches. One that lacks its end marker may lack any number of them, so it is taken for cut."""
    read = file.tell()
    for batch in stream:
        read = file.tell()
        yield batch
    if file.tell() == read:
        raise pa.ArrowInvalid("the stream has no end marker, so it may have been cut")


def _csv(source: Source, wanted: Wanted) -> Iterator[Piece]:
    def chosen(names: Sequence[str]) -> list[str]:
        return _chosen_names(source, names, wanted)

    opened: list[Any] = []

    def again() -> Any:
        opened.append(native_file(source))
        return opened[-1]

    begins = 0
    for batch, unreadable in csv_pieces(again, source.name, chosen, wanted.categories):
        share = opened[-1].tell() / (source.size_bytes or 1)
        whole = Piece(begins, _with_empty_texts(batch, wanted), share, unreadable)
        for start in range(begins, whole.end or 1, PIECE_ROWS):
            yield whole.part(start, start + PIECE_ROWS)
        begins = whole.end


def _with_empty_texts(batch: pa.RecordBatch, wanted: Wanted) -> pa.RecordBatch:
    for place, name in enumerate(batch.schema.names):
        if name in wanted.texts and batch.column(place).null_count:
            batch = batch.set_column(place, name, batch.column(place).fill_null(""))
    return batch


def _chosen(source: Source, schema: pa.Schema, wanted: Wanted) -> list[str]:
    return _chosen_names(source, schema.names, wanted)


def _chosen_names(source: Source, names: Sequence[str], wanted: Wanted) -> list[str]:
    """The wanted columns that a file has. Raises InputError when one of them is there twice."""
    for name in wanted.names:
        if list(names).count(name) > 1:
            raise InputError(f"{source.name} has the column {name} twice", at=source.place.url, hint="rename one")
    return [name for name in wanted.names if name in names]
