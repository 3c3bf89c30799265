"""Words of a text are cut and counted as scikit-learn does it, without scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from canario.kernel.columns import frame_from_columns
from canario.kernel.compiled import OnnxKernel
from canario.kernel.export import export
from canario.kernel.inputs import Counts
from canario.kernel.nodes import NotConvertible
from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.model.version import KernelChoice, KernelKind

CORPUS = ["Pão de queijo", "café com leite, pão", "the CARD's gift-card x1", "ok_2 ok_2 ok_2", "İstanbul ß ẞ", ""]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"lowercase": False, "binary": True},
    {"ngram_range": (1, 3), "stop_words": ["de", "com"]},
    {"ngram_range": (2, 2), "token_pattern": r"(?u)\b\w+\b"},
    {"token_pattern": r"([a-z]+)'s"},
    {"token_pattern": "[a-z]+", "max_features": 3},
]
WORDS = some.sampled_from(["pão", "de", "queijo", "CARD's", "ok_2", "x1", "x", "é", "ẞ", "日本", "\n", "-", "leite"])
TEXTS = some.one_of(some.text(max_size=30), some.lists(WORDS, max_size=8).map(" ".join))
CARD = Card(
    name="texts",
    title="Texts",
    columns=(Column(name="note", kind=ColumnKind.TEXT),),
    label=Label(name="y", task=Task.REGRESSION),
)


def texts(*values: str) -> dict[str, Any]:
    return {"note": np.array(values, dtype=object)}


def counts_of(vectorizer: CountVectorizer) -> Counts:
    shortest, longest = vectorizer.ngram_range
    return Counts(
        tensor="counts",
        column="note",
        lowercase=vectorizer.lowercase,
        pattern=vectorizer.token_pattern,
        ignored=tuple(vectorizer.stop_words or ()),
        shortest=shortest,
        longest=longest,
        binary=vectorizer.binary,
        terms=tuple(vectorizer.get_feature_names_out()),
    )


@pytest.mark.parametrize("chosen", SETTINGS, ids=str)
@settings(max_examples=40, deadline=None)
@given(values=some.lists(TEXTS, min_size=1, max_size=5))
def test_any_text_is_counted_as_scikit_learn_counts_it(chosen: dict[str, Any], values: list[str]) -> None:
    """Every text, of any letters, has the same counts of the same terms."""
    vectorizer = CountVectorizer(**chosen).fit(CORPUS)
    found = counts_of(vectorizer).of(np.array(values, dtype=object))
    assert found.tolist() == vectorizer.transform(values).toarray().tolist()


VECTORIZERS = [
    CountVectorizer(binary=True),
    TfidfVectorizer(ngram_range=(1, 2)),
    TfidfVectorizer(norm="l1", use_idf=False),
    TfidfVectorizer(norm=None),
]


@pytest.mark.parametrize("vectorizer", VECTORIZERS, ids=str)
def test_a_compiled_model_weighs_words_as_scikit_learn_does(vectorizer: Any) -> None:
    """Counted, weighed and scaled words give the same value, also for the empty text and for unknown words."""
    columns = texts(*CORPUS)
    model = make_pipeline(make_column_transformer((vectorizer, "note")), Ridge())
    model.fit(frame_from_columns(CARD, columns), np.arange(len(CORPUS)))
    kernel = OnnxKernel(export(model, CARD).SerializeToString(), CARD, KernelChoice(kind=KernelKind.ONNX, reason=""))
    new = texts("", "unknown words only", "PÃO pão café", "a\x00b pão", *CORPUS)
    assert kernel.predict(new).scores == pytest.approx(model.predict(frame_from_columns(CARD, new)), rel=1e-12)


@pytest.mark.parametrize(
    ("vectorizer", "reason"),
    [
        (TfidfVectorizer(analyzer="char"), "analyzer 'char'"),
        (TfidfVectorizer(sublinear_tf=True), "sublinear_tf"),
        (CountVectorizer(strip_accents="unicode"), "strip_accents"),
        (CountVectorizer(tokenizer=str.split, token_pattern=None), "tokenizer"),
    ],
    ids=str,
)
def test_rules_for_words_that_are_not_known_here_stay_with_scikit_learn(vectorizer: Any, reason: str) -> None:
    """What cannot be counted exactly is not compiled, and the reason names it."""
    model = make_pipeline(make_column_transformer((vectorizer, "note")), Ridge())
    model.fit(frame_from_columns(CARD, texts(*CORPUS)), np.arange(len(CORPUS)))
    with pytest.raises(NotConvertible, match=reason):
        export(model, CARD)
