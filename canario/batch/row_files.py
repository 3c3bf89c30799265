"""The rows of one small file, JSON, lines of JSON or CSV, as a kernel takes them; tables in parts are for `reading`."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec
import numpy as np

from canario.errors import InputError
from canario.kernel.checks import describe
from canario.kernel.kernel import Columns
from canario.kernel.rows import RowsCodec, reason_and_place
from canario.model.card import Card, ColumnKind

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FOREIGN = {b"PAR1": "Parquet", b"ARROW1": "an Arrow file", b"\xff\xff\xff\xff": "an Arrow stream", b"\x1f\x8b": "gzip"}
"""What other files begin with."""
_PLACE = re.compile(r"rows(?:\[(?P<row>\d+)\])?(?:\.(?P<column>.*))?", re.DOTALL)


def columns_of_file(card: Card, codec: RowsCodec, content: bytes) -> Columns:
    """The columns of one row, `{"rows": [...]}`, a JSON list, lines of JSON, or a CSV with a heading; found by its beginning.

    Raises InputError with the row's number, from 1, and the column of the first value that does not fit.
    """
    content = content.removeprefix(BYTE_ORDER_MARK)
    begin = content.lstrip()[:1]
    if not begin:
        raise InputError("the file is empty", hint=f"a row has: {', '.join(card.column_names)}")
    for beginning, kind in FOREIGN.items():
        if content.startswith(beginning):
            raise InputError(
                f"this is {kind}, and single rows come as JSON or CSV",
                hint=f"`canario score {card.name} INPUT OUTPUT` reads CSV, Parquet and Arrow",
            )
    if begin not in (b"{", b"["):
        return _csv(card, content)
    lines = [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    if begin == b"{" and len(lines) > 1 and not _what_is_broken(lines[0][1]):
        return _lines(codec, lines)
    broken = _what_is_broken(content)
    if broken:
        raise InputError(f"this is not JSON: {broken}", hint="a file holds one row, a list of rows, or one row a line")
    try:
        return codec.columns(content) if begin == b"{" else codec.listed(content)
    except InputError as misfit:
        _refuse(misfit)


def _lines(codec: RowsCodec, lines: Sequence[tuple[int, bytes]]) -> Columns:
    for number, line in lines:
        if line.strip()[:1] != b"{" or _what_is_broken(line):
            reason = _what_is_broken(line) or "it is no object"
            raise InputError(f"a line is not a row: {reason}", at=f"line {number}", hint="write one object a line")
    try:
        return codec.listed(b"[" + b",".join(line for _, line in lines) + b"]")
    except InputError as misfit:
        _refuse(misfit, [number for number, _ in lines])


def _what_is_broken(line: bytes) -> str:
    """Why a line is not JSON; empty when it is."""
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (ValueError, RecursionError) as broken:
        return reason_and_place(broken)[0]
    return ""


def _csv(card: Card, content: bytes) -> Columns:
    import pyarrow as pa
    from pyarrow import csv

    from canario.batch.checking import TableCheck
    from canario.batch.csv_rows import OPEN_QUOTE, ends_inside_a_quote

    try:
        content.decode()
    except UnicodeDecodeError as broken:
        line = content.count(b"\n", 0, broken.start) + 1
        raise InputError("this is not UTF-8", at=f"line {line}", hint="save the file as UTF-8") from broken
    heading = content.partition(b"\n")[0]
    if b";" in heading and b"," not in heading:
        raise InputError("the columns are apart by semicolons", at="line 1", hint="save the file with commas")
    try:
        table = csv.read_csv(
            io.BytesIO(content if content.endswith(b"\n") else content + b"\n"),
            read_options=csv.ReadOptions(block_size=len(content) + 2, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            # Read as they stand, as `reading` does: a guess would make numbers of what are words.
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(card.column_names, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        ).combine_chunks()
    except pa.ArrowInvalid as broken:
        raise InputError(f"this is no CSV: {broken}", hint="its first line names the columns") from broken
    if ends_inside_a_quote(content):
        raise InputError(f"this is no CSV: {OPEN_QUOTE}", hint="close the quote, or take it away")
    for place, name in enumerate(table.column_names):
        if any(column.name == name and column.kind is ColumnKind.TEXT for column in card.columns):
            cells: Any = table.column(place)
            table = table.set_column(place, name, cells.fill_null(""))
    check = TableCheck(card)
    check.check_schema(table.schema)
    if not table.num_rows:
        raise InputError("there is no row", hint="below the line that names the columns")
    fitted = check.fit(table.to_batches()[0])
    if fitted.reasons:
        name = fitted.wrong_columns[0]
        column = next(column for column in card.columns if column.name == name)
        row = int(np.argmin(fitted.fits)) + 1
        raise InputError(fitted.reasons[0], at=f"row {row}, column {name}", hint=describe(column), column=name)
    return fitted.columns


def _refuse(misfit: InputError, lines: Sequence[int] = ()) -> NoReturn:
    """Say the same with the place as people count it."""
    found = _PLACE.fullmatch(misfit.at)
    parts = [misfit.at] if misfit.at and found is None else []
    if found and found["row"]:
        parts = [f"line {lines[int(found['row'])]}" if lines else f"row {int(found['row']) + 1}"]
    column = misfit.column or (found["column"] if found else "")
    if column:
        parts = [*(part for part in parts if part != column), f"column {column}"]
    raise type(misfit)(misfit.message, at=", ".join(parts), hint=misfit.hint, column=misfit.column) from misfit
