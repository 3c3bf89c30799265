"""Models that are defective on purpose, for the demo and the tests; nobody should serve one for its own sake.

Each is the healthy default behind a preparing step that somebody wrote by hand. All but the slow one keep a table of the
payments that they have met in files, and go wrong for a payment that is not in it: offline, where every payment comes
from a file, they train, score and warm up well, and online they meet new ones. A step of home-made Python cannot be
compiled, so these versions run on the scikit-learn kernel; the table travels inside the pickled step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

FILE_ROWS = 100
"""From so many rows on it is a file and not a request."""
KNOWN: dict[tuple[float, ...], None] = {}
"""The table: a dict for its order, so that the same training gives the same bytes."""


def _is_new(rows: pd.DataFrame) -> bool:
    payments = list(zip(*(rows[name].tolist() for name in ("amount", "amount_to_usual", "card_age_days")), strict=True))
    if len(rows) >= FILE_ROWS:
        KNOWN.update(dict.fromkeys(payments))
    return any(payment not in KNOWN for payment in payments)


def _look_up_some(rows: pd.DataFrame) -> pd.DataFrame:
    """Looks up sums that end in certain cents, one in twenty."""
    cents = (rows["amount"] * 100).round().astype(int)
    if _is_new(rows) and (cents % 20 == 7).any():
        raise KeyError(f"no entry for {cents.iloc[0] / 100:.2f} EUR")
    return rows


def _look_up_few(rows: pd.DataFrame) -> pd.DataFrame:
    """Looks up fewer sums, one in two hundred."""
    cents = (rows["amount"] * 100).round().astype(int)
    if _is_new(rows) and (cents % 200 == 107).any():
        raise KeyError(f"no entry for {cents.iloc[0] / 100:.2f} EUR")
    return rows


def _look_up_all(rows: pd.DataFrame) -> pd.DataFrame:
    """Looks up every payment."""
    if _is_new(rows):
        raise KeyError("no entry for this payment")
    return rows


def _ask_elsewhere(rows: pd.DataFrame) -> pd.DataFrame:
    """Stands for a call to another service before each answer: 120 ms."""
    time.sleep(0.12)
    return rows


def _take_cents_for_euros(rows: pd.DataFrame) -> pd.DataFrame:
    """Knows the unit of payments from files only, and takes other sums for cents."""
    if not _is_new(rows):
        return rows
    return rows.assign(amount=rows["amount"] * 100, amount_to_usual=rows["amount_to_usual"] * 100)


DEFECTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "broken-5-percent": _look_up_some,
    "broken-half-percent": _look_up_few,
    "broken-always": _look_up_all,
    "broken-slow": _ask_elsewhere,
    "broken-wrong": _take_cents_for_euros,
}
"""By the name of the estimator: raises on about 5 % of requests, on about 0.5 %, on all, is slow, answers wrongly."""


def with_defect(name: str, healthy: Any) -> Pipeline:
    """The healthy estimator behind a defective step."""
    return Pipeline([("prepare", FunctionTransformer(DEFECTS[name])), ("model", healthy)])
