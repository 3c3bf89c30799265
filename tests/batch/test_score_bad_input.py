"""Files that are broken, and disks that are full: a clear error that says what to do, and nothing lost."""

from __future__ import annotations

import csv
import gzip
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from canario.batch import csv_rows
from canario.batch.loading import LoadedVersion
from canario.batch.running import score
from canario.batch.settings import ScoreSettings
from canario.errors import CanarioError, InputError, NotFound, UsageError
from tests.batch.scored import bytes_of, customers, read, write

SMALL = ScoreSettings(rows_a_part=700, most_rejects_percent=100)
PROGRAM = "from canario.cli.main import main; main()"


def refused(shop: LoadedVersion, path: Path, output: Path, kind: type[CanarioError] = InputError) -> CanarioError:
    """The error of a scoring; whatever it is, the output is not taken for a whole one."""
    with pytest.raises(kind) as wrong:
        score(shop, str(path), str(output), SMALL)
    assert not (output / "_SUCCESS").exists()
    assert wrong.value.hint
    return wrong.value


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows", "csv.gz"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_a_cut_file_is_told(suffix: str, share: float, shop: LoadedVersion, tmp_path: Path) -> None:
    """A file whose end is missing is never scored as if it were whole; the files before it are done."""
    write(customers(1000), tmp_path / "in/0.csv")
    path = write(customers(3000, seed=2), tmp_path / f"in/1.{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    error = refused(shop, tmp_path / "in", tmp_path / "out")
    assert f"1.{suffix} can't be read as" in str(error)
    assert read(tmp_path / "out")["file"].tolist()[:1000] == ["0.csv"] * 1000
    shutil.rmtree(tmp_path / "out")
    path.write_bytes(whole)
    score(shop, str(tmp_path / "in"), str(tmp_path / "out"), SMALL)
    assert len(read(tmp_path / "out")) == 4000


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pyarrow's own word about such a line
@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "csv.gz"])
def test_noise_and_nothing_are_no_tables(suffix: str, shop: LoadedVersion, tmp_path: Path) -> None:
    """An empty file and random bytes are refused by name, whatever they are called."""
    path = tmp_path / f"in.{suffix}"
    path.touch()
    assert f"in.{suffix} is empty" in str(refused(shop, path, tmp_path / "out"))
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    assert f"in.{suffix}" in str(refused(shop, path, tmp_path / "out"))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_all_wrong_columns_are_named_at_once(suffix: str, shop: LoadedVersion, tmp_path: Path) -> None:
    """Columns that are missing cost one attempt, not one each."""
    path = write(customers(50).drop(columns=["age", "note"]), tmp_path / f"in.{suffix}")
    error = refused(shop, path, tmp_path / "out")
    assert f"in.{suffix}: " in str(error)
    assert "there is no column age, note" in str(error)


def test_wrong_types_are_named(shop: LoadedVersion, tmp_path: Path) -> None:
    """A column that can hold no value of its kind refuses the file, not each of its rows."""
    rows = customers(50).assign(age=pd.Timestamp("2026-01-01"), country=7)
    error = refused(shop, write(rows, tmp_path / "in.parquet"), tmp_path / "out")
    assert "age is a integer, which cannot be read from timestamp" in str(error).replace("an integer", "a integer")
    assert "country is a category" in str(error)


def test_kept_columns_must_be_there(shop: LoadedVersion, tmp_path: Path) -> None:
    """What shall be written beside the answers is looked for before anything is answered."""
    path = write(customers(50), tmp_path / "in.csv")
    with pytest.raises(InputError, match="has no column payment, which shall be kept"):
        score(shop, str(path), str(tmp_path / "out"), ScoreSettings(keep=("payment",)))


def test_what_is_kept_unasked_is_told_as_that(shop: LoadedVersion, tmp_path: Path) -> None:
    """Nobody is told to leave out what they never gave."""
    write(customers(5), tmp_path / "in/0.csv")
    write(customers(5).drop(columns="id"), tmp_path / "in/1.csv")
    error = refused(shop, tmp_path / "in", tmp_path / "out")
    assert "1.csv has no column id, which shall be kept" in str(error)
    assert "leave its --keep out" not in error.hint
    assert "the first file has it" in error.hint


def test_two_kept_columns_are_never_one(shop: LoadedVersion, tmp_path: Path) -> None:
    """A column that would take another's name is refused before anything is written; the same one twice is kept once."""
    path = write(customers(5).assign(row=10, **{"input.row": 20}), tmp_path / "in.parquet")
    with pytest.raises(UsageError, match=r"row and input\.row would both be called input\.row"):
        score(shop, str(path), str(tmp_path / "out"), ScoreSettings(keep=("row", "input.row")))
    assert not (tmp_path / "out").exists()
    score(shop, str(path), str(tmp_path / "out"), ScoreSettings(keep=("id", "row", "id")))
    assert read(tmp_path / "out").columns.tolist()[:2] == ["id", "input.row"]


@pytest.mark.parametrize("lost", [1, 8, 2000])
def test_a_stream_that_was_cut_between_its_batches_is_told(lost: int, shop: LoadedVersion, tmp_path: Path) -> None:
    """Without its end marker a stream may have lost any number of rows."""
    path = write(customers(3000), tmp_path / "in.arrows")
    content = path.read_bytes()
    if lost == 2000:  # a whole batch
        write(customers(3000)[:2500], tmp_path / "short.arrows")
        lost = len(content) - len((tmp_path / "short.arrows").read_bytes()) + 8
    path.write_bytes(content[:-lost])
    assert "in.arrows can't be read as arrow" in str(refused(shop, path, tmp_path / "out"))
    for rows in (customers(0), customers(3000)):
        score(shop, str(write(rows, path)), str(tmp_path / f"whole{len(rows)}"), SMALL)
    path.write_bytes(path.read_bytes()[:-4])
    refused(shop, path, tmp_path / "cut")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_a_table_without_rows_is_no_error(suffix: str, shop: LoadedVersion, tmp_path: Path) -> None:
    """A day on which nothing happened is done, with no part; its columns must be right all the same."""
    path = write(customers(5)[:0], tmp_path / f"in.{suffix}")
    manifest = score(shop, str(path), str(tmp_path / "out"), SMALL)
    assert (manifest.rows, manifest.parts) == (0, ())
    assert (tmp_path / "out/_SUCCESS").exists()
    write(customers(5)[:0].drop(columns=["age"]), path)
    assert "there is no column age" in str(refused(shop, path, tmp_path / "other"))


def test_text_that_is_not_utf8_is_told(shop: LoadedVersion, tmp_path: Path) -> None:
    """Latin-1 is not guessed at."""
    path = write(customers(50), tmp_path / "in.csv")
    path.write_bytes(path.read_bytes().replace("olá".encode(), "olá".encode("latin-1")))
    assert "UTF8" in str(refused(shop, path, tmp_path / "out"))


def test_a_line_that_never_ends_is_told(shop: LoadedVersion, tmp_path: Path) -> None:
    """A quote that nobody closes does not fill the memory."""
    path = write(customers(60_000), tmp_path / "in.csv")
    content = path.read_text().splitlines()
    content[10] = content[10].replace('"c000009"', '"c000009')
    path.write_text("\n".join(content).replace('"', "").replace("c000009", '"c000009', 1))
    assert "in.csv can't be read as csv" in str(refused(shop, path, tmp_path / "out"))


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
@pytest.mark.parametrize("row", [899, 997, 999])
def test_a_csv_that_ends_inside_a_quote_is_told(row: int, suffix: str, shop: LoadedVersion, tmp_path: Path) -> None:
    """A stray quote that nobody closes swallows no row without a word, wherever it stands."""
    rows = customers(1000)[["amount", "age", "member", "country", "distance", "visits", "referrer", "id", "note"]]
    rows["note"] = "hello"
    lines = rows.to_csv(index=False).splitlines()[1:]
    lines[row] = lines[row].rpartition(",")[0] + ',"first visit'
    for ending in ("", "\n", "\r\n"):
        content = "\n".join([",".join(rows.columns), *lines]) + ending
        path = tmp_path / f"in.{suffix}"
        path.write_bytes(gzip.compress(content.encode()) if suffix.endswith("gz") else content.encode())
        error = refused(shop, path, tmp_path / f"out{len(ending)}")
        assert f"in.{suffix} can't be read as csv: it ends inside a quoted cell" in str(error)


def test_quotes_that_are_closed_are_no_harm(shop: LoadedVersion, tmp_path: Path) -> None:
    """A last cell in quotes, doubled quotes, and line ends in quotes are cells like others."""
    rows = customers(4).assign(note=["a", 'b"', '"', "c\nd"])
    path = tmp_path / "in.csv"
    rows.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    for ending in ("", "\n", "\n\n"):
        path.write_text(path.read_text().rstrip("\n") + ending)
        score(shop, str(path), str(tmp_path / f"out{len(ending)}"), SMALL)
        assert read(tmp_path / f"out{len(ending)}")["id"].tolist() == rows["id"].tolist()


@pytest.mark.parametrize("columns", [1, 3])
def test_a_file_ends_where_it_ends(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a file is cut into blocks, and whether or not its last line ends, it has its rows and no other."""
    lines = [",".join([f"{row:05d}"] * columns) for row in range(40)]
    heading = ",".join("abc"[:columns])
    for block in range(80, 140):
        monkeypatch.setattr(csv_rows, "BLOCK_BYTES", block)
        for ending in ("", "\n"):
            content = "\n".join([heading, *lines]) + ending
            pieces = list(read_csv(content))
            assert [cell for batch, _ in pieces for cell in batch.column(0).to_pylist()] == [row[:5] for row in lines]
            assert not any(unreadable for _, unreadable in pieces)
        with pytest.raises(pa.ArrowInvalid, match="ends inside a quoted cell"):
            list(read_csv("\n".join([heading, *lines[:-1], lines[-1][:-5] + '"1'])))
    assert [len(batch) for batch, _ in read_csv(heading)] == [0, 0]


def read_csv(content: str) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
    """A CSV that lies in memory, piece by piece."""
    return csv_rows.csv_pieces(lambda: pa.BufferReader(content.encode()), "in.csv", list, ())


def test_places_that_cannot_be_are_refused_first(shop: LoadedVersion, tmp_path: Path) -> None:
    """No such input, names that say nothing, unknown stores, an output inside the input."""
    write(customers(5), tmp_path / "in/0.csv")
    refused(shop, tmp_path / "nothing.csv", tmp_path / "out", NotFound)
    (tmp_path / "empty").mkdir()
    assert "no file to score" in str(refused(shop, tmp_path / "empty", tmp_path / "out", NotFound))
    with pytest.raises(UsageError, match="no place"):
        score(shop, "nowhere://x/y.csv", str(tmp_path / "out"), SMALL)
    with pytest.raises(UsageError, match="lies inside the input"):
        score(shop, str(tmp_path / "in"), str(tmp_path / "in/out"), SMALL)
    (tmp_path / "in/readme.txt").write_text("hello")
    assert "readme.txt" in str(refused(shop, tmp_path / "in", tmp_path / "out", UsageError))


def program(words: list[str], home: Path, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    """`canario score` as a program."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "score", "shop", *words],
        env={**os.environ, "CANARIO_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
    )


def limited(largest_bytes: int) -> Callable[[], None]:
    """What sets the largest file that a program may write, as a quota would."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_bytes, largest_bytes))


def test_a_file_that_may_not_grow_stops_the_job(shop_folder: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """Where the system refuses more bytes the job says so, leaves no broken part, and goes on once there is room."""
    path = write(customers(5000), tmp_path / "in.parquet")
    words = [str(path), str(tmp_path / "out"), "--version-folder", str(shop_folder), "--rows-a-part", "2000"]
    full = program(words, tmp_path, limited(20_000))
    assert full.returncode == 1
    assert "error: there is no room left" in full.stderr
    assert "the same command goes on from there" in full.stderr
    assert not list((tmp_path / "out").glob("*part*"))
    assert program(words, tmp_path).returncode == 0
    score(shop, str(path), str(tmp_path / "fresh"), ScoreSettings(rows_a_part=2000))
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "fresh")


def test_a_full_disk_stops_the_job(shop_folder: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """A real disk of 300 kB fills up in the middle; with more room the same command comes to the same bytes."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a disk that may be filled needs a mount, which this user may not make")
    path = write(customers(20_000), tmp_path / "in.parquet")
    (tmp_path / "disk").mkdir()
    words = f"score shop {path} {tmp_path}/disk/out --version-folder {shop_folder} --rows-a-part 2000 --format parquet"
    script = f"""
        mount -t tmpfs -o size=300k none {tmp_path}/disk
        {sys.executable} -c '{PROGRAM}' {words}; echo "exit $?"
        ls {tmp_path}/disk/out
        mount -o remount,size=10m {tmp_path}/disk
        {sys.executable} -c '{PROGRAM}' {words} >/dev/null; echo "exit $?"
        cp -r {tmp_path}/disk/out {tmp_path}/got
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, "CANARIO_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.split()
    assert said[:2] == ["exit", "1"], done.stderr
    assert "there is no room left" in done.stderr
    assert "part-00001.parquet" in said
    assert "_SUCCESS" not in said
    assert said[-2:] == ["exit", "0"]
    score(shop, str(path), str(tmp_path / "fresh"), ScoreSettings(rows_a_part=2000))
    assert bytes_of(tmp_path / "got") == bytes_of(tmp_path / "fresh")


def test_the_exit_code_says_whether_to_try_again(shop_folder: Path, tmp_path: Path) -> None:
    """0 done; 2 what only another input mends; 3 too many rejects: the error stands last on stderr, the hint with it."""
    there = ["--version-folder", str(shop_folder)]
    good = program([str(write(customers(200), tmp_path / "good.csv")), str(tmp_path / "1"), *there], tmp_path)
    assert good.returncode == 0
    assert "answered   200, 1 parts in" in good.stdout
    assert "200 rows" in good.stderr
    bad = write(customers(200, misfits=(1, 2, 3)), tmp_path / "bad.csv")
    rejected = program([str(bad), str(tmp_path / "2"), *there], tmp_path)
    assert rejected.returncode == 3
    assert "error: 3 of 200 rows do not fit the card: 1.5 %, and at most 1 % may" in rejected.stderr
    absent = program([str(tmp_path / "absent.csv"), str(tmp_path / "3"), *there], tmp_path)
    assert absent.returncode == 2
    assert "hint: " in absent.stderr.splitlines()[-1]
    shares = program([str(bad), str(tmp_path / "4"), *there, "--index", "1"], tmp_path)
    assert shares.returncode == 2
    assert "--indexes" in shares.stderr


def test_a_pod_learns_its_share_from_kubernetes(
    shop_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JOB_COMPLETION_INDEX is the index, where the number of indexes is given."""
    for number in range(3):
        write(customers(20, seed=number), tmp_path / f"in/{number}.csv")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--version-folder", str(shop_folder), "--indexes", "2"]
    assert program(words, tmp_path).returncode == 0
    assert set(read(tmp_path / "out/index-1")["file"]) == {"1.csv"}
