"""`score`: files in, files out; every row exactly once, with the answer that the version gives over any other way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

from canario.batch.loading import LoadedVersion, load_version
from canario.batch.running import Progress, score
from canario.batch.settings import FileFormat, ScoreSettings
from canario.errors import InputError, TooManyRejects, UsageError
from canario.model.card import Card, Column, ColumnKind, Label, Task
from tests.batch.scored import WRITERS, answers_of, bytes_of, customers, read, write
from tests.serving.small_versions import make_iris, make_rent, make_version

SMALL = ScoreSettings(rows_a_part=700, most_rejects_percent=100)


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gets_the_answers_of_every_other_way_in(suffix: str, shop: LoadedVersion, tmp_path: Path) -> None:
    """CSV, Parquet or Arrow: label and score are bit for bit those of a version that is asked directly."""
    rows = customers(2000)
    manifest = score(shop, str(write(rows, tmp_path / f"in.{suffix}")), str(tmp_path / "out"), SMALL)
    scored, expected = read(tmp_path / "out"), answers_of(shop, rows)
    assert scored["score"].tolist() == expected["score"].tolist()
    assert scored["label"].tolist() == expected["label"].tolist()
    assert scored["id"].tolist() == rows["id"].tolist()
    assert scored["row"].tolist() == list(range(2000))
    assert set(scored["version"]) == {"shop:v1"}
    assert (manifest.rows, manifest.answered, manifest.rejected) == (2000, 2000, 0)


@pytest.mark.parametrize("suffix", WRITERS)
def test_without_an_id_the_row_names_itself(suffix: str, shop: LoadedVersion, tmp_path: Path) -> None:
    """No column has to be kept: file and row say where an answer belongs."""
    source = write(customers(300).drop(columns=["id"]), tmp_path / f"in.{suffix}")
    score(shop, str(source), str(tmp_path / "out"), SMALL)
    assert read(tmp_path / "out").columns.tolist() == ["file", "row", "label", "score", "version"]


@pytest.mark.parametrize("kind", FileFormat)
def test_answers_come_in_the_format_that_was_asked_for(kind: FileFormat, shop: LoadedVersion, tmp_path: Path) -> None:
    """The output's format has nothing to do with the input's, and loses no bit of a score."""
    rows = customers(1000, misfits=(5, 600))
    settings = ScoreSettings(kind=kind, rows_a_part=300, most_rejects_percent=1)
    score(shop, str(write(rows, tmp_path / "in.parquet")), str(tmp_path / "out"), settings)
    expected = answers_of(shop, rows.drop([5, 600]))
    assert read(tmp_path / "out")["score"].tolist() == expected["score"].tolist()
    assert read(tmp_path / "out", "_rejects/*")["row"].tolist() == [5, 600]
    assert {path.suffix for path in (tmp_path / "out").glob("part-*")} == {f".{kind}"}


@pytest.mark.parametrize("make", [make_rent, make_iris])
def test_values_and_many_classes_are_answered_too(make: object, tmp_path: Path) -> None:
    """A regression answers numbers, and a model with three classes one of three words."""
    loaded = load_version(folder=make(tmp_path / "version"))  # type: ignore[operator]
    some = np.random.default_rng(3)
    rows = pd.DataFrame(
        {"area": some.uniform(5, 500, 500), "rooms": some.integers(1, 12, 500), "lift": some.random(500) < 0.5}
        if make is make_rent
        else {"length": some.uniform(1, 7, 500), "width": some.uniform(0, 3, 500)}
    )
    score(loaded, str(write(rows, tmp_path / "in.parquet")), str(tmp_path / "out"), SMALL)
    assert read(tmp_path / "out")["label"].tolist() == answers_of(loaded, rows)["label"].tolist()


def test_a_piece_of_rejects_alone_is_rejected_whatever_the_classes(tmp_path: Path) -> None:
    """Five classes, and pieces, parts and files in which no row fits: each row is a reject, and the others are answered."""
    card = Card(
        name="five",
        title="Which of five?",
        columns=(Column(name="x", kind=ColumnKind.NUMBER, minimum=0, maximum=10),),
        label=Label(name="kind", task=Task.CLASSIFICATION, classes=tuple("abcde")),
    )
    rows = pd.DataFrame({"x": np.random.default_rng(1).uniform(0, 10, 200)})
    truth = np.array(card.label.classes, dtype=object)[(rows["x"] // 2.001).astype(int)]
    loaded = load_version(
        folder=make_version(tmp_path / "version", card, LogisticRegression(max_iter=1000), rows, truth)
    )
    write(pd.DataFrame({"x": [99.0] * 3 + [1.0] * 4}), tmp_path / "in/0.parquet", rows_a_group=3)
    write(pd.DataFrame({"x": [99.0]}), tmp_path / "in/1.csv")
    settings = ScoreSettings(rows_a_part=3, most_rejects_percent=100)
    manifest = score(loaded, str(tmp_path / "in"), str(tmp_path / "out"), settings)
    assert (manifest.answered, manifest.rejected) == (4, 4)
    assert set(read(tmp_path / "out")["label"]) == {"a"}


def test_the_output_is_one_table(shop: LoadedVersion, tmp_path: Path) -> None:
    """Pandas reads the folder as it is: neither rejects nor the manifest are in its way."""
    rows = customers(2000, misfits=(3,))
    score(shop, str(write(rows, tmp_path / "in.parquet")), str(tmp_path / "out"), SMALL)
    table = pd.read_parquet(tmp_path / "out")
    assert table["id"].tolist() == rows["id"].drop(3).tolist()


def test_rows_that_do_not_fit_are_put_aside_with_the_reason(shop: LoadedVersion, tmp_path: Path) -> None:
    """A row is answered or rejected, never both and never neither; a reject has file, row, reason and its own cells."""
    rows = customers(1500, misfits=(0, 700, 1499))
    manifest = score(shop, str(write(rows, tmp_path / "in.parquet")), str(tmp_path / "out"), SMALL)
    rejects = read(tmp_path / "out", "_rejects/*")
    assert rejects["row"].tolist() == [0, 700, 1499]
    assert set(rejects["file"]) == {"in.parquet"}
    assert rejects["reason"][0] == "amount is 5000, which is not allowed"
    assert rejects["amount"].tolist() == [5000.0] * 3
    assert rejects["id"].tolist() == rows["id"][[0, 700, 1499]].tolist()
    answered = read(tmp_path / "out")["row"].tolist()
    assert sorted(answered + rejects["row"].tolist()) == list(range(1500))
    assert (manifest.answered, manifest.rejected) == (1497, 3)


def test_cells_that_are_no_numbers_and_lines_that_are_no_rows_are_rejects(shop: LoadedVersion, tmp_path: Path) -> None:
    """One bad line of a CSV costs that line, and each row keeps its own place in the file."""
    path = write(customers(30), tmp_path / "in.csv")
    lines = path.read_text().splitlines()
    lines[4] = lines[4].replace(lines[4].split(",")[1], "many")
    lines[10] += ",one,more"
    lines[20] = "cut"
    path.write_text("\n".join(lines))
    score(shop, str(path), str(tmp_path / "out"), ScoreSettings(rows_a_part=7, most_rejects_percent=50))
    rejects = read(tmp_path / "out", "_rejects/*")
    assert rejects["row"].tolist() == [3, 9, 19]
    assert rejects["reason"][0].startswith("amount does not fit")
    assert rejects["reason"][1].startswith("the row has 11 cells, and the heading 9: ")
    assert rejects["reason"][2] == "the row has 1 cells, and the heading 9: cut"
    scored = read(tmp_path / "out")
    assert scored["id"].tolist() == [f"c{row:06d}" for row in scored["row"]]
    assert scored["row"].tolist() == [row for row in range(30) if row not in (3, 9, 19)]


def test_too_many_rejects_stop_the_job_and_lose_nothing(shop: LoadedVersion, tmp_path: Path) -> None:
    """The limit is told with both figures; what was done stays, and a higher limit goes on from there."""
    rows = customers(3000, misfits=tuple(range(800, 860)))
    source, output = str(write(rows, tmp_path / "in.parquet")), tmp_path / "out"
    with pytest.raises(
        TooManyRejects, match=r"60 of 1,400 rows do not fit the card: 4.29 %, and at most 1 % may"
    ) as stopped:
        score(shop, source, str(output), ScoreSettings(rows_a_part=700))
    assert stopped.value.exit_code == 3
    assert "--most-rejects-percent" in stopped.value.hint
    first = bytes_of(output)["part-00000.parquet"]
    with pytest.raises(TooManyRejects):
        score(shop, source, str(output), ScoreSettings(rows_a_part=700))
    seen: list[Progress] = []
    score(shop, source, str(output), ScoreSettings(rows_a_part=700, most_rejects_percent=5), seen.append)
    assert bytes_of(output)["part-00000.parquet"] == first
    assert seen[-1].new_rows == 3000 - 1400
    score(shop, source, str(tmp_path / "fresh"), ScoreSettings(rows_a_part=700, most_rejects_percent=5))
    assert bytes_of(output) == bytes_of(tmp_path / "fresh")


def test_folders_and_patterns_are_inputs(shop: LoadedVersion, tmp_path: Path) -> None:
    """The files of a folder are scored in the order of their names; what begins with _ or . is no data."""
    for day in ("02", "01", "03"):
        write(customers(100, seed=int(day)), tmp_path / f"in/day={day}/customers.parquet")
    (tmp_path / "in/_SUCCESS").touch()
    manifest = score(shop, str(tmp_path / "in"), str(tmp_path / "out"), ScoreSettings(keep=("id", "day")))
    assert [each.path for each in manifest.inputs] == [f"day={day}/customers.parquet" for day in ("01", "02", "03")]
    scored = read(tmp_path / "out")
    assert scored["day"].tolist() == ["01"] * 100 + ["02"] * 100 + ["03"] * 100
    assert set(scored["file"]) == {each.path for each in manifest.inputs}
    some = score(shop, str(tmp_path / "in/day=0[12]/*.parquet"), str(tmp_path / "some"), SMALL)
    assert [each.rows for each in some.inputs] == [100, 100]


def test_shares_of_the_files_are_scored_apart(shop: LoadedVersion, tmp_path: Path) -> None:
    """Each index takes every N-th file into a folder of its own; together they take every row once, and more indexes than
    files do no harm.
    """
    for number in range(5):
        write(customers(50, seed=number), tmp_path / f"in/{number}.csv")
    for index in range(7):
        score(shop, str(tmp_path / "in"), str(tmp_path / "out"), ScoreSettings(partition=index, partitions=7))
    rows = [len(read(tmp_path / "out" / f"index-{index}")) for index in range(7)]
    assert rows == [50] * 5 + [0] * 2
    assert all((tmp_path / f"out/index-{index}/_SUCCESS").exists() for index in range(7))
    (tmp_path / "in/3.csv").write_text("")
    score(shop, str(tmp_path / "in"), str(tmp_path / "again"), ScoreSettings(partition=2, partitions=7))
    with pytest.raises(InputError, match=r"3.csv is empty"):
        score(shop, str(tmp_path / "in"), str(tmp_path / "again"), ScoreSettings(partition=3, partitions=7))
    with pytest.raises(UsageError, match="no index 7 of 7"):
        score(shop, str(tmp_path / "in"), str(tmp_path / "out"), ScoreSettings(partition=7, partitions=7))


def test_other_columns_are_kept_on_demand(shop: LoadedVersion, tmp_path: Path) -> None:
    """Columns of any type travel beside the answers; one that is called like an answer gets another name."""
    rows = customers(50).assign(score=range(50), when=pd.Timestamp("2026-06-30"))
    settings = ScoreSettings(keep=("score", "when", "country"))
    score(shop, str(write(rows, tmp_path / "in.parquet")), str(tmp_path / "out"), settings)
    table = pq.read_table(tmp_path / "out/part-00000.parquet")
    assert table.column_names == ["input.score", "when", "country", "file", "row", "label", "score", "version"]
    assert pa.types.is_timestamp(table.schema.field("when").type)
    assert table["input.score"].to_pylist() == list(range(50))
    assert table["country"].to_pylist() == rows["country"].tolist()


def test_it_tells_how_far_it_is(shop: LoadedVersion, tmp_path: Path) -> None:
    """Rows and bytes rise to all that there are."""
    for suffix in WRITERS:
        write(customers(40_000), tmp_path / f"in/{suffix.partition('.')[0]}-{suffix[-2:]}.{suffix}", rows_a_group=9000)
    seen: list[Progress] = []
    score(shop, str(tmp_path / "in"), str(tmp_path / "out"), SMALL, seen.append)
    assert seen[-1].rows == 200_000
    assert seen[-1].done_bytes == pytest.approx(seen[-1].total_bytes, rel=0.01)
    assert [each.done_bytes for each in seen] == sorted(each.done_bytes for each in seen)
