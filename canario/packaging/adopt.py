"""Take in an estimator that somebody has fitted elsewhere: a card from a sample of its rows, a room, a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from canario.adapters.documents import to_yaml
from canario.adapters.files import new_folder
from canario.adapters.homes import rooms_folder
from canario.adapters.versions import ESTIMATOR_FILE, REFERENCE_FILE, WARMUP_FILE, StoredVersion
from canario.errors import CanarioError, NotFound, SignatureMismatch, UsageError
from canario.kernel.columns import columns_from_frame, frame_from_columns
from canario.kernel.compile import compile_estimator
from canario.model.card import Card, Task
from canario.packaging.cards import NAME, check_card, read_card
from canario.packaging.inference import inferred_card
from canario.packaging.provenance import data_digest
from canario.packaging.publishing import Draft, check_tag, publish_draft
from canario.packaging.reference import importances_of, reference_of
from canario.packaging.rooms import CARD_FILE, ROLLOUT_FILE
from canario.packaging.scores import scores_of
from canario.packaging.training import GATE_ROWS, evenly, onnx_file, predict, truth_of, warmup

ROOM_NOTE = """\
# The card of this model, inferred from the sample that it was adopted with. Make it yours: titles, units, ranges and
# descriptions are what people see in the form and what requests are checked against. Versions that are stored keep the
# card that they were made with. To train new versions here, add data.py and train.py as bentos/loan has them; to bring
# one that was fitted elsewhere, adopt it under the same name again.
"""
ROLLOUT = """\
# How a new version of this model meets traffic; bentos/fraud/rollout.yaml explains each line.
strategy: canary
steps:
  - weight_percent: 10
    minimum_requests: 200
  - weight_percent: 50
    minimum_requests: 500
  - weight_percent: 100
    minimum_requests: 200
gates:
  - kind: errors
  - kind: slow
    margin_percent: 2
  - kind: wrong-labels
    margin_percent: 2
    blocking: false
"""


def adopt(name: str, model_path: Path, sample_path: Path, *, label: str = "", tag: str = "") -> StoredVersion:
    """Make a version of a fitted scikit-learn estimator, and a room for it unless there is one already.

    `sample_path` is a CSV of rows such as the model will meet, with a line of column names; `label` names the column that
    holds the truth, if there is one, and the version is scored on it. Loading the estimator runs the code in its file.

    Raises NotFound for missing files, UsageError for what cannot be adopted, with the way out, SignatureMismatch when
    the sample does not fit the card of a room that exists, Conflict when the tag belongs to another version.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a model's name", hint="use lower-case letters, digits and hyphens, at most 50"
        )
    if tag:
        check_tag(tag)
    estimator = _load(model_path)
    task = _task(estimator, model_path)
    sample = _read_sample(sample_path, label)
    features = sample[_wanted(estimator, sample, label, sample_path)]
    answers = _answers(estimator, task, features, sample_path)
    room_card = rooms_folder() / name / CARD_FILE
    card = (
        _fitting(read_card(room_card), features, sample_path)
        if room_card.is_file()
        else inferred_card(name, estimator, features, label or _default_label(task), task)
    )
    check_card(card, at=f"the card inferred from {sample_path.name}")
    draft = _draft(card, estimator, sample, answers, model_path, scored=bool(label))
    version = publish_draft(draft, tag)
    if not room_card.is_file():
        _make_room(card)
    return version


def _load(path: Path) -> Any:
    if not path.is_file():
        raise NotFound(
            f"there is no file {path}", at=str(path), hint="joblib.dump(estimator, 'model.joblib') makes one"
        )
    try:
        return joblib.load(path)
    except Exception as failed:
        raise UsageError(
            f"{path.name} cannot be loaded: {type(failed).__name__}: {failed}",
            at=str(path),
            hint="it must be written by joblib.dump or pickle.dump, and the code that it uses must be installed here",
        ) from failed


def _task(estimator: Any, path: Path) -> Task:
    from sklearn.base import is_classifier, is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    kind = type(estimator).__name__
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise UsageError(
            f"{path.name} holds no estimator but a {kind}",
            at=str(path),
            hint="dump the fitted object that has predict()",
        )
    if not is_classifier(estimator) and not is_regressor(estimator):
        raise UsageError(
            f"{kind} is neither a classifier nor a regressor", at=str(path), hint="canario serves these two kinds"
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as unfitted:
        raise UsageError(
            f"this {kind} has not been fitted", at=str(path), hint="call fit() before dumping it"
        ) from unfitted
    if not is_classifier(estimator):
        return Task.REGRESSION
    if not hasattr(estimator, "predict_proba"):
        raise UsageError(
            f"{kind} gives no probabilities",
            at=str(path),
            hint="wrap it in sklearn.calibration.CalibratedClassifierCV and fit again",
        )
    return Task.CLASSIFICATION


def _read_sample(path: Path, label: str) -> pd.DataFrame:
    if not path.is_file():
        raise NotFound(f"there is no file {path}", at=str(path), hint="a CSV with a line of column names and some rows")
    try:
        sample = pd.read_csv(path)
    except (ValueError, OSError) as broken:
        raise UsageError(f"{path.name} is not a CSV that can be read: {broken}", at=str(path)) from broken
    if sample.empty:
        raise UsageError(f"{path.name} has no rows", at=str(path), hint="a hundred typical ones make a good card")
    if label and label not in sample:
        raise UsageError(
            f"{path.name} has no column {label!r}", at="--label", hint=f"it has: {', '.join(sample.columns)}"
        )
    return sample


def _wanted(estimator: Any, sample: pd.DataFrame, label: str, path: Path) -> list[str]:
    """The columns that the estimator was fitted with, in its order."""
    present = [column for column in sample.columns if column != label]
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        missing = [str(name) for name in names if name not in present]
        if missing:
            raise UsageError(
                f"{path.name} lacks columns that the model was fitted with: {', '.join(missing)}",
                at=str(path),
                hint=f"it has: {', '.join(present)}",
            )
        return [str(name) for name in names]
    count = getattr(estimator, "n_features_in_", len(present))
    if count != len(present):
        raise UsageError(
            f"the model was fitted with {count} columns without names, and {path.name} has {len(present)}",
            at=str(path),
            hint="leave exactly those columns in the sample, in the order of fit(); --label names the one with the truth",
        )
    return present


def _answers(estimator: Any, task: Task, features: pd.DataFrame, path: Path) -> NDArray[np.float64]:
    """What the estimator itself says to the sample, as it was read."""
    try:
        rows = features if hasattr(estimator, "feature_names_in_") else features.to_numpy()
        answers = estimator.predict(rows) if task is Task.REGRESSION else estimator.predict_proba(rows)
        numbers = np.asarray(answers, dtype=np.float64)
    except Exception as failed:
        raise UsageError(
            f"the model fails on the sample: {type(failed).__name__}: {failed}",
            at=str(path),
            hint="the sample must look like the rows that the model was fitted with",
        ) from failed
    if numbers.shape[:1] != (len(features),) or numbers.ndim != (1 if task is Task.REGRESSION else 2):
        raise UsageError(f"the model gives an answer of shape {numbers.shape}", hint="canario serves one answer a row")
    return numbers


def _fitting(card: Card, features: pd.DataFrame, path: Path) -> Card:
    """The card of a room that exists, if the model takes its columns."""
    names = tuple(features.columns)
    if set(names) != set(card.column_names):
        odd = sorted(set(names) ^ set(card.column_names))
        raise SignatureMismatch(
            f"the model of {path.name} and the card of the room {card.name} do not share: {', '.join(odd)}",
            at=str(rooms_folder() / card.name / CARD_FILE),
            hint="adopt it under another name, or mend the card",
        )
    return card


def _draft(
    card: Card, estimator: Any, sample: pd.DataFrame, answers: NDArray[np.float64], path: Path, *, scored: bool
) -> Draft:
    columns = columns_from_frame(card, sample)
    features = frame_from_columns(card, columns)
    try:
        predictions = predict(card, estimator, sample)
    except CanarioError:
        raise
    except Exception as failed:
        raise UsageError(f"the model fails on the sample: {type(failed).__name__}: {failed}") from failed
    served = predictions.scores if predictions.probabilities is None else predictions.probabilities
    if not np.array_equal(served, answers):
        raise UsageError(
            "the model answers otherwise when the sample's columns have the card's types",
            hint="often an empty cell: canario passes empty words as '' and empty numbers as NaN; fit the model so",
        )
    compiled = compile_estimator(estimator, card, evenly(features, GATE_ROWS))
    truth = _truth(card, estimator, sample) if scored else np.array([])
    importances = importances_of(card, sample, lambda rows: predict(card, estimator, rows).scores)
    reference = reference_of(card, columns, predictions, truth, importances)
    return Draft(
        card=card,
        contents={
            ESTIMATOR_FILE: path.read_bytes(),
            REFERENCE_FILE: msgspec.json.encode(reference),
            WARMUP_FILE: warmup(card, features),
            **onnx_file(compiled),
        },
        kernel=compiled.choice,
        data_digest=data_digest(sample),
        code_commit="",
        estimator=type(estimator).__name__,
        scores=scores_of(card, truth, predictions) if scored else (),
        training={
            "adopted from": path.name,
            "rows in the sample": str(len(sample)),
            **({"scored on": "the sample, which the model may have been trained on"} if scored else {}),
        },
    )


def _truth(card: Card, estimator: Any, sample: pd.DataFrame) -> NDArray[Any]:
    """The sample's truth in the card's words; a class that is the number 1 may be 1.0 in a CSV with empty cells."""
    if card.label.task is Task.REGRESSION:
        return truth_of(card, sample)
    words = {value: str(value) for value in np.asarray(estimator.classes_).tolist()}
    truth = sample[card.label.name]
    return truth_of(card, truth.map(lambda value: words.get(value, value)).to_frame())


def _default_label(task: Task) -> str:
    return "value" if task is Task.REGRESSION else "class"


def _make_room(card: Card) -> None:
    with new_folder(rooms_folder() / card.name) as room:
        (room / CARD_FILE).write_text(ROOM_NOTE + to_yaml(card), encoding="utf-8")
        (room / ROLLOUT_FILE).write_text(ROLLOUT, encoding="utf-8")
