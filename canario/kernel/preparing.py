"""Converters for what stands before the model: encoders of categories, fillers of gaps, counters of words.

An encoder is not translated but asked: it encodes each of its categories once, and the answers become a table to look up.
So everything that an encoder can do with a category (rare ones together, one dropped, any target) is in the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from canario.kernel.inputs import Counts
from canario.kernel.nodes import Nodes, NotConvertible

UNSEEN = "\x00 a word that no training has seen"
MOST_TERMS = 2**16
"""A larger vocabulary stays with scikit-learn, whose sparse matrices carry it better."""

TEXT_NODE = "TextCounts"
"""Stands in the graph for the counts of a text, until they become an input of it."""


def convert_encoder(nodes: Nodes) -> None:
    """OneHotEncoder, OrdinalEncoder, TargetEncoder."""
    nodes.answer(encoded(nodes, nodes.estimator, nodes.columns()))


def encoded(nodes: Nodes, encoder: Any, columns: list[str]) -> str:
    """[n, width]: what an encoder makes of columns."""
    widths = getattr(encoder, "_n_features_outs", [1] * len(encoder.categories_))  # the name is scikit-learn's own
    ends = np.cumsum(widths)
    parts = []
    for feature, (values, categories) in enumerate(zip(columns, encoder.categories_, strict=True)):
        whole = _table(encoder, feature)
        if whole.shape[1] != ends[-1]:
            raise NotConvertible(f"{type(encoder).__name__} gives several numbers a category")
        table = whole[:, ends[feature] - widths[feature] : ends[feature]]
        place = _place(nodes, values, categories)
        parts.append(nodes.add("Flatten", nodes.add("Gather", nodes.constant(table), place, axis=0), axis=1))
    return nodes.add("Concat", *parts, axis=1)


def _table(encoder: Any, feature: int) -> NDArray[np.float64]:
    """What an encoder makes of rows in which one feature takes all its categories, and last one that is none of them."""
    categories = encoder.categories_[feature]
    names = getattr(encoder, "feature_names_in_", range(len(encoder.categories_)))
    first = [each[0] for each in encoder.categories_]

    def encode(values: Any) -> NDArray[np.float64]:
        data = {
            name: pd.Series(values, dtype=each.dtype)
            if place == feature
            else pd.Series([first[place]] * len(values), dtype=each.dtype)
            for place, (name, each) in enumerate(zip(names, encoder.categories_, strict=True))
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = pd.DataFrame(data)
            rows = encoder.transform(frame if hasattr(encoder, "feature_names_in_") else frame.to_numpy())
        return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=np.float64)

    known = encode(categories)
    try:
        words = any(isinstance(each, str) for each in categories)
        unseen = encode(np.array([UNSEEN if words else np.nanmax(categories) + 1], dtype=categories.dtype))
    except ValueError:  # the encoder refuses them; the gate sees to it that the card refuses them too
        unseen = np.zeros((1, known.shape[1]))
    return np.concatenate([known, unseen])


def _place(nodes: Nodes, values: str, categories: NDArray[Any]) -> str:
    """[n, 1]: the place of each value among the categories, or their number if it is none of them."""
    if nodes.is_words(values):
        if not all(isinstance(word, str) for word in categories):
            raise NotConvertible("an encoder of words has learnt what is not a word")
        return nodes.add(
            "LabelEncoder",
            values,
            domain="ai.onnx.ml",
            keys_strings=categories.tolist(),
            values_int64s=list(range(len(categories))),
            default_int64=len(categories),
        )
    try:
        categories = categories.astype(np.float64)
    except (TypeError, ValueError) as wrong:
        raise NotConvertible("an encoder of numbers has learnt what is not a number") from wrong
    # One of the comparisons is true, or none: their weighted sum is the place less the number of categories, or 0.
    count = len(categories)
    equal = nodes.add("Equal", values, nodes.constant(categories[np.newaxis, :]))
    weights = nodes.constant(np.arange(count)[:, np.newaxis] - count)
    place = nodes.add("MatMul", nodes.add("Cast", equal, to=TensorProto.DOUBLE), weights)
    place = nodes.add("Add", place, nodes.constant([float(count)]))
    missing = np.flatnonzero(np.isnan(categories))
    if len(missing):
        place = nodes.add("Where", nodes.add("IsNaN", values), nodes.constant([float(missing[0])]), place)
    return nodes.add("Cast", place, to=TensorProto.INT64)


def convert_imputer(nodes: Nodes) -> None:
    """SimpleImputer of numbers."""
    imputer = nodes.estimator
    if any(nodes.is_words(values) for values in nodes.columns()):
        raise NotConvertible("SimpleImputer fills gaps between words: the card's null is the empty word")
    matrix = nodes.matrix()
    fillers = np.asarray(imputer.statistics_, dtype=np.float64)

    def missing(values: str) -> str:
        if pd.isna(imputer.missing_values):
            return nodes.add("IsNaN", values)
        return nodes.add("Equal", values, nodes.constant([imputer.missing_values]))

    filled = nodes.add("Where", missing(matrix), nodes.constant(fillers[np.newaxis, :]), matrix)
    kept = np.flatnonzero(~np.isnan(fillers))
    if len(kept) < len(fillers) and not imputer.keep_empty_features:
        filled = nodes.add("Gather", filled, nodes.constant(kept, np.int64), axis=1)
    if imputer.indicator_ is not None:
        watched = nodes.add("Gather", matrix, nodes.constant(imputer.indicator_.features_, np.int64), axis=1)
        filled = nodes.add("Concat", filled, nodes.add("Cast", missing(watched), to=TensorProto.DOUBLE), axis=1)
    nodes.answer(filled)


def convert_count_vectorizer(nodes: Nodes) -> None:
    """CountVectorizer."""
    nodes.answer(_counts(nodes))


def convert_tfidf_vectorizer(nodes: Nodes) -> None:
    """TfidfVectorizer."""
    vectorizer = nodes.estimator
    if vectorizer.sublinear_tf:
        raise NotConvertible("TfidfVectorizer has sublinear_tf")
    weights = _counts(nodes)
    if vectorizer.use_idf:
        weights = nodes.add("Mul", weights, nodes.constant(vectorizer.idf_[np.newaxis, :]))
    if vectorizer.norm is not None:
        size = nodes.add("Abs", weights) if vectorizer.norm == "l1" else nodes.add("Mul", weights, weights)
        # A product with ones adds up in one fixed order.
        length = nodes.add("MatMul", size, nodes.constant(np.ones((len(vectorizer.vocabulary_), 1))))
        length = length if vectorizer.norm == "l1" else nodes.add("Sqrt", length)
        empty = nodes.add("Equal", length, nodes.constant([0.0]))
        weights = nodes.add("Div", weights, nodes.add("Where", empty, nodes.constant([1.0]), length))
    nodes.answer(weights)


def _counts(nodes: Nodes) -> str:
    """[n, terms]: a node that stands for the counts."""
    vectorizer = nodes.estimator
    own = [name for name in ("preprocessor", "tokenizer", "strip_accents") if getattr(vectorizer, name) is not None]
    if vectorizer.analyzer != "word" or own:
        what = ", ".join(own) or f"the analyzer {vectorizer.analyzer!r}"
        raise NotConvertible(f"{type(vectorizer).__name__} has {what}")
    if len(vectorizer.vocabulary_) > MOST_TERMS:
        raise NotConvertible(f"{type(vectorizer).__name__} knows more than {MOST_TERMS} terms")
    shortest, longest = vectorizer.ngram_range
    counts = Counts(
        tensor="",
        column="",
        lowercase=vectorizer.lowercase,
        pattern=vectorizer.token_pattern,
        ignored=tuple(sorted(vectorizer.get_stop_words() or ())),
        shortest=shortest,
        longest=longest,
        binary=vectorizer.binary,
        terms=tuple(str(term) for term in vectorizer.get_feature_names_out()),
    )
    (text,) = nodes.columns()
    return nodes.add(TEXT_NODE, text, domain="canario", counts=msgspec.json.encode(counts))


PREPARING: dict[type, Callable[[Nodes], None]] = {
    OneHotEncoder: convert_encoder,
    OrdinalEncoder: convert_encoder,
    TargetEncoder: convert_encoder,
    SimpleImputer: convert_imputer,
    CountVectorizer: convert_count_vectorizer,
    TfidfVectorizer: convert_tfidf_vectorizer,
}
