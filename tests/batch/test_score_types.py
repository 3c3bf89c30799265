"""Columns of every type that Arrow has: scored, kept and put aside, or refused before the first row is answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest

from canario.batch.comparing import compare
from canario.batch.loading import LoadedVersion
from canario.batch.running import score
from canario.batch.settings import FileFormat, ScoreSettings
from canario.errors import InputError
from tests.batch.scored import answers_of, customers, read, read_table

pc: Any = pyarrow.compute
ROWS = 30
MISFITS = (3, 17)
VIEWS: dict[str, Any] = {
    "view": lambda words: words.cast(pa.string_view()),
    "bytes view": lambda words: words.cast(pa.binary()).cast(pa.binary_view()),
    "runs": pc.run_end_encode,
    "runs of views": lambda words: pa.RunEndEncodedArray.from_arrays(
        pa.array(range(1, len(words) + 1), pa.int32()), words.cast(pa.string_view())
    ),
    "codes of views": lambda words: pa.DictionaryArray.from_arrays(
        words.dictionary_encode().indices, words.dictionary_encode().dictionary.cast(pa.string_view())
    ),
    "large": lambda words: words.cast(pa.large_string()),
}
"""Words, as other programs hold them."""
KEPT: dict[str, Any] = {
    "list": pa.array([[1, 2]] * ROWS),
    "struct": pa.array([{"a": 1}] * ROWS),
    "struct of a view": pa.StructArray.from_arrays([pa.array(["x"] * ROWS, pa.string_view())], ["a"]),
    "map": pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
    "list view": pa.array([[1]] * ROWS, pa.list_view(pa.int64())),
    "interval": pa.array([(1, 2, 3)] * ROWS, pa.month_day_nano_interval()),
    "bytes": pa.array([b"\xff\x00"] * ROWS),
    "fixed bytes": pa.array([b"a\xff"] * ROWS, pa.binary(2)),
    "bytes view": pa.array([b"x"] * ROWS, pa.binary_view()),
    "moment": pa.array([0] * ROWS, pa.timestamp("ns", "Europe/Lisbon")),
    "span": pa.array([1] * ROWS, pa.duration("us")),
    "nothing": pa.nulls(ROWS),
}


def table_of(**columns: Any) -> pa.Table:
    """Customers of whom two are misfits, with other columns in place of, or beside, theirs."""
    table = pa.Table.from_pandas(customers(ROWS, misfits=MISFITS), preserve_index=False)
    for name, values in columns.items():
        places = table.schema.get_all_field_indices(name)
        table = table.set_column(places[0], name, values) if places else table.append_column(name, values)
    return table


def write_arrow(table: pa.Table, path: Path) -> Path:
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=11)
    return path


@pytest.mark.parametrize("kind", FileFormat)
@pytest.mark.parametrize("how", VIEWS)
def test_words_are_words_however_they_are_held(how: str, kind: FileFormat, shop: LoadedVersion, tmp_path: Path) -> None:
    """Views, runs and codes are answered, kept and put aside as plain words are, from Arrow and in a comparison."""
    words = {
        name: VIEWS[how](table_of()[name].combine_chunks().cast(pa.string())) for name in ("id", "country", "note")
    }
    path = write_arrow(table_of(**words), tmp_path / "in.arrow")
    settings = ScoreSettings(kind=kind, rows_a_part=13, most_rejects_percent=100, keep=("id", "country"))
    score(shop, str(path), str(tmp_path / "out"), settings)
    rows = customers(ROWS).drop(list(MISFITS))
    assert read(tmp_path / "out")["score"].tolist() == answers_of(shop, rows)["score"].tolist()
    expected = [word.encode() if how == "bytes view" and kind is not FileFormat.CSV else word for word in rows["id"]]
    assert read(tmp_path / "out")["id"].tolist() == expected
    assert read(tmp_path / "out", "_rejects/*")["row"].tolist() == list(MISFITS)
    assert compare(shop, shop, str(path))[0].compared == ROWS - len(MISFITS)


@pytest.mark.parametrize("kind", FileFormat)
@pytest.mark.parametrize("what", KEPT)
def test_a_kept_column_is_written_or_refused_at_once(
    what: str, kind: FileFormat, shop: LoadedVersion, tmp_path: Path
) -> None:
    """What the output's format cannot hold is named, with its type and what to do, before any row is answered."""
    path = write_arrow(table_of(extra=KEPT[what]), tmp_path / "in.arrow")
    settings = ScoreSettings(kind=kind, keep=("extra",), most_rejects_percent=100)
    nested = ("list", "struct", "struct of a view", "map", "list view", "interval")
    refused = {
        FileFormat.CSV: nested,
        FileFormat.PARQUET: ("interval", "struct of a view"),
        FileFormat.ARROW: ("struct of a view",),
    }[kind]
    if what in refused:
        with pytest.raises(InputError, match=r"in\.arrow: extra is .*, which cannot be written as") as error:
            score(shop, str(path), str(tmp_path / "out"), settings)
        assert "--format" in error.value.hint
        assert not list((tmp_path / "out").glob("part-*"))
        return
    manifest = score(shop, str(path), str(tmp_path / "out"), settings)
    assert (manifest.answered, manifest.rejected) == (ROWS - 2, 2)


def test_bytes_that_are_no_text_are_told_in_a_csv(shop: LoadedVersion, tmp_path: Path) -> None:
    """A category that is not UTF-8 is a reject whose bytes one can read; the CSV itself is UTF-8."""
    words = [str(word).encode() for word in table_of()["country"].to_pylist()]
    words[5] = b"P\xff"
    path = tmp_path / "in.parquet"
    broken = pa.Array.from_buffers(pa.string(), ROWS, pa.array(words).buffers())
    for place, country in enumerate((pa.array(words), pa.array(words, pa.large_binary()), broken)):
        pq.write_table(table_of(country=country), path)
        settings = ScoreSettings(kind=FileFormat.CSV, most_rejects_percent=100)
        score(shop, str(path), str(tmp_path / f"out{place}"), settings)
        rejects = read_table(tmp_path / f"out{place}/_rejects/rejects-00000.csv").to_pydict()
        assert rejects["row"] == [3, 5, 17]
        assert rejects["country"][1] == "P\\xff"
        assert "it is not UTF-8" in rejects["reason"][1]
