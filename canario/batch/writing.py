"""Tables as the bytes of a file: the same rows give the same bytes, in however many pieces they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from canario.batch.settings import FileFormat

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
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        case FileFormat.CSV:
            csv.write_csv(table, sink, csv.WriteOptions(batch_size=max(1, len(table))))
    return memoryview(sink.getvalue())


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
