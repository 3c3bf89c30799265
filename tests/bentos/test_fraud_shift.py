"""What the fraud room promises of time: a new kind of fraud that an old model misses and a new one learns."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from canario.packaging.rooms import Room, load_room
from canario.packaging.training import predict

ROOMS = Path(__file__).parents[2] / "bentos"
SEEDS = (1, 2, 3)
JUDGED_ROWS_PER_DAY = 4000
"""More than the room's usual, so that a share of some hundred frauds is known within a few percentage points."""


@pytest.fixture(scope="module")
def room() -> Room:
    """The fraud room."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARIO_ROOMS", str(ROOMS))
        return load_room("fraud")


@pytest.fixture(scope="module")
def data(room: Room) -> ModuleType:
    """Its generator."""
    assert room.data is not None
    return room.data


def fitted(room: Room, last_day: dt.date, seed: int) -> Any:
    """The default estimator, trained on 90 days."""
    rows = room.generate(last_day - dt.timedelta(days=89), last_day, seed)
    estimator = room.build_estimator("hist-gradient-boosting", seed)
    return estimator.fit(rows[list(room.card.column_names)], rows["outcome"])


def caught(room: Room, estimator: Any, rows: pd.DataFrame) -> tuple[float, float]:
    """The share of frauds that are caught, and the share of alarms that are frauds."""
    alarms = predict(room.card, estimator, rows).labels == "fraud"
    frauds = (rows["outcome"] == "fraud").to_numpy()
    return float(np.mean(alarms[frauds])), float(np.mean(frauds[alarms]))


@pytest.mark.timeout(300)  # it trains six models
def test_old_model_falls_and_new_model_recovers(room: Room, data: ModuleType) -> None:
    """Trained before the shift: about 75 % of frauds caught before it, about 55 % after it; trained after it: 75 % again."""
    figures = []
    shift: dt.date = data.SHIFT_DAY
    for seed in SEEDS:
        old = fitted(room, shift - dt.timedelta(days=11), seed)
        new = fitted(room, shift + dt.timedelta(days=61), seed)
        before = data.generate(
            shift - dt.timedelta(days=10), shift - dt.timedelta(days=1), seed + 100, JUDGED_ROWS_PER_DAY
        )
        after = data.generate(
            shift + dt.timedelta(days=62), shift + dt.timedelta(days=71), seed + 100, JUDGED_ROWS_PER_DAY
        )
        figures.append([caught(room, old, before), caught(room, old, after), caught(room, new, after)])
        print(seed, [f"recall {recall:.3f} precision {precision:.3f}" for recall, precision in figures[-1]])  # noqa: T201 - `pytest -s` shows the figures
    old_before, old_after, new_after = ([each[place] for each in figures] for place in range(3))
    assert mean(recall for recall, _ in old_before) == pytest.approx(0.75, abs=0.05)
    assert mean(recall for recall, _ in old_after) == pytest.approx(0.55, abs=0.05)
    assert mean(recall for recall, _ in new_after) >= 0.75
    assert all(recall >= 0.70 for recall, _ in new_after)
    assert all(precision >= 0.80 for each in figures for _, precision in each)


def test_frauds_are_rare(room: Room) -> None:
    """One or two payments in a hundred are frauds, before and after the shift."""
    rows = room.generate(dt.date(2026, 4, 1), dt.date(2026, 9, 30), seed=1)
    frauds = (rows["outcome"] == "fraud").groupby(rows["event_time"].dt.month).mean()
    assert frauds.between(0.01, 0.02).all()


def test_new_fraud_begins_on_its_day(room: Room, data: ModuleType) -> None:
    """No parcel fee is asked for before the day of the shift, and some each week from then on."""
    rows = room.generate(data.SHIFT_DAY - dt.timedelta(days=28), data.SHIFT_DAY + dt.timedelta(days=27), seed=1)
    fees = rows[rows["description"].isin(["parcel customs fee", "customs release"])]
    assert fees["event_time"].min().date() >= data.SHIFT_DAY
    assert len(fees) > 10
    assert set(fees["outcome"]) == {"fraud"}
