"""The scikit-learn kernel: the estimator itself, kept to one thread, its failures told in one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # it ships no types

from canario.errors import KernelError, SignatureMismatch, UsageError
from canario.kernel.columns import columns_from_frame
from canario.kernel.compile import compile_estimator
from canario.kernel.estimator import EstimatorKernel
from canario.model.card import Card
from canario.model.version import KernelChoice, KernelKind

PLAIN = KernelChoice(kind=KernelKind.SKLEARN, reason="asked for")
CLASSES = ("clean", "fraud")


class Stubborn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A classifier that does with a row what it is told."""

    classes_ = np.array(CLASSES)

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def predict_proba(self, rows: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        if callable(self.answer):
            return self.answer(rows)
        return np.tile(self.answer, (len(rows), 1))


def kernel_that(answer: Any, card: Card) -> EstimatorKernel:
    return EstimatorKernel(Stubborn(answer), card, PLAIN)


def test_what_a_model_raises_becomes_one_short_line(
    make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """An exception inside the model is a KernelError with its kind and its first line, not a page of trace."""
    card = make_card(CLASSES)
    columns = columns_from_frame(card, make_rows(3))
    with pytest.raises(KernelError) as failed:
        kernel_that(KeyError("no entry for this payment\nmore\n" + "x" * 1000), card).predict(columns)
    assert "KeyError" in failed.value.message
    assert len(failed.value.message) < 250
    assert "\n" not in failed.value.message


@pytest.mark.parametrize("answer", [[np.nan, np.nan], [np.inf, 0.0], [0.1, 0.2, 0.7], [1.0]])
def test_answers_that_are_no_probabilities_of_the_classes_are_failures(
    answer: list[float], make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """NaN, infinity, or more or fewer numbers than classes: the model failed, and no label is made up."""
    card = make_card(CLASSES)
    with pytest.raises(KernelError):
        kernel_that(answer, card).predict(columns_from_frame(card, make_rows(3)))


@pytest.mark.parametrize(("score", "label"), [(0.2999999, "clean"), (0.3, "fraud"), (1.0, "fraud"), (0.0, "clean")])
def test_the_cards_threshold_decides_between_two_classes(
    score: float, label: str, make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """From the threshold on, the second class is answered, and the score is its probability."""
    card = make_card(CLASSES, 0.3)
    answer = kernel_that([1 - score, score], card).predict(columns_from_frame(card, make_rows(2)))
    assert answer.labels.tolist() == [label, label]
    assert answer.scores.tolist() == [score, score]


def test_the_likeliest_of_many_classes_is_answered(
    make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """With three classes or more the score is the probability of the answered one."""
    words = ("a", "b", "c")
    card = make_card(words, 0.9)
    model = Stubborn([0.2, 0.5, 0.3])
    model.classes_ = np.array(words)
    answer = EstimatorKernel(model, card, PLAIN).predict(columns_from_frame(card, make_rows(1)))
    assert (answer.labels.tolist(), answer.scores.tolist()) == (["b"], [0.5])


def test_the_model_sees_the_types_that_it_was_trained_on(
    make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """A served row reaches the model as a frame with the card's columns and types."""
    seen = {}

    def look(rows: Any) -> Any:
        seen.update({name: str(dtype) for name, dtype in rows.dtypes.items()})
        return np.tile([0.5, 0.5], (len(rows), 1))

    card = make_card(CLASSES)
    kernel_that(look, card).predict(columns_from_frame(card, make_rows(1)))
    types = {
        "amount": "float64",
        "distance": "float64",
        "age": "int64",
        "night": "bool",
        "shop": "object",
        "note": "object",
    }
    assert seen == types


def test_every_part_of_a_model_runs_on_one_thread(
    make_card: Callable[..., Card], make_rows: Callable[..., Any], fit: Callable[..., Any]
) -> None:
    """No part of a served model starts workers, however deep it lies, and the linear algebra has one thread."""
    forests = [("a", RandomForestClassifier(3, n_jobs=2)), ("b", LogisticRegression(max_iter=300))]
    estimator = fit(VotingClassifier(forests, voting="soft", n_jobs=2), CLASSES, rows=300)
    card = make_card(CLASSES)
    kernel = EstimatorKernel(estimator, card, PLAIN)
    voting = estimator[-1]
    assert (voting.n_jobs, voting.estimators_[0].n_jobs, voting.estimators[0][1].n_jobs) == (1, 1, 1)
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert len(kernel.predict(columns_from_frame(card, make_rows(5))).labels) == 5


def test_compiling_leaves_the_estimator_as_it_is(
    make_card: Callable[..., Card], make_rows: Callable[..., Any], fit: Callable[..., Any]
) -> None:
    """The estimator that is kept for retraining keeps its settings."""
    estimator = fit(RandomForestClassifier(3, n_jobs=2), CLASSES, rows=300)
    compile_estimator(estimator, make_card(CLASSES), make_rows(50))
    assert estimator[-1].n_jobs == 2


def test_a_classifier_without_probabilities_is_refused_with_a_way_out(
    make_card: Callable[..., Card], make_rows: Callable[..., Any], fit: Callable[..., Any]
) -> None:
    """A model that cannot give a score is refused before it is stored, with what to do."""
    estimator = fit(LinearSVC(), CLASSES, rows=300)
    with pytest.raises(UsageError) as refused:
        compile_estimator(estimator, make_card(CLASSES), make_rows(50))
    assert "CalibratedClassifierCV" in refused.value.hint


def test_classes_in_another_order_are_refused(make_card: Callable[..., Card], make_rows: Callable[..., Any]) -> None:
    """A card whose classes are not the model's, in its order, would swap answers: it is refused."""
    with pytest.raises(SignatureMismatch, match="clean, fraud"):
        compile_estimator(Stubborn([0.5, 0.5]), make_card(("fraud", "clean")), make_rows(50))


def test_a_model_that_fails_on_the_given_rows_is_not_stored(
    make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """When scikit-learn itself cannot answer the rows, compiling says so."""
    with pytest.raises(KernelError, match="no entry"):
        compile_estimator(Stubborn(KeyError("no entry")), make_card(CLASSES), make_rows(50))


def test_a_value_for_each_row_is_an_answer_in_one_column_too(
    make_card: Callable[..., Card], make_rows: Callable[..., Any]
) -> None:
    """Regressors that answer [n] and those that answer [n, 1] are read alike."""
    card = make_card()
    columns = columns_from_frame(card, make_rows(2))
    flat = EstimatorKernel(DummyRegressor().fit([[0], [0]], [2.0, 3.0]), card, PLAIN)
    tall = EstimatorKernel(DummyRegressor().fit([[0], [0]], [[2.0], [3.0]]), card, PLAIN)
    assert flat.predict(columns).labels.tolist() == tall.predict(columns).labels.tolist() == [2.5, 2.5]


def test_a_slow_model_is_not_tried_for_minutes(make_card: Callable[..., Card], make_rows: Callable[..., Any]) -> None:
    """Choosing the kernel asks scikit-learn a few dozen times, not once a row."""

    def slow(rows: Any) -> Any:
        time.sleep(0.01)
        return np.tile([0.5, 0.5], (len(rows), 1))

    began = time.monotonic()
    compile_estimator(Stubborn(slow), make_card(CLASSES), make_rows(2000))
    assert time.monotonic() - began < 20
