"""Arrow in messages: whatever rows go in, the router gets the same values, in parts within its limits."""

from __future__ import annotations

import io
import json
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.errors import InputError
from canario.kernel.limits import Limits
from canario.stream.arrow import answer_rows, answer_stream, parts_of, rows_stream

VALUES = {
    "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
    "truth": st.none() | st.booleans(),
    "word": st.none() | st.text(),
}
ROWS = st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=40)
FIELDS: list[pa.Field[Any]] = [
    pa.field("number", pa.float64()),
    pa.field("whole", pa.int64()),
    pa.field("truth", pa.bool_()),
    pa.field("word", pa.string()),
]
SCHEMA = pa.schema(FIELDS)


def stream(table: pa.Table, *, compression: Literal["lz4", "zstd"] | None = None, rows_a_batch: int = 7) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)
    return sink.getvalue()


def parts(body: bytes, limits: Limits | None = None) -> list[tuple[int, list[dict[str, Any]]]]:
    return [(first, json.loads(part)["rows"]) for first, part in parts_of(body, limits or Limits())]


@given(rows=ROWS, most_rows=st.integers(1, 50), longest_body_bytes=st.integers(60, 2000))
def test_rows_reach_the_router_as_they_were(
    rows: list[dict[str, Any]], most_rows: int, longest_body_bytes: int
) -> None:
    """Every value arrives, in order, to the last bit; a part has no more rows, and but for single rows no more bytes, than allowed."""
    body = stream(pa.Table.from_pylist(rows, schema=SCHEMA))
    limits = Limits(most_rows=most_rows, longest_body_bytes=longest_body_bytes)
    found = list(parts_of(body, limits))
    sent = [json.loads(part)["rows"] for _, part in found]
    assert [row for part in sent for row in part] == rows
    assert [first for first, _ in found] == [sum(map(len, sent[:place])) for place in range(len(sent))]
    assert all(len(part) <= most_rows for part in sent)
    assert all(len(part) <= longest_body_bytes or len(rows) == 1 for (_, part), rows in zip(found, sent, strict=True))


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_what_others_write_is_read(compression: Literal["lz4", "zstd"] | None) -> None:
    """Compressed bodies, small types and large strings are rows too; a missing number is null."""
    table = pa.table(
        {
            "word": pa.array(["a", "b", "a" * 500]),
            "large": pa.array(["x", None, "z"], pa.large_string()),
            "half": pa.array([0.5, float("nan"), None], pa.float32()),
            "small": pa.array([1, 2, 3], pa.int8()),
            "nothing": pa.nulls(3),
            "coded": pa.array(["x", None, "x"]).dictionary_encode(),
        }
    )
    ((first, rows),) = parts(stream(table, compression=compression))
    assert first == 0
    assert rows == [
        {"word": "a", "large": "x", "half": 0.5, "small": 1, "nothing": None, "coded": "x"},
        {"word": "b", "large": None, "half": None, "small": 2, "nothing": None, "coded": None},
        {"word": "a" * 500, "large": "z", "half": None, "small": 3, "nothing": None, "coded": "x"},
    ]


BROKEN = {
    "nothing": b"",
    "text": b"this is no Arrow stream",
    "cut": stream(pa.table({"a": [1.0, 2.0]}))[:-40],
    "file": b"ARROW1\0\0",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_stream_is_refused(name: str) -> None:
    """A body that is no Arrow stream, or not a whole one, is an error that says so."""
    with pytest.raises(InputError, match="not an Arrow stream"):
        parts(BROKEN[name])


@settings(max_examples=2000, deadline=None)
@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=3))
def test_no_bytes_do_harm(noise: bytes, changes: list[tuple[int, int]]) -> None:
    """Whatever arrives is rows or an InputError, and never the worker's end: noise, and a stream with bytes that were changed."""
    table = pa.table({"a": [1.0, None], "b": ["x", "y"], "c": pa.array(["u", "v"]).dictionary_encode()})
    body = bytearray(stream(table))
    for place, byte in changes:
        body[place % len(body)] = byte
    for each in (noise, bytes(body)):
        try:
            parts(each)
        except InputError:
            continue


WRONG = {
    "no row": (pa.table({"a": pa.array([], pa.float64())}), "no row", "body"),
    "infinite": (pa.table({"a": [1.0, float("inf")]}), "a is infinite", "rows[1].a"),
    "bytes": (pa.table({"a": [b"x"]}), "a is of type binary", "a"),
    "a dictionary of times": (
        pa.table({"a": pa.array([1], pa.timestamp("us")).dictionary_encode()}),
        "a is of type dictionary",
        "a",
    ),
    "a list": (pa.table({"a": [[1.0]]}), "a is of type list", "a"),
    "a time": (pa.table({"a": pa.array([1], pa.timestamp("us"))}), "a is of type timestamp", "a"),
    "twice": (pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], ["a", "a"]), "two columns", "a"),
}


@pytest.mark.parametrize("name", WRONG)
def test_columns_that_json_cannot_carry_are_refused(name: str) -> None:
    """What would have to be guessed is refused, with the column and how to send it."""
    table, reason, at = WRONG[name]
    with pytest.raises(InputError, match=reason) as wrong:
        parts(stream(table))
    assert wrong.value.at == at
    assert wrong.value.hint


ANSWERS = st.tuples(st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.text())


@given(st.lists(ANSWERS, min_size=1))
def test_answers_read_back_as_they_were_given(rows: list[tuple[str, float, str, str]]) -> None:
    """Label, score, prediction id and version, for pyarrow and for our own readers, bit by bit."""
    body = answer_stream(rows)
    names = ("label", "score", "prediction_id", "version")
    expected = [dict(zip(names, row, strict=True)) for row in rows]
    assert pa.ipc.open_stream(body).read_all().to_pylist() == expected
    assert answer_rows(body) == expected


def test_a_regressions_labels_are_numbers() -> None:
    """The value that a regression answers is a float64 column, not words."""
    body = answer_stream([(0.1, 0.1, "v1.a.0", "v1"), (1 / 3, 1 / 3, "v1.a.1", "v1")])
    assert pa.ipc.open_stream(body).read_all()["label"].to_pylist() == [0.1, 1 / 3]


def test_rows_of_a_person_become_columns() -> None:
    """Whole numbers stay whole, a column with a fraction is of floats, null is null, everywhere."""
    body = rows_stream([{"a": 1, "b": 1, "c": None, "d": True}, {"a": 2, "b": 0.5, "c": "x", "d": None}])
    table = pa.ipc.open_stream(body).read_all()
    assert table.to_pylist() == [{"a": 1, "b": 1.0, "c": None, "d": True}, {"a": 2, "b": 0.5, "c": "x", "d": None}]
    assert table.schema.field("a").type == pa.int64()


MISFITS: dict[str, list[Any]] = {
    "words and numbers": [1, "fast"],
    "lists": [[1.0], [2.0]],
    "more than 64 bits": [1, 2**64],
    "half a character": ["\udcff", "x"],
    "booleans and numbers": [True, "x"],
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_column_of_no_one_kind_is_refused_by_its_name(name: str) -> None:
    """What cannot be a column is an error that names it and says what to do."""
    with pytest.raises(InputError, match="rate cannot be a column") as refused:
        rows_stream([{"age": 1, "rate": value} for value in MISFITS[name]])
    assert refused.value.at == "rate"
    assert refused.value.hint
