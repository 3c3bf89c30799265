"""The card, a model's own page: what it takes, what it answers, what is expected of it; reading files is for adapters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ColumnKind(StrEnum):
    """What a column holds, and so the numpy type and the Open Inference datatype that carry it."""

    NUMBER = "number"
    """A real number: float64, FP64."""
    INTEGER = "integer"
    """A whole number: int64, INT64."""
    BOOLEAN = "boolean"
    """True or false: bool, BOOL."""
    CATEGORY = "category"
    """One of a closed list of words: str, BYTES."""
    TEXT = "text"
    """Any words: str, BYTES."""

    @property
    def is_numeric(self) -> bool:
        """Whether the column can be one column of a float64 matrix."""
        return self in (ColumnKind.NUMBER, ColumnKind.INTEGER, ColumnKind.BOOLEAN)


class Task(StrEnum):
    """What kind of answer a model gives."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One input column, in the words that a person filling in a form needs."""

    name: str
    kind: ColumnKind
    title: str = ""
    """The label in a form; empty means the name."""
    description: str = ""
    unit: str = ""
    """The unit of the values, such as `EUR` or `hours`; empty for plain numbers and words."""
    minimum: float | None = None
    """The smallest allowed value, in `unit`; None means no bound."""
    maximum: float | None = None
    """The largest allowed value, in `unit`; None means no bound."""
    categories: tuple[str, ...] = ()
    """The allowed words of a category column."""
    longest_characters: int = 200
    """The longest allowed text, in characters, of a text column."""
    nullable: bool = False
    """Whether a row may leave the value out (null in JSON, NaN in a float tensor)."""
    example: float | int | str | bool | None = None
    """A value that a form shows first and that warms the model up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The answer: its name, its kind and its words."""

    name: str
    task: Task
    title: str = ""
    unit: str = ""
    """The unit of a regression's answer; empty for classes."""
    classes: tuple[str, ...] = ()
    """The words of the classes in the order of the model's classes; two or more for a classification."""
    threshold: float = 0.5
    """Two classes only: the score from which the second class is answered, 0 to 1."""
    tolerance_percent: float = 20.0
    """Regression only: an answer further than this from the truth, in percent of the truth, counts as wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What the model's users are promised; gates and alerts measure against it."""

    latency_milliseconds: float = 50.0
    """An answer that takes longer than this at the router counts as slow (> 0)."""
    slow_percent: float = 1.0
    """The largest share of slow answers, in percent (0 to 100)."""
    error_percent: float = 0.1
    """The largest share of failed requests, in percent (0 to 100)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A model's own page, `model.yaml`."""

    name: str
    """The model's name: lower-case letters, digits and hyphens, as in a Bento tag or a Kubernetes name."""
    title: str
    description: str = ""
    columns: tuple[Column, ...]
    label: Label
    objectives: Objectives = field(default_factory=Objectives)
    owners: tuple[str, ...] = ()

    @property
    def is_numeric(self) -> bool:
        """Whether every column is numeric, so that one tensor carries a whole row."""
        return all(column.kind.is_numeric for column in self.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)
