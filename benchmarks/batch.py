"""How much of a kernel's speed is left when rows come from files and answers go to files: `canario score` on one core.

    python -m benchmarks.batch [--rows 300000] [--rounds 5]

Four models: fraud (text, words and numbers) as `canario train` makes it, and on thirty numbers logistic regression, a random
forest of 100 trees, histogram gradient boosting. The arms run in one process that is held on one core, in turns, in another
order each round: the kernel on the same rows in memory (in one call, and in the pieces that a scoring uses: the faster of
the two counts), the same once more (what it differs from the first is noise), and whole scorings from and to Parquet and Arrow,
with digests of every byte, checks of every row, and parts made durable. What counts is the time of the whole process on the
processor; the time on the wall beside it has the machine's other work and its disk in it. The answers are compared.

Then the peak memory of `canario score` as a process of its own, on an input and on one that is ten times larger.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

CORE = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {CORE})  # before the libraries count the cores

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from benchmarks.kernel import CARD, MODELS, rows_of  # noqa: E402
from benchmarks.machine import versions_line  # noqa: E402
from canario.batch.loading import LoadedVersion, load_version  # noqa: E402
from canario.batch.reading import PIECE_ROWS  # noqa: E402
from canario.batch.running import score  # noqa: E402
from canario.batch.settings import FileFormat, ScoreSettings  # noqa: E402
from canario.kernel.columns import columns_from_frame  # noqa: E402
from canario.kernel.kernel import Columns, rows_from  # noqa: E402
from canario.model.card import Card  # noqa: E402
from tests.serving.small_versions import make_version  # noqa: E402

MEASURED = """
import sys
from canario.cli.main import run
code = run(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""
"""A run that tells its own peak: what `wait4` tells of a process has its parent's in it."""
FORMATS = (FileFormat.PARQUET, FileFormat.ARROW)
ROWS_A_GROUP = 100_000
"""Of a Parquet file: as common writers have it. An Arrow file has record batches of 64 Ki rows."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model, and rows for it in memory and in files."""

    name: str
    loaded: LoadedVersion
    columns: Columns
    files: dict[FileFormat, Path]
    rows: int


def main() -> None:
    """Make, compare, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000, help="of each scoring (300000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each arm is timed (5)")
    flags = parser.parse_args()
    print(f"{versions_line()}, pyarrow {pa.__version__}, numpy {np.__version__}")
    print(
        f"core {CORE}; {flags.rows:,} rows; medians of {flags.rounds} rounds; rows/s of processor time (of the wall)\n"
    )
    print(f"{'model':8}{'kernel':>22}{'A/A':>7}" + "".join(f"{kind:>24}{'share':>7}" for kind in FORMATS))
    with tempfile.TemporaryDirectory(prefix="canario-bench-batch-") as name:
        folder = Path(name)
        for subject in subjects(folder, flags.rows):
            compare(subject, folder)
            print(line_of(subject, timed(subject, folder, flags.rounds)), flush=True)
        memory(folder, flags.rows)


def subjects(folder: Path, rows: int) -> list[Subject]:
    """The four models."""
    made = [_subject("fraud", *_fraud(folder, rows), folder)]
    train, frame = rows_of(5000, 1), rows_of(rows, 2)
    truth = np.where(train["x0"] + train["x1"] * train["x2"] > 0, "1", "0")
    for name, estimator in MODELS.items():
        version = make_version(folder / name, CARD, estimator, train, truth)
        made.append(_subject(name, version, frame, folder))
    return made


def _fraud(folder: Path, rows: int) -> tuple[Path, pd.DataFrame]:
    import datetime as dt

    os.environ.update(
        BENTOML_HOME=str(folder / "bentoml"),
        CANARIO_HOME=str(folder / "home"),
        CANARIO_ROOMS=str(Path(__file__).parents[1] / "bentos"),
    )
    from canario.packaging.rooms import load_room
    from canario.packaging.training import TrainingRequest, train

    room, last_day = load_room("fraud"), dt.date(2026, 6, 30)
    version = train(
        room, TrainingRequest(first_day=last_day - dt.timedelta(days=30), last_day=last_day, tag="v1", seed=1)
    )
    frame = room.generate(last_day - dt.timedelta(days=-(-rows // 300)), last_day, 7)[:rows]
    return version.folder, frame


def _subject(name: str, version: Path, frame: pd.DataFrame, folder: Path) -> Subject:
    loaded = load_version(folder=version)
    files = {kind: folder / f"{loaded.card.name}.{kind}" for kind in FORMATS}
    if not files[FileFormat.ARROW].exists():
        write(loaded.card, frame, files)
    return Subject(
        name=name, loaded=loaded, columns=columns_from_frame(loaded.card, frame), files=files, rows=len(frame)
    )


def write(card: Card, frame: pd.DataFrame, files: dict[FileFormat, Path]) -> None:
    """The card's columns as files."""
    table = pa.Table.from_pandas(frame[list(card.column_names)], preserve_index=False)
    pq.write_table(table, files[FileFormat.PARQUET], row_group_size=ROWS_A_GROUP)
    with pa.OSFile(str(files[FileFormat.ARROW]), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=65_536)


def scored(subject: Subject, kind: FileFormat, folder: Path) -> None:
    """A whole scoring, from nothing."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    score(subject.loaded, str(subject.files[kind]), str(folder / "out"), ScoreSettings())


def compare(subject: Subject, folder: Path) -> None:
    """The files hold, bit for bit, what the kernel answers to the rows in memory."""
    expected = subject.loaded.answer(subject.columns).scores
    for kind in FORMATS:
        scored(subject, kind, folder)
        parts = sorted((folder / "out").glob("part-*"))
        tables = [
            pq.read_table(path) if kind is FileFormat.PARQUET else pa.ipc.open_file(str(path)).read_all()
            for path in parts
        ]
        found = pa.concat_tables([table.select(["row", "score"]) for table in tables])
        assert found["row"].to_numpy().tolist() == list(range(subject.rows))
        assert found["score"].to_numpy().tobytes() == expected.tobytes(), f"{subject.name} {kind} differs"


def timed(subject: Subject, folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """The median seconds of each arm, on the processor and on the wall."""

    def pieces() -> None:
        for start in range(0, subject.rows, PIECE_ROWS):
            subject.loaded.answer(rows_from(subject.columns, start, start + PIECE_ROWS))

    arms: dict[str, Callable[[], Any]] = {
        "whole": lambda: subject.loaded.answer(subject.columns),
        "pieces": pieces,
        "again": pieces,
        **{kind.value: partial(scored, subject, kind, folder) for kind in FORMATS},
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for name in order.permutation(list(arms)):
            processor, wall = time.process_time(), time.perf_counter()
            arms[name]()
            seen[name].append((time.process_time() - processor, time.perf_counter() - wall))
    return {
        name: (statistics.median(each[0] for each in times), statistics.median(each[1] for each in times))
        for name, times in seen.items()
    }


def line_of(subject: Subject, times: dict[str, tuple[float, float]]) -> str:
    """A model's line of the table."""

    def rate(seconds: tuple[float, float]) -> str:
        return f"{subject.rows / seconds[0]:>12,.0f} ({subject.rows / seconds[1]:,.0f})"

    fastest = min(times["whole"], times["pieces"])
    line = f"{subject.name:8}{rate(fastest):>22}{times['pieces'][0] / times['again'][0]:>7.2f}"
    return line + "".join(f"{rate(times[kind]):>24}{fastest[0] / times[kind][0]:>7.2f}" for kind in FORMATS)


def memory(folder: Path, rows: int) -> None:
    """The peak of a process that scores, for an input and for one ten times larger."""
    print(f"\npeak memory of `canario score` (LR, thirty numbers), {rows:,} and {10 * rows:,} rows")
    version = folder / "LR" / "bench" / "v1"
    small = rows_of(rows, 3)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    for kind in FORMATS:
        peaks = []
        for times in (1, 10):
            source = folder / f"memory.{kind}"
            _write_repeated(small, source, kind, times)
            shutil.rmtree(folder / "out", ignore_errors=True)
            words = ("score", "bench", str(source), str(folder / "out"), "--version-folder", str(version))
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, check=True, env=environment
            )
            peaks.append(int(done.stdout.split()[-1]) / 1024)
        print(f"  {kind:8}{peaks[0]:>8.1f} MiB{peaks[1]:>9.1f} MiB{peaks[1] / peaks[0]:>8.3f} times")


def _write_repeated(frame: pd.DataFrame, path: Path, kind: FileFormat, times: int) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if kind is FileFormat.PARQUET:
        with pq.ParquetWriter(path, table.schema) as parquet:
            for _ in range(times):
                parquet.write_table(table, row_group_size=ROWS_A_GROUP)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as arrow:
            for _ in range(times):
                arrow.write_table(table, max_chunksize=65_536)


if __name__ == "__main__":
    main()
