"""Kill a scoring at random moments, by SIGKILL, until it is done in spite of that: `python -m benchmarks.kill_batch --kills 100`.

Files of every format, with rows that do not fit, are scored by processes that are killed after a random time, each going on
where the one before it was. What they leave must be, byte for byte, what an undisturbed run writes: parts, rejects, manifest,
and nothing else. Then the next scoring begins, until every format had its turn and there were enough kills. The seed is printed; `--seed` gives the
same moments again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import multiprocessing
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
from pyarrow import csv

from benchmarks.machine import versions_line
from canario.adapters.documents import read_record
from canario.adapters.files import STAGING_PREFIX
from canario.batch.loading import load_version
from canario.batch.parts import JOB_FILE, MANIFEST_FILE, PROGRESS_FOLDER, SUCCESS_FILE
from canario.batch.running import score
from canario.batch.settings import FileFormat, ScoreSettings
from canario.model.batch import Manifest
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train

ROOMS = Path(__file__).parents[1] / "bentos"
ROWS_A_FILE = 6_000
FORKS = multiprocessing.get_context("fork")
MISFITS = 40
"""Of the rows of a file."""
LONGEST_LIFE = 0.8
"""Of the time that an undisturbed run takes: a scoring meets several kills."""


def main() -> int:
    """Kill, go on, compare, print; exit code 1 when anything differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many processes are killed (100)")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of the moments (random)")
    flags = parser.parse_args()
    print(f"{versions_line()}, pyarrow {pa.__version__}\nseed {flags.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="canario-kill-batch-") as folder:
        return run(Path(folder), flags.kills, random.Random(flags.seed))


def run(folder: Path, kills: int, moments: random.Random) -> int:
    """All of it, in a folder."""
    os.environ.update(CANARIO_HOME=str(folder / "home"), BENTOML_HOME=str(folder / "bentoml"), CANARIO_ROOMS=str(ROOMS))
    version = folder / "bentoml/models/fraud/v1"
    apart(train_small)
    apart(write_inputs, folder / "in", moments.getrandbits(16))
    counted: Counter[str] = Counter()
    differed = scorings = 0
    while counted["kills"] < kills or scorings < len(FileFormat):
        kind = list(FileFormat)[scorings % len(FileFormat)]
        scorings += 1
        settings = settings_of(kind, moments)
        undisturbed, output = folder / "undisturbed", folder / "out"
        started = time.monotonic()
        apart(score_here, version, folder / "in", undisturbed, settings)
        seconds = time.monotonic() - started
        is_killed = True
        while is_killed:
            process = FORKS.Process(target=score_here, args=(version, folder / "in", output, settings))
            process.start()
            is_killed = kill_after(moments.uniform(0, LONGEST_LIFE * seconds), process, counted, output)
        same = digests(output) == digests(undisturbed)
        differed += not same
        print(
            f"{kind:8}{settings.rows_a_part:>6} rows a part{describe(read_record(Manifest, undisturbed / MANIFEST_FILE))}, undisturbed {seconds:.1f} s,"
            f" {counted['kills']:>4} kills so far: {'identical' if same else 'DIFFERENT'}",
            flush=True,
        )
        shutil.rmtree(output)
        shutil.rmtree(undisturbed)
    print(f"\n{counted['kills']} kills in {scorings} scorings, {differed} differed from an undisturbed run")
    for what in ("before the first part", "while something was being written", "between", "while it ended"):
        print(f"  {counted[what]:>4} {what}")
    return 1 if differed else 0


def apart(work: Callable[..., object], *arguments: object) -> None:
    """Do something in a process of its own: this one stays without threads, so that it may be forked."""
    process = FORKS.Process(target=work, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0, work.__name__


def train_small() -> None:
    """A small version of fraud, which has columns of every kind, in this BentoML home."""
    request = TrainingRequest(
        first_day=dt.date(2026, 6, 27),
        last_day=dt.date(2026, 6, 30),
        estimator="logistic-regression",
        seed=1,
        tag="v1",
    )
    train(load_room("fraud"), request)


def score_here(version: Path, source: Path, output: Path, settings: ScoreSettings) -> None:
    """What a process does until it is killed."""
    score(load_version(folder=version), str(source), str(output), settings)


def settings_of(kind: FileFormat, moments: random.Random) -> ScoreSettings:
    """Parts of another size each time."""
    return ScoreSettings(kind=kind, rows_a_part=moments.choice((300, 700, 1100)), most_rejects_percent=100)


def write_inputs(folder: Path, seed: int) -> None:
    """A file of each format."""
    folder.mkdir()
    last_day = dt.date(2026, 6, 30)
    first_day = last_day - dt.timedelta(days=len(FileFormat) * ROWS_A_FILE // 300)
    rows: pd.DataFrame = load_room("fraud").generate(first_day, last_day, seed)
    some = random.Random(seed)
    for place, kind in enumerate(FileFormat):
        part = rows.iloc[place * ROWS_A_FILE : (place + 1) * ROWS_A_FILE].reset_index(drop=True)
        part.insert(0, "id", [f"{place}-{row}" for row in range(len(part))])
        part.loc[some.sample(range(len(part)), MISFITS), "amount"] = -1.0
        table = pa.Table.from_pandas(part, preserve_index=False)
        path = folder / f"{place}.{kind}"
        match kind:
            case FileFormat.CSV:
                csv.write_csv(table, path)
            case FileFormat.PARQUET:
                pq.write_table(table, path, row_group_size=1700)
            case FileFormat.ARROW:
                pa.feather.write_feather(table, str(path), chunksize=1100)


def kill_after(seconds: float, process: ForkProcess, counted: Counter[str], output: Path) -> bool:
    """Kill a process after so long, unless it has ended; whether it was killed. The state that the output was left in is counted."""
    process.join(seconds)
    if process.exitcode is not None:
        if process.exitcode != 0:
            sys.exit(f"a scoring ended by itself with exit code {process.exitcode}")
        return False
    process.kill()
    process.join()
    counted["kills"] += 1
    names = [path.name for path in output.rglob("*")] if output.exists() else []
    parts, records = (sum(name.startswith("part-") for name in names), len(list(output.glob(f"{PROGRESS_FOLDER}/0*"))))
    if (output / SUCCESS_FILE).exists() or (parts and not (output / JOB_FILE).exists()):
        counted["while it ended"] += 1
    elif any(name.startswith(STAGING_PREFIX) for name in names) or parts > records:
        counted["while something was being written"] += 1
    else:
        counted["between" if parts else "before the first part"] += 1
    return True


def digests(folder: Path) -> dict[str, str]:
    """The digest of every file there, hidden ones too, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def describe(manifest: Manifest) -> str:
    """What was scored."""
    parts = sum(not part.is_rejects for part in manifest.parts)
    return f", {manifest.answered:,} answered and {manifest.rejected:,} rejected in {parts} parts"


if __name__ == "__main__":
    sys.exit(main())
