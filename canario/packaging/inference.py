"""A card inferred from a sample of rows and from what a fitted estimator says of itself; a person refines it afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from canario.model.card import Card, Column, ColumnKind, Label, Task

MOST_CATEGORIES = 30
"""Words of more kinds than this are taken for free text."""
MARGIN_SHARE = 0.5
"""The allowed range reaches beyond the sample's by half of its width on either side."""


def inferred_card(name: str, estimator: Any, features: pd.DataFrame, label: str, task: Task) -> Card:
    """The card of an estimator that was tried on these rows."""
    known = _known_words(estimator)
    classes = tuple(str(word) for word in estimator.classes_) if task is Task.CLASSIFICATION else ()
    return Card(
        name=name,
        title=name.replace("-", " ").capitalize(),
        description=f"Answers by a {type(estimator).__name__} that was adopted with a sample of {len(features)} rows.",
        columns=tuple(
            _column(str(column), features[column], known.get(str(column), ())) for column in features.columns
        ),
        label=Label(name=label, task=task, classes=classes),
    )


def _column(name: str, values: pd.Series[Any], known: tuple[str, ...]) -> Column:
    title = name.replace("_", " ").strip().capitalize()
    nullable = bool(values.isna().any())
    present = values.dropna()
    if pd.api.types.is_bool_dtype(present) and len(present):
        return Column(
            name=name, kind=ColumnKind.BOOLEAN, title=title, nullable=nullable, example=bool(present.mode().iloc[0])
        )
    if pd.api.types.is_numeric_dtype(values):
        return _number(name, title, values, nullable=nullable)
    words = [str(word) for word in present]
    kinds = tuple(sorted({*words, *known} - {""}))
    nullable = nullable or "" in words
    common = max(sorted(set(words) - {""}), key=words.count, default="")
    if kinds and (known or len(kinds) <= min(MOST_CATEGORIES, max(2, len(words) // 2))):
        return Column(
            name=name,
            kind=ColumnKind.CATEGORY,
            title=title,
            categories=kinds,
            nullable=nullable,
            example=common or None,
        )
    longest = max([200, *(2 * len(word) for word in words)])
    return Column(
        name=name,
        kind=ColumnKind.TEXT,
        title=title,
        longest_characters=longest,
        nullable=nullable,
        example=common or None,
    )


def _number(name: str, title: str, values: pd.Series[Any], *, nullable: bool) -> Column:
    present = values.dropna().to_numpy(dtype=np.float64)
    if not len(present):
        return Column(name=name, kind=ColumnKind.NUMBER, title=title, nullable=nullable)
    whole = pd.api.types.is_integer_dtype(values) or (nullable and bool((present == np.trunc(present)).all()))
    low, high = float(present.min()), float(present.max())
    reach = MARGIN_SHARE * (high - low) or max(abs(low), 1.0)
    # What was never negative, such as an age or a sum, is not allowed to become so.
    minimum = max(low - reach, 0.0) if low >= 0 else low - reach
    maximum = high + reach
    middle = float(np.quantile(present, 0.5, method="nearest"))
    return Column(
        name=name,
        kind=ColumnKind.INTEGER if whole else ColumnKind.NUMBER,
        title=title,
        minimum=float(np.floor(minimum)) if whole else minimum,
        maximum=float(np.ceil(maximum)) if whole else maximum,
        nullable=nullable,
        example=int(middle) if whole else middle,
    )


def _known_words(estimator: Any) -> dict[str, tuple[str, ...]]:
    """The words of each category column that a pipeline's own encoders were fitted with: a sample may lack some."""
    steps = [step for _, step in getattr(estimator, "steps", [])]
    known: dict[str, tuple[str, ...]] = {}
    for step in [estimator, *steps]:
        for _, encoder, columns in getattr(step, "transformers_", []):
            words = getattr(encoder, "categories_", None)
            if words is not None and not isinstance(columns, str) and len(columns) == len(words):
                named = zip(columns, words, strict=True)
                known |= {str(name): tuple(map(str, each)) for name, each in named if each.dtype.kind in "OUT"}
    return known
