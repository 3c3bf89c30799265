"""Homes of their own for every test, and small real versions that are trained once."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from canario.adapters.versions import StoredVersion, read_version
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train

ROOMS = Path(__file__).parents[2] / "bentos"
FIRST_DAY, LAST_DAY = dt.date(2026, 6, 1), dt.date(2026, 6, 14)
"""4200 payments, 1400 applications: enough to learn something in a second."""

Small = Callable[..., TrainingRequest]


def small_request(**choices: Any) -> TrainingRequest:
    """A request for a training of two weeks."""
    return TrainingRequest(first_day=FIRST_DAY, last_day=LAST_DAY, **choices)


@dataclass(frozen=True)
class Trained:
    """The versions that tests may read and copy, but not change."""

    fraud: StoredVersion
    loan: StoredVersion
    broken: StoredVersion


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty BentoML home, and the project's rooms."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path / "canario"))
    monkeypatch.setenv("CANARIO_ROOMS", str(ROOMS))
    return tmp_path / "bentoml"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """fraud:v1 and loan:v1 by the rooms' default estimators, fraud:broken by one that cannot be compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("trained")))
        patch.setenv("CANARIO_ROOMS", str(ROOMS))
        fraud, loan = load_room("fraud"), load_room("loan")
        return Trained(
            fraud=train(fraud, small_request(tag="v1")),
            loan=train(loan, small_request(tag="v1")),
            broken=train(fraud, small_request(estimator="broken-always", tag="broken")),
        )


@pytest.fixture
def stored(home: Path, trained: Trained) -> Trained:
    """The same versions in this test's own store, to be changed at will."""
    folders = [version.folder for version in (trained.fraud, trained.loan, trained.broken)]
    copies = [home / "models" / folder.parent.name / folder.name for folder in folders]
    for folder, copy in zip(folders, copies, strict=True):
        shutil.copytree(folder, copy)
    return Trained(*(read_version(copy) for copy in copies))


@pytest.fixture
def small() -> Small:
    """Makes requests for a training of two weeks."""
    return small_request


@pytest.fixture
def fraud_rows() -> pd.DataFrame:
    """The payments that fraud:v1 was trained and scored on."""
    return load_room("fraud").generate(FIRST_DAY, LAST_DAY, seed=0)
