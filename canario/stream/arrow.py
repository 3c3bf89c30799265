"""Arrow in messages: rows to the JSON that the router takes, in parts within its limits, and its answers to one stream.

Numbers stay what they are to the last bit: JSON carries a float64 so that it reads back as the same one.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import nanoarrow
from nanoarrow.ipc import StreamWriter

from canario.errors import InputError
from canario.kernel.limits import Limits

_NUMBERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_FLOATS = ("HALF_FLOAT", "FLOAT", "DOUBLE")
_READABLE = ("NULL", "BOOL", "STRING", "LARGE_STRING", *_NUMBERS, *_FLOATS)
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
    label = nanoarrow.string() if isinstance(labels[0], str) else nanoarrow.float64()
    text, number = nanoarrow.string(), nanoarrow.float64()
    kinds = {"label": label, "score": number, "prediction_id": text, "version": text}
    columns = (labels, scores, predictions, versions)
    batch = nanoarrow.c_array_from_buffers(
        nanoarrow.struct(kinds),
        len(rows),
        [None],
        children=[nanoarrow.c_array(list(values), kind) for values, kind in zip(columns, kinds.values(), strict=True)],
    )
    stream = io.BytesIO()
    with StreamWriter.from_writable(stream) as writer:
        writer.write_array(batch)
    return stream.getvalue()


def answer_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of any Arrow stream, as Python has them. Raises InputError."""
    return [row for piece in _pieces(body, Limits().most_rows) for row in piece]


def rows_stream(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows of equal names as one Arrow stream: a column of only whole numbers as such, one with a fraction as floats."""
    kinds = {name: _kind_of([row[name] for row in rows]) for name in rows[0]}
    batch = nanoarrow.c_array_from_buffers(
        nanoarrow.struct(kinds),
        len(rows),
        [None],
        children=[nanoarrow.c_array([row[name] for row in rows], kind) for name, kind in kinds.items()],
    )
    stream = io.BytesIO()
    with StreamWriter.from_writable(stream) as writer:
        writer.write_array(batch)
    return stream.getvalue()


def _kind_of(values: Sequence[Any]) -> Any:
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in present):
        return nanoarrow.bool_()
    if all(isinstance(value, int) for value in present):
        return nanoarrow.int64()
    return nanoarrow.float64() if all(isinstance(value, int | float) for value in present) else nanoarrow.string()


def _pieces(body: bytes, most_rows: int) -> Iterator[list[dict[str, Any]]]:
    """The rows, at most so many at once; a batch is unpacked when its turn comes."""
    try:
        with nanoarrow.ArrayStream.from_readable(body) as stream:
            names = _names(stream.schema)
            for batch in stream.iter_chunks():
                columns = [_values(name, batch.child(place)) for place, name in enumerate(names)]
                rows = zip(*columns, strict=True)
                while piece := [dict(zip(names, row, strict=True)) for row in itertools.islice(rows, most_rows)]:
                    yield piece
    except (ValueError, RuntimeError, NotImplementedError, OSError, MemoryError) as broken:
        # nanoarrow's own error is a RuntimeError.
        raise InputError(f"the body is not an Arrow stream: {str(broken)[:200]}", at="body", hint=_HINT) from broken


def _names(schema: Any) -> list[str]:
    if schema.type.name != "STRUCT":
        raise InputError(f"the body has no columns but {schema.type.name.lower()}", at="body", hint=_HINT)
    names = [field.name or "" for field in schema.fields]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"there are two columns {twice[:60]!r}", at=twice[:60], hint="give each column once")
    for field in schema.fields:
        if field.type.name == "DICTIONARY":
            # nanoarrow 0.9 takes a compressed dictionary's bytes for words: garbage, and not always an error.
            raise InputError(
                f"{field.name} is encoded with a dictionary", at=field.name, hint="send its words as strings"
            )
        if field.type.name not in _READABLE:
            raise InputError(f"{field.name} is of type {field.type.name.lower()}", at=field.name, hint=_HINT)
    return names


def _values(name: str, column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if column.schema.type.name in _FLOATS and any(map(math.isinf, filter(None, values))):
        # JSON has no infinity, and null would be a guess.
        row = next(row for row, value in enumerate(values) if value is not None and math.isinf(value))
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
