"""Kill writers at random moments, by SIGKILL, and look at what they leave: `python benchmarks/kill_writers.py --kills 200`.

Each writer is a process that stores one thing after the other. After each kill, everything that is listed must be whole:
readable, its bytes proved, and known to BentoML; and whoever comes next must be able to go on.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import multiprocessing
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from canario.adapters.files import STAGING_PREFIX
from canario.adapters.homes import bentoml_home, model_store
from canario.adapters.versions import StoredVersion, prove, read_version
from canario.model.version import VersionName
from canario.packaging.archives import export_version, import_version
from canario.packaging.publishing import publish
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train

ROOMS = Path(__file__).parents[1] / "bentos"
LONGEST_LIFE_SECONDS = 1.0
"""After it has stored the first, a writer stores several more in that time."""

Writer = Callable[[Path, Path, Event], None]


def write_trainings(home: Path, _archives: Path, started: Event) -> None:
    """Train one version after the other."""
    enter(home)
    for seed in itertools.count():
        train_loan(f"seed-{seed}", seed)
        started.set()


def write_imports(home: Path, archives: Path, started: Event) -> None:
    """Import the same versions into one store after the other."""
    for number in itertools.count():
        enter(home / f"store-{number}")
        for archive in sorted(archives.iterdir()):
            import_version(archive)
            started.set()


def train_loan(tag: str, seed: int) -> StoredVersion:
    """A small training, of a week."""
    first_day, last_day = dt.date(2026, 6, 1), dt.date(2026, 6, 7)
    request = TrainingRequest(estimator="ridge", seed=seed, tag=tag, first_day=first_day, last_day=last_day)
    return train(load_room("loan"), request)


WRITERS: dict[str, Writer] = {"train": write_trainings, "import": write_imports}


def enter(home: Path) -> None:
    """Make a folder this process's BentoML home."""
    os.environ["BENTOML_HOME"] = str(home)
    os.environ["CANARIO_ROOMS"] = str(ROOMS)


def check(home: Path) -> tuple[int, int]:
    """Prove every version that a store lists, as canario and as BentoML sees it; counts versions and leftovers."""
    from bentoml._internal.models.model import ModelStore

    enter(home)
    listed = {folder for folder in model_store().glob("*/*") if folder.is_dir()}
    for folder in listed:
        version = read_version(folder)
        prove(version)
        version.card()
    if listed:
        store = ModelStore(model_store())
        assert {str(model.tag) for model in store.list()} == {f"{each.parent.name}:{each.name}" for each in listed}
        for model in {folder.parent.name for folder in listed}:
            assert model_store() / model / str(store.get(f"{model}:latest").tag.version) in listed
    return len(listed), len(list(bentoml_home().glob(f"{STAGING_PREFIX}*")))


def prepare(folder: Path) -> Path:
    """A dozen archives of one version under a dozen names."""
    enter(folder / "prepared")
    version = train_loan("v0", seed=0)
    archives = folder / "archives"
    archives.mkdir()
    contents = {name: (version.folder / name).read_bytes() for name in version.record.files}
    for number in range(12):
        name = VersionName(model="loan", tag=f"v{number}")
        copy: StoredVersion = publish(replace(version.record, name=name), contents)
        export_version(copy, archives)
    return archives


def kill_one(writer: Writer, home: Path, archives: Path, life_seconds: float) -> None:
    """Start a writer, let it live for a while, kill it."""
    context = multiprocessing.get_context("forkserver")
    started = context.Event()
    process: ForkServerProcess = context.Process(target=writer, args=(home, archives, started))
    process.start()
    try:
        assert started.wait(120), "the writer did not start"
        time.sleep(life_seconds)
        assert process.is_alive(), "the writer ended by itself"
    finally:
        process.kill()
        process.join()


def main() -> int:
    """Run and print; 0 when everything that was listed was whole."""
    parser = argparse.ArgumentParser(description="Kill writers at random moments and look at what they leave.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    moments = random.Random(options.seed)
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["canario.packaging.archives", "sklearn.linear_model"]
    )
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="canario-kills-") as name:
        folder = Path(name)
        archives = prepare(folder)
        for kill in range(options.kills):
            writer = list(WRITERS)[kill % len(WRITERS)]
            home = folder / f"{kill}"
            kill_one(WRITERS[writer], home, archives, moments.uniform(0, LONGEST_LIFE_SECONDS))
            for store in {models.parent for models in home.glob("**/models")} or {home}:
                versions, leftovers = check(store)
                found[f"{writer}: versions"] += versions
                found[f"{writer}: killed while writing one"] += leftovers
            enter(home / "store-0" if writer == "import" else home)
            import_version(next(archives.iterdir()))
    print(f"{options.kills} kills")
    for what, count in sorted(found.items()):
        print(f"  {what}: {count}")
    print("everything that was listed was whole")
    return 0


if __name__ == "__main__":
    sys.exit(main())
