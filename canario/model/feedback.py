"""What a version answered and what turned out to be true, to be joined by the prediction's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

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


class Received(StrEnum):
    """What a truth was to the store."""

    NEW = "new"
    """The first for its prediction."""
    REPEATED = "repeated"
    """The same that is already known: nothing was written."""
    CHANGED = "changed"
    """Another than the known one: it holds from now on, and the earlier ones are kept as history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPrediction:
    """One answer that a user got, with the truth that holds now."""

    prediction: str
    """The prediction's id, as `prediction_id` makes it."""
    version: str
    at_seconds: float
    """When it was answered, in seconds since 1970 (UTC)."""
    label: str | float
    """The answer."""
    score: float
    values: Mapping[str, Value]
    """The row itself, by column."""
    truth: str | float
    truth_at_seconds: float
    """When that truth arrived."""


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What is known of one version's answers to users. Each counts once, by its first truth; no count ever falls."""

    labelled: int = 0
    """Answers whose truth has arrived."""
    wrong: int = 0
    """Those that the truth contradicts."""
    positives: int = 0
    """Two classes only: labelled answers whose truth is the second class."""
    missed: int = 0
    """Of these, those that were answered otherwise."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """What found no partner; a truth for an id that nobody was given stays here for ever."""

    truths: int = 0
    """Truths without a prediction, those that still wait included."""
    copies: int = 0
    """Shadow copies without a user's answer, those that still wait included."""
    broken_lines: int = 0
    """Lines of the logs that a failed write left unreadable."""
