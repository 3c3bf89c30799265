"""One kernel: a row's answer is the same to the last bit alone, in any batch and at any place in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.preprocessing import FunctionTransformer

from canario.kernel.columns import columns_from_frame
from canario.kernel.compile import compile_estimator
from canario.kernel.compiled import OnnxKernel
from canario.kernel.estimator import EstimatorKernel
from canario.kernel.kernel import Kernel, rows_from, rows_of
from canario.kernel.predictions import Predictions
from canario.model.card import Card
from canario.model.version import KernelKind

TWO = ("clean", "fraud")
THREE = ("high", "low", "middle")
COMPILED: list[tuple[str, Any, tuple[str, ...]]] = [
    ("logistic regression, two classes", LogisticRegression(max_iter=300), TWO),
    ("logistic regression, three classes", LogisticRegression(max_iter=300), THREE),
    ("histogram boosting, two classes", HistGradientBoostingClassifier(max_iter=15), TWO),
    ("histogram boosting, three classes", HistGradientBoostingClassifier(max_iter=15), THREE),
    ("random forest, two classes", RandomForestClassifier(20), TWO),
    ("random forest, three classes", RandomForestClassifier(20), THREE),
    ("gradient boosting", GradientBoostingRegressor(n_estimators=20), ()),
    ("ridge", Ridge(), ()),
]


def bits(predictions: Predictions) -> list[bytes]:
    answers = predictions.scores if predictions.probabilities is None else predictions.probabilities
    return [row.tobytes() for row in np.ascontiguousarray(answers)]


def in_batches(kernel: Kernel, columns: dict[str, Any], size: int) -> list[bytes]:
    starts = range(0, rows_of(columns), size)
    return [row for start in starts for row in bits(kernel.predict(rows_from(columns, start, start + size)))]


def compiled_kernel(estimator: Any, card: Card, rows: Any) -> OnnxKernel:
    compiled = compile_estimator(estimator, card, rows)
    assert compiled.onnx is not None, compiled.choice.reason
    return OnnxKernel(compiled.onnx, card, compiled.choice)


@pytest.mark.parametrize(("model", "classes"), [pytest.param(*case, id=name) for name, *case in COMPILED])
def test_ten_thousand_rows_have_one_answer_in_batches_of_any_size(
    model: Any,
    classes: tuple[str, ...],
    make_card: Callable[..., Card],
    make_rows: Callable[..., Any],
    fit: Callable[..., Any],
) -> None:
    """10,000 rows alone, by 7, by 64 and all at once: not one bit differs, and no row had to be computed alone."""
    card = make_card(classes)
    kernel = compiled_kernel(fit(model, classes), card, make_rows(100, seed=2))
    columns = columns_from_frame(card, make_rows(10_000, seed=3))
    whole = in_batches(kernel, columns, 10_000)
    assert not kernel.choice.row_by_row
    assert [size for size in (1, 7, 64) if in_batches(kernel, columns, size) != whole] == []


def test_a_batch_too_large_for_one_run_is_cut(
    make_card: Callable[..., Card],
    make_rows: Callable[..., Any],
    fit: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch that would need too much memory is computed in parts, with the same bits."""
    card = make_card(TWO)
    compiled = compile_estimator(fit(LogisticRegression(max_iter=300), TWO), card, make_rows(100, seed=2))
    assert compiled.onnx is not None
    columns = columns_from_frame(card, make_rows(500, seed=3))
    whole = bits(OnnxKernel(compiled.onnx, card, compiled.choice).predict(columns))
    monkeypatch.setattr("canario.kernel.compiled.LARGEST_RUN_VALUES", 100)
    assert bits(OnnxKernel(compiled.onnx, card, compiled.choice).predict(columns)) == whole


@pytest.fixture(scope="module")
def kernels(make_card: Callable[..., Card], make_rows: Callable[..., Any], fit: Callable[..., Any]) -> list[OnnxKernel]:
    return [
        compiled_kernel(fit(model, classes), make_card(classes), make_rows(100, seed=2))
        for _, model, classes in COMPILED[:4]
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=some.lists(some.integers(0, 199), min_size=1, max_size=150), cut=some.integers(0, 150))
def test_a_rows_answer_does_not_depend_on_its_company(
    order: list[int], cut: int, kernels: list[OnnxKernel], make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """Rows in any order, repeated, cut in two anywhere: each has the bits that it has among all."""
    columns = columns_from_frame(make_card(), make_rows(200, seed=4))
    chosen = {name: values[order] for name, values in columns.items()}
    for kernel in kernels:
        among_all = bits(kernel.predict(columns))
        parts = [rows_from(chosen, 0, cut), rows_from(chosen, cut, len(order))]
        found = [row for part in parts if rows_of(part) for row in bits(kernel.predict(part))]
        assert found == [among_all[row] for row in order]


def test_a_model_that_cannot_promise_it_is_computed_row_by_row(
    make_card: Callable[..., Card], make_rows: Callable[..., Any], fit: Callable[..., Any]
) -> None:
    """A compiled model with an operator whose rounding depends on the batch answers each row alone, in any batch."""
    card = make_card()
    frame = make_rows(800)
    estimator = fit(Ridge())[:-1]
    model = PoissonRegressor(max_iter=300)
    model.fit(estimator.transform(frame), frame["amount"])
    estimator.steps.append(("poisson", model))
    kernel = compiled_kernel(estimator, card, frame[:100])
    columns = columns_from_frame(card, make_rows(300, seed=4))
    assert kernel.choice.row_by_row
    assert in_batches(kernel, columns, 1) == in_batches(kernel, columns, 7) == in_batches(kernel, columns, 300)


def test_scikit_learn_too_is_asked_row_by_row_where_its_batches_differ(
    make_card: Callable[..., Card], make_rows: Callable[..., Any], fit: Callable[..., Any]
) -> None:
    """A model that only scikit-learn can run keeps the same promise, at the price of speed where it must."""
    card = make_card(TWO)
    estimator = fit(LogisticRegression(max_iter=300), TWO)
    estimator.steps.insert(1, ("mine", FunctionTransformer(np.negative)))
    choice = compile_estimator(estimator, card, make_rows(150, seed=2)).choice
    kernel = EstimatorKernel(estimator, card, choice)
    columns = columns_from_frame(card, make_rows(60, seed=4))
    assert choice.kind is KernelKind.SKLEARN
    assert in_batches(kernel, columns, 1) == in_batches(kernel, columns, 7) == in_batches(kernel, columns, 60)
