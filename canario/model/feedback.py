"""What a version answered and what turned out to be true, to be joined by the prediction's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Value = float | int | str | bool | None
"""A cell of a row, as JSON carries it."""


def prediction_id(version: str, request: str, row: int) -> str:
    """The id of one answered row, unique and safe in a URL; two versions that answer one row differ in its beginning."""
    return f"{version}.{request}.{row}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answered row."""

    prediction: str
    """The prediction's id, as `prediction_id` makes it."""
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
