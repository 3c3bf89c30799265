"""What a version answered and what turned out to be true, to be joined by the prediction's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Value = float | int | str | bool | None
"""A cell of a row, as JSON carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answered row."""

    prediction: str
    """The prediction's id: `<version's tag>.<request's id>.<row number>`, unique and safe in a URL."""
    request: str
    """The request's id, the same for stable and its shadow copy."""
    row: int
    """The row's place in the request, from 0."""
    model: str
    version: str
    at_seconds: float
    label: str | float
    score: float
    shadow: bool
    """Whether this was a copy whose answer nobody saw."""
    values: Mapping[str, Value]
    """The row itself, by column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One late truth."""

    prediction: str
    truth: str | float
    at_seconds: float
