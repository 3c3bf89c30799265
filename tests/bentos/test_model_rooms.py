"""What the two model rooms promise: realistic rows over time that fit their cards, and estimators that learn from them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from canario.adapters.documents import read_document
from canario.errors import PlanError
from canario.kernel.columns import columns_from_frame
from canario.kernel.compile import compile_estimator
from canario.model.card import ColumnKind
from canario.model.rollout import GateKind, RolloutSpec, StrategyKind
from canario.model.version import KernelKind
from canario.packaging.rooms import Room, load_room
from canario.packaging.training import evenly, truth_of
from canario.rollout.plan import lint_for

ROOMS = Path(__file__).parents[2] / "bentos"
DAY = dt.date(2026, 6, 1)


def days(count: int) -> dt.timedelta:
    return dt.timedelta(days=count)


@pytest.fixture(params=["fraud", "loan"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Room:
    """Each room in turn."""
    monkeypatch.setenv("CANARIO_ROOMS", str(ROOMS))
    return load_room(request.param)


@pytest.fixture
def rows(room: Room) -> pd.DataFrame:
    """Four weeks, with the day on which frauds change in the middle."""
    return room.generate(dt.date(2026, 6, 17), dt.date(2026, 7, 14), seed=1)


def test_rows_fit_the_card(room: Room, rows: pd.DataFrame) -> None:
    """Every generated value is one that the card allows, so that the demo's clients are never refused."""
    for column, values in zip(room.card.columns, columns_from_frame(room.card, rows).values(), strict=True):
        if column.kind is ColumnKind.CATEGORY:
            assert set(values) <= set(column.categories)
        elif column.kind is ColumnKind.TEXT:
            assert max(map(len, values)) <= column.longest_characters
        elif column.minimum is not None:
            assert np.nanmin(values) >= column.minimum
            assert np.nanmax(values) <= (column.maximum or np.inf)
    truth_of(room.card, rows)


def test_form_has_words_for_every_column(room: Room) -> None:
    """Every column has a title and an example, every sum its unit, and every number its range."""
    for column in room.card.columns:
        assert column.title
        assert column.example is not None or column.nullable
        if column.kind in (ColumnKind.NUMBER, ColumnKind.INTEGER):
            assert column.minimum is not None
            assert column.maximum is not None
        if column.name == "amount" or column.name.startswith(("monthly", "savings")):
            assert column.unit == "EUR"
    assert room.card.label.title
    assert room.card.description


def test_same_seed_same_rows_in_any_window(room: Room) -> None:
    """The same seed gives the same rows, also of a day that is asked for as part of another window; another seed others."""
    whole = room.generate(DAY, DAY + days(6), seed=1)
    one = room.generate(DAY + days(3), DAY + days(3), seed=1)
    part = whole[whole["event_time"].dt.date == DAY + days(3)].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, part)
    assert not one.equals(room.generate(DAY + days(3), DAY + days(3), seed=2))


def test_rows_are_in_order_of_time(room: Room, rows: pd.DataFrame) -> None:
    """Rows come in the order in which they happened, on the days that were asked for."""
    assert rows["event_time"].is_monotonic_increasing
    assert (rows["event_time"].dt.date.min(), rows["event_time"].dt.date.max()) == (
        dt.date(2026, 6, 17),
        dt.date(2026, 7, 14),
    )


def test_plan_is_a_canary_that_labels_cannot_hold_up(room: Room) -> None:
    """The room's plan reads as one, rises from 10 to 100 %, and late labels can fail it but not delay it."""
    plan = read_document(RolloutSpec, room.rollout_file, error=PlanError)
    assert plan.strategy is StrategyKind.CANARY
    assert [step.weight_percent for step in plan.steps] == [10, 50, 100]
    recall = {GateKind.RECALL: False} if len(room.card.label.classes) == 2 else {}
    assert {gate.kind: gate.blocking for gate in plan.gates} == {
        GateKind.ERRORS: True,
        GateKind.SLOW: True,
        GateKind.WRONG_LABELS: False,
        **recall,
    }
    lint_for(plan, room.card.label)


def test_loan_is_all_numbers_and_fraud_is_not(room: Room) -> None:
    """One tensor carries a row of loan; fraud has words and text, so each column travels by itself."""
    kinds = {column.kind for column in room.card.columns}
    assert room.card.is_numeric == (room.name == "loan")
    if room.name == "fraud":
        assert kinds == set(ColumnKind)


def healthy(room: Room) -> list[str]:
    return [name for name in room.estimators if not name.startswith("broken-")]


def test_every_healthy_estimator_compiles(room: Room, rows: pd.DataFrame) -> None:
    """All estimators that a room offers in earnest are compiled, with answers equal to scikit-learn's."""
    assert healthy(room)[0] == "hist-gradient-boosting"
    assert len(healthy(room)) == 3
    columns = list(room.card.column_names)
    truth = truth_of(room.card, rows)
    for name in healthy(room):
        estimator: Any = room.build_estimator(name, seed=0)
        if name == "random-forest":
            estimator.set_params(**{key: 10 for key in estimator.get_params() if key.endswith("n_estimators")})
        estimator.fit(rows[columns], truth)
        compiled = compile_estimator(estimator, room.card, evenly(rows[columns], 300))
        assert compiled.choice.kind is KernelKind.ONNX, f"{name}: {compiled.choice.reason}"
