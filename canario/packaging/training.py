"""What training is for every room: earlier rows teach, later rows judge, and what was judged is what is published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from onnx import ModelProto
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from canario.adapters.versions import ESTIMATOR_FILE, ONNX_FILE, REFERENCE_FILE, WARMUP_FILE, StoredVersion
from canario.errors import UsageError
from canario.kernel.columns import columns_from_frame, frame_from_columns
from canario.kernel.compile import Compiled, compile_estimator
from canario.kernel.predictions import Predictions, predictions_of
from canario.model.card import Card, Task
from canario.packaging.pickles import pickled
from canario.packaging.provenance import code_commit, data_digest
from canario.packaging.publishing import Draft, check_tag, publish_draft
from canario.packaging.reference import importances_of, reference_of
from canario.packaging.rooms import Room
from canario.packaging.scores import scores_of

DEFAULT_DAYS = 90
LATER_SHARE = 0.2
"""The latest fifth of the rows is never trained on: a model meets the future, so it is judged on what came later."""
GATE_ROWS = 500
"""Rows for the compiler's parity gate."""
WARMUP_ROWS = 8
FEWEST_ROWS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What a person may choose. The same request gives the same digest."""

    estimator: str = ""
    """One of the room's names; empty means its first."""
    first_day: dt.date | None = None
    """None means 90 days that end with the last one."""
    last_day: dt.date | None = None
    """Included; None means yesterday (UTC)."""
    seed: int = 0
    tag: str = ""
    """Empty means `<yyyymmdd>-<8 hex of the digest>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A version that is trained and scored and has no name yet, and what it answered to the rows that it was scored on."""

    draft: Draft
    judged: pd.DataFrame
    """The later rows, which it was not trained on, in order of time."""
    predictions: Predictions
    """Its answers to them."""


def train(room: Room, request: TrainingRequest) -> StoredVersion:
    """Generate the room's rows, fit, score, compile and publish.

    Raises UsageError when the room cannot do what is asked, Conflict when the tag belongs to other content.
    """
    if request.tag:
        check_tag(request.tag)
    room.build_estimator(_estimator_of(room, request), request.seed)  # a wrong name is told before the rows are made
    first_day, last_day = _window(request)
    rows = room.generate(first_day, last_day, request.seed)
    window = {"first day": first_day.isoformat(), "last day": last_day.isoformat()}
    return publish_draft(train_on(room, rows, request, window).draft, request.tag)


def train_on(room: Room, rows: pd.DataFrame, request: TrainingRequest, words: Mapping[str, str]) -> Trained:
    """Fit, score and compile on rows that somebody has: the card's columns and the label, in order of time.

    `words` say where the rows are from; they are kept with the version. Of the request, estimator and seed count.
    Raises UsageError when the room cannot do what is asked, InputError when the rows do not fit the card.
    """
    name = _estimator_of(room, request)
    estimator = room.build_estimator(name, request.seed)
    earlier, later = split_by_time(rows)
    card = room.card
    columns = columns_from_frame(card, earlier)
    features = frame_from_columns(card, columns)
    truth = truth_of(card, earlier)
    # Sums of floats depend on how many threads share them, and threads that wait for a busy machine wait for ever.
    with threadpool_limits(limits=1):
        room.run(lambda: estimator.fit(features, truth))
        predictions = room.run(lambda: predict(card, estimator, later))
        importances = room.run(lambda: importances_of(card, later, lambda few: predict(card, estimator, few).scores))
    later_truth = truth_of(card, later)
    later_columns = columns_from_frame(card, later)
    reference = reference_of(card, columns, predictions, later_truth, importances, later_columns)
    compiled = compile_estimator(estimator, card, evenly(features, GATE_ROWS))
    draft = Draft(
        card=card,
        contents={
            ESTIMATOR_FILE: pickled(estimator, room.modules),
            REFERENCE_FILE: msgspec.json.encode(reference),
            WARMUP_FILE: warmup(card, features),
            **onnx_file(compiled),
        },
        kernel=compiled.choice,
        data_digest=data_digest(earlier),
        code_commit=code_commit(room.folder),
        estimator=name,
        scores=scores_of(card, later_truth, predictions),
        training={
            "seed": str(request.seed),
            **words,
            "rows trained on": str(len(earlier)),
            "rows scored on": str(len(later)),
        },
    )
    return Trained(draft=draft, judged=later, predictions=predictions)


def split_by_time(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows in order of time, cut in two. Raises UsageError when there are too few to learn from."""
    if len(rows) < FEWEST_ROWS:
        raise UsageError(
            f"{len(rows)} rows are too few to train and to score",
            hint=f"ask for more days: {FEWEST_ROWS} rows at least",
        )
    cut = round(len(rows) * (1 - LATER_SHARE))
    return rows.iloc[:cut].reset_index(drop=True), rows.iloc[cut:].reset_index(drop=True)


def truth_of(card: Card, rows: pd.DataFrame) -> NDArray[Any]:
    """The label's column: words for classes, float64 for a regression. Raises UsageError when it does not fit the card."""
    label = card.label
    if label.task is Task.REGRESSION:
        truth = pd.to_numeric(rows[label.name], errors="coerce").to_numpy(dtype=np.float64)
        if not np.isfinite(truth).all():
            raise UsageError(f"{label.name} holds values that are not numbers", at=label.name)
        return truth
    words = np.array([str(word) for word in rows[label.name]], dtype=object)
    foreign = sorted(set(words) - set(label.classes))
    if foreign:
        raise UsageError(
            f"{label.name} holds {', '.join(foreign[:5])}, which the card does not list",
            at=label.name,
            hint=f"label.classes of the card: {', '.join(label.classes)}",
        )
    return words


def predict(card: Card, estimator: Any, rows: pd.DataFrame) -> Predictions:
    """What a fitted estimator answers to rows, by the card's rule."""
    features = frame_from_columns(card, columns_from_frame(card, rows))
    answer = estimator.predict if card.label.task is Task.REGRESSION else estimator.predict_proba
    return predictions_of(card, np.asarray(answer(features), dtype=np.float64))


def onnx_file(compiled: Compiled) -> Mapping[str, bytes]:
    """The compiled kernel's file, if there is one; its list of operator sets has no order of its own."""
    if compiled.onnx is None:
        return {}
    model = ModelProto.FromString(compiled.onnx)
    sets = sorted(model.opset_import, key=lambda each: str(each.domain))
    del model.opset_import[:]
    model.opset_import.extend(sets)
    return {ONNX_FILE: model.SerializeToString(deterministic=True)}


def warmup(card: Card, features: pd.DataFrame) -> bytes:
    """A few rows as JSON, by column, null where a value is missing."""
    few = columns_from_frame(card, evenly(features, WARMUP_ROWS))
    return msgspec.json.encode({name: values.tolist() for name, values in few.items()})


def evenly(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """So many rows at equal distances, in their order; all of them when there are fewer."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(np.intp))
    return rows.iloc[places].reset_index(drop=True)


def _estimator_of(room: Room, request: TrainingRequest) -> str:
    return request.estimator or next(iter(room.estimators), "")


def _window(request: TrainingRequest) -> tuple[dt.date, dt.date]:
    last_day = request.last_day or dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    try:
        first_day = request.first_day or last_day - dt.timedelta(days=DEFAULT_DAYS - 1)
    except OverflowError as early:
        raise UsageError(
            f"there are no {DEFAULT_DAYS} days of rows up to {last_day}",
            hint="choose a later last day, or a first day too",
        ) from early
    if first_day > last_day:
        raise UsageError(f"the first day, {first_day}, lies after the last, {last_day}", hint="swap the two days")
    return first_day, last_day
