"""What stands before a model, encoders, fillers and scalers, compiled with all its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from canario.kernel.columns import columns_from_frame
from canario.kernel.compile import compile_estimator
from canario.kernel.compiled import OnnxKernel
from canario.model.card import Card

CLASSES = ("clean", "fraud")
ENCODERS = [
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(handle_unknown="ignore", drop="first", sparse_output=False),
    OneHotEncoder(min_frequency=300, handle_unknown="infrequent_if_exist"),
    OneHotEncoder(max_categories=2, handle_unknown="infrequent_if_exist", dtype=np.float32),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99, max_categories=3),
]
FILLERS = [
    SimpleImputer(),
    SimpleImputer(strategy="median", add_indicator=True),
    SimpleImputer(strategy="constant", fill_value=-1.0),
    make_pipeline(SimpleImputer(strategy="most_frequent"), StandardScaler()),
    make_pipeline(RobustScaler(), MaxAbsScaler(), SimpleImputer()),
    make_pipeline(MinMaxScaler(clip=True), SimpleImputer()),
]


def check(preparing: Any, card: Card, make_rows: Callable[..., Any]) -> None:
    rows = make_rows(900)
    truth = np.where((rows["amount"] > 100) ^ (rows["shop"] == "food"), "fraud", "clean")
    model = make_pipeline(preparing, LogisticRegression(max_iter=1000)).fit(rows, truth)
    compiled = compile_estimator(model, card, rows[:100])
    assert compiled.onnx is not None, compiled.choice.reason
    new = make_rows(500, seed=9)
    answers = OnnxKernel(compiled.onnx, card, compiled.choice).predict(columns_from_frame(card, new))
    assert answers.probabilities == pytest.approx(model.predict_proba(new), rel=0, abs=1e-14)


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_an_encoder_of_words_numbers_and_truth_values_is_compiled(
    encoder: Any, make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """Rare categories, dropped ones, unknown ones: the compiled model encodes as the encoder does."""
    preparing = make_column_transformer((encoder, ["shop", "age", "night"]), (SimpleImputer(), ["distance", "amount"]))
    check(preparing, make_card(CLASSES), make_rows)


def test_an_encoder_of_targets_is_compiled(make_card: Callable[..., Card], make_rows: Callable[..., Any]) -> None:
    """The mean target of each category is looked up, and the overall mean for an unknown one."""
    preparing = make_column_transformer((TargetEncoder(cv=2), ["shop"]), (SimpleImputer(), ["distance", "amount"]))
    check(preparing, make_card(CLASSES), make_rows)


@pytest.mark.parametrize("filler", FILLERS, ids=str)
def test_a_filler_or_a_scaler_of_numbers_is_compiled(
    filler: Any, make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """Gaps are filled and numbers scaled in double, in the order of the columns that the model chose."""
    preparing = make_column_transformer((filler, ["age", "distance", "amount"]), ("passthrough", ["night"]))
    check(preparing, make_card(CLASSES), make_rows)
