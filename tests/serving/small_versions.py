"""Small versions to serve: a folder each, as packaging would have left it, made in a second."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # it ships no types
import msgspec
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from canario.adapters.documents import to_yaml
from canario.adapters.versions import (
    CARD_FILE,
    ESTIMATOR_FILE,
    ONNX_FILE,
    RECORD_FILE,
    REFERENCE_FILE,
    WARMUP_FILE,
    digest_of,
)
from canario.kernel.columns import columns_from_frame, frame_from_columns
from canario.kernel.compile import compile_estimator
from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.model.version import VersionName, VersionRecord
from canario.packaging.reference import reference_of
from canario.packaging.training import predict
from tests.serving import moody_estimator

ROWS = 200

SHOP = Card(
    name="shop",
    title="Will this customer come back?",
    description="Every kind of column that there is.",
    columns=(
        Column(name="amount", kind=ColumnKind.NUMBER, unit="EUR", minimum=0, maximum=1000),
        Column(name="age", kind=ColumnKind.INTEGER, unit="years", minimum=0, maximum=120),
        Column(name="member", kind=ColumnKind.BOOLEAN),
        Column(name="country", kind=ColumnKind.CATEGORY, categories=("PT", "ES", "FR")),
        Column(name="note", kind=ColumnKind.TEXT, longest_characters=20),
        Column(name="distance", kind=ColumnKind.NUMBER, nullable=True, minimum=0),
        Column(name="visits", kind=ColumnKind.INTEGER, nullable=True, minimum=0),
        Column(name="referrer", kind=ColumnKind.CATEGORY, categories=("friend", "ad"), nullable=True),
    ),
    label=Label(name="returns", task=Task.CLASSIFICATION, classes=("no", "yes"), threshold=0.4),
)
RENT = Card(
    name="rent",
    title="What is the rent?",
    columns=(
        Column(name="area", kind=ColumnKind.NUMBER, unit="m2", minimum=5, maximum=500),
        Column(name="rooms", kind=ColumnKind.INTEGER, minimum=1, maximum=12),
        Column(name="lift", kind=ColumnKind.BOOLEAN),
    ),
    label=Label(name="rent", task=Task.REGRESSION, unit="EUR"),
)
IRIS = Card(
    name="iris",
    title="Which iris?",
    columns=tuple(Column(name=name, kind=ColumnKind.NUMBER, unit="cm") for name in ("length", "width")),
    label=Label(name="kind", task=Task.CLASSIFICATION, classes=("setosa", "versicolor", "virginica")),
)
MOODY = Card(
    name="moody",
    title="How is it today?",
    columns=(
        Column(name="seconds", kind=ColumnKind.NUMBER, minimum=0, maximum=60),
        Column(name="mood", kind=ColumnKind.CATEGORY, categories=("fine", "broken")),
    ),
    label=Label(name="answer", task=Task.CLASSIFICATION, classes=("no", "yes")),
)


def shop_rows(count: int, seed: int = 1) -> pd.DataFrame:
    """Customers."""
    some = np.random.default_rng(seed)
    missing = some.random(count) < 0.2
    return pd.DataFrame(
        {
            "amount": some.uniform(0, 1000, count),
            "age": some.integers(0, 120, count),
            "member": some.random(count) < 0.5,
            "country": some.choice(["PT", "ES", "FR"], count),
            "note": some.choice(["olá, até já", "first visit", ""], count),
            "distance": np.where(missing, np.nan, some.exponential(10, count)),
            "visits": np.where(missing, np.nan, some.integers(0, 9, count)),
            "referrer": some.choice(["friend", "ad", ""], count),
        }
    )


def rent_rows(count: int, seed: int = 1) -> pd.DataFrame:
    """Flats."""
    some = np.random.default_rng(seed)
    area = some.uniform(5, 500, count)
    return pd.DataFrame({"area": area, "rooms": some.integers(1, 12, count), "lift": some.random(count) < 0.5})


def make_shop(folder: Path) -> Path:
    """A classifier over every kind of column."""
    rows = shop_rows(ROWS)
    words = ["country", "referrer"]
    numbers = ["amount", "age", "member"]
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), words), ("passthrough", numbers)),
        LogisticRegression(max_iter=1000),
    )
    truth = np.where(rows["amount"] + 300 * rows["member"] > 600, "yes", "no")
    return make_version(folder, SHOP, pipeline, rows, truth)


def make_rent(folder: Path) -> Path:
    """A regression over numbers only."""
    rows = rent_rows(ROWS)
    pipeline = make_pipeline(make_column_transformer(("passthrough", ["area", "rooms", "lift"])), Ridge())
    return make_version(folder, RENT, pipeline, rows, (10 * rows["area"] + 50 * rows["rooms"]).to_numpy())


def make_iris(folder: Path) -> Path:
    """Three classes."""
    some = np.random.default_rng(1)
    rows = pd.DataFrame({"length": some.uniform(1, 7, ROWS), "width": some.uniform(0, 3, ROWS)})
    truth = np.array(IRIS.label.classes, dtype=object)[(rows["length"] // 2.4).astype(int)]
    return make_version(folder, IRIS, LogisticRegression(), rows, truth)


def make_moody(folder: Path) -> Path:
    """One that takes its time, and fails when asked to."""
    rows = pd.DataFrame({"seconds": [0.0, 0.0], "mood": ["fine", "fine"]})
    return make_version(folder, MOODY, moody_estimator.Moody(), rows, np.array(["no", "yes"]))


def make_version(folder: Path, card: Card, estimator: Any, rows: pd.DataFrame, truth: Any, tag: str = "v1") -> Path:
    """Fit, compile if possible, and leave a version's folder."""
    columns = columns_from_frame(card, rows)
    frame = frame_from_columns(card, columns)
    estimator.fit(frame, truth)
    compiled = compile_estimator(estimator, card, frame)
    cloudpickle.register_pickle_by_value(moody_estimator)
    reference = reference_of(card, columns, predict(card, estimator, frame), np.asarray(truth), {}, columns)
    contents = {
        CARD_FILE: to_yaml(card).encode(),
        ESTIMATOR_FILE: cloudpickle.dumps(estimator),
        REFERENCE_FILE: msgspec.json.encode(reference),
        WARMUP_FILE: msgspec.json.encode({name: values[:4].tolist() for name, values in columns.items()}),
    }
    if compiled.onnx is not None:
        contents[ONNX_FILE] = compiled.onnx
    folder = folder / card.name / tag
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    record = VersionRecord(
        name=VersionName(model=card.name, tag=tag),
        digest=digest_of(files),
        files=files,
        created_at_seconds=0.0,
        kernel=compiled.choice,
        data_digest="sha256:0",
        code_commit="",
        libraries={},
    )
    (folder / RECORD_FILE).write_bytes(msgspec.json.encode(record))
    return folder
