"""What the tests of the command line share: an empty machine, and one where versions were trained once."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.program import LONGEST_RUN_SECONDS, Canario

TRAININGS = {
    "v1": ("--seed", "1"),
    "v2": ("--seed", "2"),
    "bad": ("--estimator", "broken-always"),
}


@pytest.fixture
def canario(tmp_path: Path) -> Canario:
    """The program on a machine where nothing was trained yet."""
    return Canario(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Canario:
    """The program on a machine with three small versions of fraud: v1, v2, and one that fails every request.

    Test processes that run side by side train them once, and get a copy each.
    """
    base = tmp_path_factory.getbasetemp()
    shared = Canario((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained-once")
    shared.folder.mkdir(exist_ok=True)
    with (shared.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared.folder / "bentoml").exists():
            _train(shared)
    own = Canario(tmp_path_factory.mktemp("trained"))
    shutil.copytree(shared.folder / "bentoml", own.folder / "bentoml")
    return own


def _train(program: Canario) -> None:
    days = ("--first-day", "2026-06-27", "--last-day", "2026-06-30")
    runs = [
        program.start("train", "fraud", *days, "--tag", tag, "--estimator", "logistic-regression", *more)
        for tag, more in TRAININGS.items()
    ]
    for run in runs:
        _, stderr = run.communicate(timeout=LONGEST_RUN_SECONDS)
        assert run.returncode == 0, stderr
