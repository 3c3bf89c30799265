"""Files of late truths as people have them: CSV with a header, lines of JSON, one JSON list; what is kept of them is not said here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, cast

import msgspec

from canario.errors import InputError, UsageError
from canario.feedback.incoming import SentTruth

Member = tuple[int, bytes | SentTruth | InputError]
"""A line's number, from 1, and what stands there."""
COLUMNS = ("prediction_id", "truth")
BLANKS = b"\xef\xbb\xbf \t\r\n"
"""The bytes of a byte order mark, which no form begins with otherwise, and blanks."""
_EXAMPLE = "prediction_id,truth"


def members(stream: BinaryIO, *, truths_are_numbers: bool) -> Iterator[Member]:
    """The truths of a file, read as it is used. Raises UsageError when it is none of the three forms.

    `truths_are_numbers`: what stands in a CSV is read as numbers, for a regression; JSON says for itself what it holds.
    """
    buffered = cast("io.BufferedReader", stream if hasattr(stream, "peek") else io.BufferedReader(stream))
    begin, first = _begin(buffered)
    if first == b"{":
        return ((number, line.strip()) for number, line in enumerate(buffered, begin) if line.strip())
    if first == b"[":
        return _list(buffered)
    return _table(buffered, begin, truths_are_numbers=truths_are_numbers)


def _begin(stream: io.BufferedReader) -> tuple[int, bytes]:
    """Skip what editors put before the content; the line that it begins in, and its first byte."""
    line = 1
    while ahead := stream.peek(1):
        blank = stream.read(len(ahead) - len(ahead.lstrip(BLANKS)))
        line += blank.count(b"\n")
        if len(blank) < len(ahead):
            break
    return line, stream.peek(1)[:1]


def _list(stream: BinaryIO) -> Iterator[Member]:
    try:
        found = msgspec.json.decode(stream.read())
    except (ValueError, RecursionError) as wrong:
        raise UsageError(
            f"this is no JSON list: {wrong}", at="FILE", hint="lines of JSON may be broken one by one"
        ) from wrong
    return ((number, msgspec.json.encode(member)) for number, member in enumerate(found, 1))


def _table(stream: BinaryIO, begin: int, *, truths_are_numbers: bool) -> Iterator[Member]:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", errors="surrogateescape")
    try:
        headings = _fields(text.readline())
    except csv.Error as wrong:
        raise UsageError(f"this is no CSV: {wrong}", at="FILE", hint=f"its first line is {_EXAMPLE}") from wrong
    missing = [name for name in COLUMNS if name not in headings]
    if missing:
        raise UsageError(
            f"the file has no column {missing[0]}",
            at="FILE",
            hint=f"the first line of a CSV names its columns, such as {_EXAMPLE}; lines of JSON and a JSON list are read too",
        )
    doubled = [name for name in COLUMNS if headings.count(name) > 1]
    if doubled:
        raise UsageError(f"the file has two columns {doubled[0]}", at="FILE", hint="keep the one that is meant")
    return _rows(text, begin + 1, headings, truths_are_numbers=truths_are_numbers)


def _fields(line: str) -> list[str]:
    """A line's fields. Each line is read by itself, or a stray quote would make one field of all the rows up to the next."""
    return next(csv.reader([line], strict=True), [])


def _rows(text: io.TextIOWrapper, begin: int, headings: list[str], *, truths_are_numbers: bool) -> Iterator[Member]:
    for number, line in enumerate(text, begin):
        try:
            fields = _fields(line)
        except csv.Error as wrong:
            yield (
                number,
                InputError(
                    f"this is no line of a CSV: {wrong}",
                    hint="a quote at a field's begin needs one at its end, in the same line",
                ),
            )
            continue
        if len(fields) > len(headings):
            yield (
                number,
                InputError("the line has more fields than the heading", hint="put a value with a comma in quotes"),
            )
        elif fields:
            yield number, _truth(dict(zip(headings, fields, strict=False)), truths_are_numbers=truths_are_numbers)
    text.detach()  # whoever opened the file closes it


def _truth(row: dict[str, str], *, truths_are_numbers: bool) -> SentTruth | InputError:
    prediction, truth = row.get("prediction_id"), row.get("truth")
    if not prediction or not truth:
        empty = "truth" if prediction else "prediction_id"
        return InputError(f"there is no {empty}", at=empty, hint="leave out the lines whose truth is not known yet")
    try:
        (prediction + truth).encode()
        return SentTruth(prediction.strip(), _number(truth) if truths_are_numbers else truth.strip())
    except UnicodeEncodeError:
        return InputError("this is not UTF-8", hint="save the file as UTF-8")
    except ValueError:
        return InputError(f"{truth[:60]!r} is no number", at="truth", hint="write it with a point, such as 1234.5")


def _number(text: str) -> float:
    """A number as other programs write it too; Python alone takes 1_000 for one. Raises ValueError."""
    if "_" in text:
        raise ValueError(text)
    return float(text)
