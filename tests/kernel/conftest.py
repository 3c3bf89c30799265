"""A shop's payments: columns of every kind, an answer that depends on all of them, and versions on disk without packaging."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from canario.adapters.documents import to_yaml
from canario.adapters.versions import CARD_FILE, ESTIMATOR_FILE, ONNX_FILE, StoredVersion
from canario.kernel.columns import columns_from_frame, frame_from_columns
from canario.kernel.compile import Compiled
from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.model.version import VersionName, VersionRecord

COLUMNS = (
    Column(name="amount", kind=ColumnKind.NUMBER, minimum=0.0, maximum=1000.0),
    Column(name="distance", kind=ColumnKind.NUMBER, nullable=True),
    Column(name="age", kind=ColumnKind.INTEGER, minimum=18, maximum=99),
    Column(name="night", kind=ColumnKind.BOOLEAN),
    Column(name="shop", kind=ColumnKind.CATEGORY, categories=("books", "food", "fuel", "never")),
    Column(name="note", kind=ColumnKind.TEXT, longest_characters=60),
)
NUMBERS = ["amount", "distance", "age", "night"]
WORDS = ["Pão", "de", "queijo", "ÁGUA", "rent", "Gift", "card", "x1", "ok_2"]


def card_of(classes: tuple[str, ...] = (), threshold: float = 0.5) -> Card:
    task = Task.CLASSIFICATION if classes else Task.REGRESSION
    label = Label(name="outcome", task=task, classes=classes, threshold=threshold)
    return Card(name="shop", title="Shop", columns=COLUMNS, label=label)


def rows_of_shop(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    amount = random.gamma(2.0, 60.0, rows).clip(0, 1000)
    distance = np.where(random.random(rows) < 0.1, np.nan, random.normal(0, 30, rows))
    frame = pd.DataFrame(
        {
            "amount": amount,
            "distance": distance,
            "age": random.integers(18, 100, rows),
            "night": random.random(rows) < 0.3,
            "shop": random.choice(["books", "food", "fuel"], rows),
            "note": [" ".join(random.choice(WORDS, random.integers(0, 6))) for _ in range(rows)],
        }
    )
    card = card_of()
    return frame_from_columns(card, columns_from_frame(card, frame))


def risk_of(rows: pd.DataFrame, seed: int = 1) -> np.ndarray:
    """What the truths are made of: a number a row."""
    noise = np.random.default_rng(seed).normal(0, 0.4, len(rows))
    distance = rows["distance"].fillna(50) / 30
    gift = rows["note"].str.contains("Gift").astype(float)
    fuel = (rows["shop"] == "fuel").astype(float)
    return np.asarray(rows["amount"] / 120 + distance * rows["night"] + gift - fuel - rows["age"] / 60 + noise)


def prepared(model: Any) -> Any:
    """A pipeline that takes every column: numbers filled and scaled, categories one-hot, words weighed."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_pipeline(
        make_column_transformer(
            (numbers, NUMBERS),
            (OneHotEncoder(handle_unknown="ignore"), ["shop"]),
            (TfidfVectorizer(), "note"),
            sparse_threshold=0.0,
        ),
        model,
    )


@pytest.fixture(scope="session")
def make_card() -> Callable[..., Card]:
    """Make a card of the shop that classifies into given classes or, without, answers with a value."""
    return card_of


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., pd.DataFrame]:
    """So many rows of the shop."""
    return rows_of_shop


@pytest.fixture(scope="session")
def fit() -> Callable[..., Any]:
    """Fit a model behind the shop's preparation to tell given classes apart or, without, to answer with a value."""

    def fitted(model: Any, classes: tuple[Any, ...] = (), rows: int = 1500, *, bare: bool = False) -> Any:
        frame = rows_of_shop(rows)
        truth = risk_of(frame)
        if classes:
            edges = np.quantile(truth, np.linspace(0, 1, len(classes) + 1)[1:-1])
            truth = np.array(classes)[np.digitize(truth, edges)]
        with threadpool_limits(1):
            return (model if bare else prepared(model)).fit(frame[NUMBERS] if bare else frame, truth)

    return fitted


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., StoredVersion]:
    """Put a compiled or a plain estimator where versions lie: a card, a record, a model."""

    def stored(card: Card, compiled: Compiled, estimator: Any = None) -> StoredVersion:
        record = VersionRecord(
            name=VersionName(model=card.name, tag="v1"),
            digest="",
            files={},
            created_at_seconds=0.0,
            kernel=compiled.choice,
            data_digest="",
            code_commit="",
            libraries={},
        )
        (tmp_path / CARD_FILE).write_text(to_yaml(card), encoding="utf-8")
        if compiled.onnx is not None:
            (tmp_path / ONNX_FILE).write_bytes(compiled.onnx)
        if estimator is not None:
            joblib.dump(estimator, tmp_path / ESTIMATOR_FILE)
        return StoredVersion(record=record, folder=tmp_path)

    return stored
