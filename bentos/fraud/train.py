"""The estimators of this room; splitting, scoring and publishing are the same for all rooms (canario.packaging.training)."""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from .broken import DEFECTS, with_defect

HEALTHY = ("hist-gradient-boosting", "random-forest", "logistic-regression")
ESTIMATORS = (*HEALTHY, *DEFECTS)
"""What `--estimator` may name; the first is the default. Those that begin with `broken-` are defective on purpose."""

NUMBERS = ["amount", "hour", "card_age_days", "payments_24h", "amount_to_usual", "distance_km", "new_device"]
CATEGORIES = ["country", "merchant", "channel"]
TEXT = "description"
WORD = "[a-z]+"
"""A plain pattern: ONNX Runtime's tokenizer and Python's must cut the same words."""


def build_estimator(name: str, seed: int) -> Any:
    """An unfitted estimator over the card's columns."""
    if name in DEFECTS:
        return with_defect(name, build_estimator(HEALTHY[0], seed))
    if name == "random-forest":
        classifier: Any = RandomForestClassifier(n_estimators=100, min_samples_leaf=2, random_state=seed)
    elif name == "logistic-regression":
        classifier = LogisticRegression(C=1.0, max_iter=500)
    else:
        classifier = HistGradientBoostingClassifier(
            max_iter=80, max_leaf_nodes=15, min_samples_leaf=10, l2_regularization=1.0, random_state=seed
        )
    return Pipeline([("columns", _columns(scaled=name == "logistic-regression")), ("classifier", classifier)])


def _columns(*, scaled: bool) -> ColumnTransformer:
    """Trees split on the category's number; a linear model needs one column a category, and numbers of one size."""
    numbers = [
        ("fill", SimpleImputer(strategy="constant", fill_value=-1.0)),
        *([("scale", StandardScaler())] if scaled else []),
    ]
    categories = (
        OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        if scaled
        else OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    )
    return ColumnTransformer(
        [
            ("numbers", Pipeline(numbers), NUMBERS),
            ("categories", categories, CATEGORIES),
            ("text", CountVectorizer(token_pattern=WORD, binary=True, min_df=5), TEXT),
        ],
        sparse_threshold=0.0,
    )
