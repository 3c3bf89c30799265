"""Tables as the bytes of a file: the same rows give the same bytes, in however many pieces they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from canario.batch.settings import FileFormat
from canario.errors import InputError

ROW = "row"
"""The column of the rows' places: it only rises, so Parquet keeps it in a few bytes, and readers may look for ranges."""


def bytes_of(batches: Sequence[pa.RecordBatch], kind: FileFormat) -> memoryview:
    """Rows as one file: in Parquet one row group, in Arrow one record batch, in CSV text with a heading."""
    # Where one piece ended and the next began must not be seen in the file: another run may cut elsewhere.
    table = pa.Table.from_batches(list(batches)).combine_chunks()
    sink = pa.BufferOutputStream()
    match kind:
        case FileFormat.PARQUET:
            _write_parquet(table, sink)
        case FileFormat.ARROW:
            # It writes buffers as they lie, with what stands around a slice and under a null: a copy has nothing there.
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table.take(np.arange(len(table))))
        case FileFormat.CSV:
            csv.write_csv(_utf8(table), sink, csv.WriteOptions(batch_size=max(1, len(table))))
    return memoryview(sink.getvalue())


def check_writable(schema: pa.Schema, kind: FileFormat, file: str) -> None:
    """Raise InputError, naming all, for columns of an input that a format cannot hold; found by writing a row of each."""
    wrong = [f"{field.name} is {field.type}" for field in schema if not _is_writable(field.type, kind)]
    if wrong:
        raise InputError(
            f"{file}: {', '.join(wrong)}, which cannot be written as {kind}",
            at=file,
            hint="leave its --keep out, or choose another --format: arrow holds nearly every type",
        )


def _is_writable(type_: pa.DataType, kind: FileFormat) -> bool:
    batch: Any = pa.RecordBatch.from_arrays([pa.nulls(2, cast("Any", type_))], ["column"])
    try:
        bytes_of([batch.take(pa.array([0]))], kind)
    except pa.ArrowException:
        return False
    return True


def _utf8(table: pa.Table) -> pa.Table:
    """With texts that are UTF-8, as a CSV has to be: other bytes are shown as backslash, x and their hex."""
    for place, field in enumerate(table.schema):
        column: Any = table.column(place)
        if pa.types.is_fixed_size_binary(field.type):
            column = column.cast(pa.binary())
        if _is_text(field.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            table = table.set_column(place, field.name, _texts(column))
    return table


def _texts(column: Any) -> Any:
    try:
        texts = column.cast(pa.large_string())
        texts.validate(full=True)
    except pa.ArrowInvalid:
        contents = column.cast(pa.large_binary()).to_pylist()
        shown = [None if content is None else content.decode(errors="backslashreplace") for content in contents]
        texts = pa.chunked_array([pa.array(shown, pa.large_string())])
    return texts


def _write_parquet(table: pa.Table, sink: Any) -> None:
    """Codes for words only: a score is nearly never there twice, and looking for it again costs more than writing it."""
    words: Any = [field.name for field in table.schema if pa.types.is_dictionary(field.type) or _is_text(field.type)]
    pq.write_table(
        table,
        sink,
        row_group_size=max(1, len(table)),
        use_dictionary=words,
        column_encoding={ROW: "DELTA_BINARY_PACKED"},
        write_statistics=[ROW],
    )


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_)
