"""A scoring that was ended, by anything, is gone on with: nothing lost, nothing doubled, the same bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.adapters.files import STAGING_PREFIX
from canario.batch import parts
from canario.batch.loading import LoadedVersion
from canario.batch.running import Progress, score
from canario.batch.settings import FileFormat, ScoreSettings
from canario.errors import Conflict, Unavailable
from tests.batch.scored import WRITERS, bytes_of, customers, read, write

SMALL = ScoreSettings(rows_a_part=300, most_rejects_percent=100)
PROGRAM = "from canario.cli.main import main; main()"


class Ended(Exception):
    """What ends a run in the middle."""


def end_after(calls: int) -> object:
    """A listener to progress that ends the run."""
    left = [calls]

    def tell(_: Progress) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Ended

    return tell


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a file of each kind, with misfits."""
    for place, suffix in enumerate(WRITERS):
        write(
            customers(1000, seed=place, misfits=(17, 500 + place)), tmp_path / f"in/{place}.{suffix}", rows_a_group=170
        )
    return tmp_path / "in"


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(0, 60),
    rows_a_part=st.integers(1, 70),
    misfits=st.sets(st.integers(0, 59)),
    lost=st.lists(st.integers(0, 200), max_size=3),
    kind=st.sampled_from(FileFormat),
    suffix=st.sampled_from(WRITERS),
)
def test_whatever_is_lost_comes_back_the_same(
    rows: int,
    rows_a_part: int,
    misfits: set[int],
    lost: list[int],
    kind: FileFormat,
    suffix: str,
    shop: LoadedVersion,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whichever files an ended run did not get to write, or a disk has lost, the next run's output is an undisturbed one's."""
    folder = tmp_path_factory.mktemp("resume")
    few = tuple(row for row in misfits if row < rows)
    path = write(customers(rows, misfits=few), folder / f"in.{suffix}", rows_a_group=13)
    how = ScoreSettings(rows_a_part=rows_a_part, most_rejects_percent=100, kind=kind)
    score(shop, str(path), str(folder / "undisturbed"), how)
    expected = bytes_of(folder / "undisturbed")
    rejects = read(folder / "undisturbed", "_rejects/*")
    assert sorted(rejects["row"].tolist() if len(rejects) else []) == sorted(few)

    output = folder / "out"
    _leave_as_before_its_end(shop, path, output, how)
    for place in lost:
        files = sorted(file for file in output.rglob("*") if file.is_file() and file.name != "job.json")
        if files:
            files[place % len(files)].unlink()
    score(shop, str(path), str(output), how)
    assert bytes_of(output) == expected


def test_a_run_that_was_killed_in_its_last_moment_leaves_nothing_over(
    shop: LoadedVersion, source: Path, tmp_path: Path
) -> None:
    """All was done, and what was only for going on not yet taken away: the same command does that, and changes nothing else."""
    undisturbed, output = tmp_path / "undisturbed", tmp_path / "out"
    score(shop, str(source), str(undisturbed), SMALL)
    _leave_as_before_its_end(shop, source, output, SMALL)
    left = {path: path.read_bytes() for path in (output / "_progress").iterdir()}
    score(shop, str(source), str(output), SMALL)
    (output / "_progress").mkdir()
    for path, content in left.items():
        path.write_bytes(content)
    manifest = score(shop, str(source), str(output), SMALL)
    assert manifest.rows == 1000 * len(WRITERS)
    assert bytes_of(output) == bytes_of(undisturbed)


def _leave_as_before_its_end(shop: LoadedVersion, path: Path, output: Path, how: ScoreSettings) -> None:
    """All parts and their records, as a run leaves them that is killed before it writes the manifest."""
    finish = parts.OutputFolder.finish
    try:
        parts.OutputFolder.finish = _ended  # type: ignore[method-assign, assignment]
        with pytest.raises(Ended):
            score(shop, str(path), str(output), how)
    finally:
        parts.OutputFolder.finish = finish  # type: ignore[method-assign]


def _ended(*_: object) -> None:
    raise Ended


def test_an_ended_run_is_gone_on_with(source: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """Ended again and again, it comes to the same bytes as a run that nobody disturbed."""
    score(shop, str(source), str(tmp_path / "undisturbed"), SMALL)
    ends = 0
    while not (tmp_path / "out/_SUCCESS").exists():
        with contextlib.suppress(Ended):
            score(shop, str(source), str(tmp_path / "out"), SMALL, end_after(3))  # type: ignore[arg-type]
        ends += 1
    assert ends > 3
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")


def test_what_was_done_is_not_done_again(source: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """Parts that are proved stay as they are; only the rest is answered."""
    with pytest.raises(Ended):
        score(shop, str(source), str(tmp_path / "out"), SMALL, end_after(7))  # type: ignore[arg-type]
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert len(kept) > 3
    seen: list[Progress] = []
    score(shop, str(source), str(tmp_path / "out"), SMALL, seen.append)
    assert seen[-1].new_rows < seen[-1].rows == 5000
    assert sum(path.stat().st_mtime_ns == at for path, at in kept.items()) >= len(kept) - 1


def test_a_part_that_was_changed_is_made_again(source: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """What is found is proved by its digest, not believed."""
    score(shop, str(source), str(tmp_path / "undisturbed"), SMALL)
    with pytest.raises(Ended):
        score(shop, str(source), str(tmp_path / "out"), SMALL, end_after(7))  # type: ignore[arg-type]
    (tmp_path / "out/part-00001.csv").write_text("id\nnonsense\n")
    score(shop, str(source), str(tmp_path / "out"), SMALL)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")


def test_a_done_scoring_is_not_done_again(source: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """The same command once more proves what is there, and touches nothing; a changed part is told."""
    output = tmp_path / "out"
    first = score(shop, str(source), str(output), SMALL)
    times = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    assert score(shop, str(source), str(output), SMALL) == first
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == times
    (output / "part-00002.csv").write_text("x")
    with pytest.raises(Conflict, match=r"part-00002.csv is not what was written"):
        score(shop, str(source), str(output), SMALL)
    score(shop, str(source), str(output), dataclasses.replace(SMALL, restart=True))
    assert score(shop, str(source), str(output), SMALL) == first


@pytest.mark.parametrize("is_done", [False, True])
def test_another_scoring_is_never_mixed_in(
    is_done: bool,  # noqa: FBT001 - a parameter of pytest
    source: Path,
    shop: LoadedVersion,
    tmp_path: Path,
) -> None:
    """Other settings, another input or another version in the same folder: a conflict that says which; --restart begins anew."""
    output = str(tmp_path / "out")
    if is_done:
        score(shop, str(source), output, SMALL)
    else:
        with pytest.raises(Ended):
            score(shop, str(source), output, SMALL, end_after(7))  # type: ignore[arg-type]
    with pytest.raises(Conflict, match=r"its rows_a_part is 300, and this one's 299") as conflict:
        score(shop, str(source), output, dataclasses.replace(SMALL, rows_a_part=299))
    assert "--restart" in conflict.value.hint
    before = (source / "0.csv").read_bytes()
    (source / "0.csv").write_bytes(before.replace(b"c000000", b"c999999"))
    with pytest.raises(Conflict, match=r"0\.csv"):
        score(shop, str(source), output, SMALL)
    (source / "0.csv").write_bytes(before)
    write(customers(10), source / "9.csv")
    with pytest.raises(Conflict, match=r"its input files are others: 9\.csv"):
        score(shop, str(source), output, SMALL)
    (source / "9.csv").unlink()
    score(shop, str(source), output, dataclasses.replace(SMALL, rows_a_part=299, restart=True))
    score(shop, str(source), str(tmp_path / "fresh"), dataclasses.replace(SMALL, rows_a_part=299))
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "fresh")


def test_a_folder_of_other_things_is_left_alone(source: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """Not even --restart takes away what no scoring has written, whatever it is called."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/part-00000.csv").write_text("precious")
    for restart in (False, True):
        with pytest.raises(Conflict, match="the folder is not empty"):
            score(shop, str(source), str(tmp_path / "out"), dataclasses.replace(SMALL, restart=restart))
    assert (tmp_path / "out/part-00000.csv").read_text() == "precious"


@pytest.mark.parametrize("restart", [False, True])
def test_another_programs_folder_is_left_alone(
    restart: bool,  # noqa: FBT001 - a parameter of pytest
    source: Path,
    shop: LoadedVersion,
    tmp_path: Path,
) -> None:
    """What Spark has written, with its own _SUCCESS, or a file, is a conflict that says so, and stays as it is."""
    (tmp_path / "spark").mkdir()
    (tmp_path / "spark/_SUCCESS").touch()
    (tmp_path / "file").write_text("precious")
    how = dataclasses.replace(SMALL, restart=restart)
    with pytest.raises(Conflict, match="what is in it is no scoring: _SUCCESS") as strange:
        score(shop, str(source), str(tmp_path / "spark"), how)
    assert "empty folder" in strange.value.hint
    for output in ("file", "file/below"):
        for settings_ in (how, dataclasses.replace(how, partition=0, partitions=2)):
            with pytest.raises(Conflict, match="a file lies where a folder") as conflict:
                score(shop, str(source), str(tmp_path / output), settings_)
            assert conflict.value.hint
    assert (tmp_path / "file").read_text() == "precious"


def test_two_runs_do_not_write_into_one_folder(source: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """The second is told so at once; it may be tried again."""

    def tell(_: Progress) -> None:
        with pytest.raises(Unavailable, match="another run writes into this folder"):
            score(shop, str(source), str(tmp_path / "out"), SMALL)

    score(shop, str(source), str(tmp_path / "out"), SMALL, tell)


def test_an_input_that_changes_under_its_reader_is_told(source: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """A file that is written while it is read is not taken for either of the two."""

    def tell(_: Progress) -> None:
        with (source / "0.csv").open("a") as file:
            file.write("\n")

    with pytest.raises(Conflict, match=r"0\.csv was changed while it was read"):
        score(shop, str(source), str(tmp_path / "out"), SMALL, tell)


def test_a_killed_process_is_gone_on_with(source: Path, shop_folder: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """SIGKILL at random moments: the last run's output is an undisturbed one's, and nothing else lies there.

    `benchmarks/kill_batch.py` does the same a hundred times.
    """
    score(shop, str(source), str(tmp_path / "undisturbed"), ScoreSettings(rows_a_part=40, most_rejects_percent=100))
    words = (
        "score",
        "shop",
        str(source),
        str(tmp_path / "out"),
        "--rows-a-part",
        "40",
        "--most-rejects-percent",
        "100",
    )
    command = [sys.executable, "-c", PROGRAM, *words, "--version-folder", str(shop_folder)]
    moments = random.Random(5)
    ended: list[int] = []
    while len(ended) < 20 and 0 not in ended:
        run = subprocess.Popen(
            command,
            env={**os.environ, "CANARIO_HOME": str(tmp_path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for_parts(run, tmp_path / "out", moments.randint(0, 20))
        if len(ended) < 6:
            run.send_signal(signal.SIGKILL)
        ended.append(run.wait())
    assert ended[:6] == [-signal.SIGKILL] * 6
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")
    assert not list((tmp_path / "out").rglob(f"{STAGING_PREFIX}*"))


def _wait_for_parts(run: subprocess.Popen[bytes], output: Path, more: int) -> None:
    """Until a run has written so many parts more, or has ended."""
    before = len(list(output.glob("part-*")))
    while run.poll() is None and len(list(output.glob("part-*"))) < before + more:
        time.sleep(0.001)
