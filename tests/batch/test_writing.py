"""The bytes of a part: they tell of its own rows alone, in however many pieces these came."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.batch import parts
from canario.batch.loading import LoadedVersion
from canario.batch.running import score
from canario.batch.settings import FileFormat, ScoreSettings
from canario.batch.writing import bytes_of
from tests.batch.scored import bytes_of as files_of
from tests.batch.scored import customers, write

ROWS = 200


def rows_of(first: int, end: int) -> pa.RecordBatch:
    """Rows of many types, cut out of a larger batch; under a null lies a value that nobody shall see."""
    some = np.random.default_rng(1)
    is_null = some.random(ROWS) < 0.3
    return pa.RecordBatch.from_pydict(
        {
            "row": pa.array(range(ROWS), pa.int64()),
            "flag": pa.array(some.random(ROWS) < 0.5),
            "number": pa.array(some.random(ROWS), mask=is_null),
            "word": pa.array([f"secret {row}" for row in range(ROWS)], mask=is_null),
            "day": pa.array(some.integers(0, 9999, ROWS).astype(np.int32), mask=is_null).cast(pa.date32()),
            "label": pa.DictionaryArray.from_arrays(some.integers(0, 2, ROWS).astype(np.int32), pa.array(["a", "b"])),
        }
    ).slice(first, end - first)


@pytest.mark.parametrize("kind", FileFormat)
@settings(max_examples=60, deadline=None)
@given(first=st.integers(0, 150), count=st.integers(1, 50), cuts=st.sets(st.integers(1, 49), max_size=3))
def test_where_pieces_were_cut_is_not_seen(kind: FileFormat, first: int, count: int, cuts: set[int]) -> None:
    """The same rows in one piece or in several, cut out of any batch, are the same bytes."""
    edges = [first, *(first + cut for cut in sorted(cuts) if cut < count), first + count]
    alone = [rows_of(first, first + count).take(pa.array(range(count)))]
    pieces = [rows_of(begin, end) for begin, end in itertools.pairwise(edges)]
    whole = [rows_of(first, first + count)]
    assert bytes(bytes_of(pieces, kind)) == bytes(bytes_of(whole, kind)) == bytes(bytes_of(alone, kind))


def test_other_rows_do_not_leak_into_an_arrow_part() -> None:
    """Not even between the columns is there a byte of a neighbour."""
    pieces = [rows_of(10, 11)]
    assert b"secret 9" not in bytes(bytes_of(pieces, FileFormat.ARROW))
    assert b"secret 12" not in bytes(bytes_of(pieces, FileFormat.ARROW))


@pytest.mark.parametrize(("rows_a_part", "ended_at"), [(1001, 1), (601, 1), (601, 2)])
def test_a_resumed_arrow_part_is_an_undisturbed_one(
    rows_a_part: int, ended_at: int, shop: LoadedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the first run ended, each later part is cut out of other pieces, and has the same bytes."""
    path = write(customers(2006), tmp_path / "in.parquet", rows_a_group=1001)
    how = ScoreSettings(kind=FileFormat.ARROW, rows_a_part=rows_a_part, keep=("id", "visits", "member"))
    score(shop, str(path), str(tmp_path / "undisturbed"), how)
    put = parts.OutputFolder.write

    def end(self: parts.OutputFolder, number: int, chunk: parts.Chunk) -> parts.Done:
        if number == ended_at:
            raise KeyboardInterrupt
        return put(self, number, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(parts.OutputFolder, "write", end)
        with pytest.raises(KeyboardInterrupt):
            score(shop, str(path), str(tmp_path / "out"), how)
    score(shop, str(path), str(tmp_path / "out"), how)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "undisturbed")
