"""Arrow in messages: rows to the JSON that the router takes, in parts within its limits, and its answers to one stream.

Numbers stay what they are to the last bit: JSON carries a float64 so that it reads back as the same one. Anybody may have
written a message, so each batch is validated whole before a value of it is read: broken offsets would end the process.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from canario.errors import InputError
from canario.kernel.limits import Limits

_HINT = "send an Arrow IPC stream with the card's columns: booleans, whole numbers, floats, strings"


def parts_of(body: bytes, limits: Limits) -> Iterator[tuple[int, bytes]]:
    """The rows of a stream as bodies of `POST /predict`, each with the place of its first row. Raises InputError."""
    first = 0
    for rows in _pieces(body, limits.most_rows):
        yield from _encoded(rows, first, limits.longest_body_bytes)
        first += len(rows)
    if not first:
        raise InputError("there is no row", at="body", hint="send at least one")


def answer_stream(rows: Sequence[tuple[str | float, float, str, str]]) -> bytes:
    """Label, score, prediction id and version of each row, as one Arrow stream."""
    labels, scores, predictions, versions = zip(*rows, strict=True)
    return _stream(
        {
            "label": pa.array(labels, pa.string() if isinstance(labels[0], str) else pa.float64()),
            "score": pa.array(scores, pa.float64()),
            "prediction_id": pa.array(predictions, pa.string()),
            "version": pa.array(versions, pa.string()),
        }
    )


def answer_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of any Arrow stream, as Python has them. Raises InputError."""
    return [row for piece in _pieces(body, Limits().most_rows) for row in piece]


def rows_stream(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows of equal names as one Arrow stream: a column of only whole numbers as such, one with a fraction as floats.

    Raises InputError for a column that holds neither words nor numbers, or both.
    """
    return _stream({name: _column(name, [row[name] for row in rows]) for name in rows[0]})


def _column(name: str, values: Sequence[Any]) -> pa.Array[Any]:
    try:
        return pa.array(values, _kind_of(values))
    except (pa.ArrowException, OverflowError, UnicodeError) as misfit:
        raise InputError(
            f"{name[:60]} cannot be a column of an Arrow stream: {str(misfit)[:200]}",
            at=name[:60],
            hint="give it words only, booleans only, or numbers of at most 64 bits; without --arrow each row goes as it is",
        ) from misfit


def _stream(columns: Mapping[str, pa.Array[Any]]) -> bytes:
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    written = io.BytesIO()
    with pa.ipc.new_stream(written, batch.schema) as writer:
        writer.write_batch(batch)
    return written.getvalue()


def _kind_of(values: Sequence[Any]) -> pa.DataType:
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in present):
        return pa.bool_()
    if all(isinstance(value, int) for value in present):
        return pa.int64()
    return pa.float64() if all(isinstance(value, int | float) for value in present) else pa.string()


def _pieces(body: bytes, most_rows: int) -> Iterator[list[dict[str, Any]]]:
    """The rows, at most so many at once; a batch is unpacked when its turn comes."""
    try:
        with pa.ipc.open_stream(body) as stream:
            names = _names(stream.schema)
            for batch in stream:
                batch.validate(full=True)
                for start in range(0, len(batch), most_rows):
                    piece = batch.slice(start, most_rows)
                    columns = [_values(name, piece.column(place), start) for place, name in enumerate(names)]
                    yield [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    except (pa.ArrowException, OSError, MemoryError, ValueError) as broken:
        raise InputError(f"the body is not an Arrow stream: {str(broken)[:200]}", at="body", hint=_HINT) from broken


def _names(schema: pa.Schema) -> list[str]:
    names = schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"there are two columns {twice[:60]!r}", at=twice[:60], hint="give each column once")
    for field in schema:
        if not _is_readable(field.type):
            raise InputError(f"{field.name} is of type {field.type}"[:200], at=field.name, hint=_HINT)
    return names


def _is_readable(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return types.is_string(kind.value_type) or types.is_large_string(kind.value_type)
    checks = (
        types.is_null,
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_string,
        types.is_large_string,
    )
    return any(check(kind) for check in checks)


def _values(name: str, column: pa.Array[Any], first: int) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type) and any(map(math.isinf, filter(None, values))):
        # JSON has no infinity, and null would be a guess.
        row = first + next(row for row, value in enumerate(values) if value is not None and math.isinf(value))
        raise InputError(f"{name} is infinite", at=f"rows[{row}].{name}", hint="send a finite number, or null")
    return values


def _encoded(rows: Sequence[dict[str, Any]], first: int, longest_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The rows in as few bodies as the limit allows; one row that alone is longer is for the router to refuse."""
    body = msgspec.json.encode({"rows": rows})
    if len(body) <= longest_bytes or len(rows) == 1:
        yield first, body
        return
    half = len(rows) // 2
    yield from _encoded(rows[:half], first, longest_bytes)
    yield from _encoded(rows[half:], first + half, longest_bytes)
