"""A retraining: who asked for it, what was learned from, how the candidate compares with stable, how it ended; deciding is for canario.retraining."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Trigger(StrEnum):
    """Who asked."""

    HAND = "hand"
    ALERT = "alert"
    SCHEDULE = "schedule"
    ROLLOUT = "rollout"
    """A rollout whose versions both failed by their labels."""


class Outcome(StrEnum):
    """How a retraining ended."""

    ROLLED_OUT = "rolled-out"
    """The candidate is better, and its rollout has begun."""
    PUBLISHED = "published"
    """The candidate is better and stored; nobody wanted a rollout."""
    REJECTED = "rejected"
    """The candidate was not shown to be better, and is not tried again on the same data."""
    REFUSED = "refused"
    """Nothing was trained: it was not the time for it, or there was too little to learn from."""
    FAILED = "failed"
    """Something broke on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingRequest:
    """What is asked for."""

    trigger: Trigger = Trigger.HAND
    reason: str = ""
    """Why, in the words of whoever asks."""
    wish: str = ""
    """ROLLOUT only: the name of the rollout that asks; each is answered once."""
    days: float = 90.0
    """How far back the answers go that are learned from."""
    estimator: str = ""
    """One of the room's names; empty means its first."""
    seed: int = 0
    cool_down_seconds: float = 0.0
    """The shortest time since the last training began."""
    maturity_seconds: float = 0.0
    """Answers younger than this are left out: labels that come fast are not like the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """The labelled answers that a retraining has in hand."""

    digest: str
    """`sha256:` of the rows with their truths."""
    rows: int
    positives: int
    """Two classes only: rows whose truth is the second class."""
    first_at_seconds: float
    last_at_seconds: float
    judged_rows: int
    """Of the newest rows, which are not trained on: those that the stable version answered."""
    judged_positives: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedFigure:
    """One figure of both versions over the same rows."""

    name: str
    """As in a version's scores."""
    stable: float
    candidate: float
    gain: float
    """By how much the candidate is better; below 0 it is worse."""
    low: float
    """The lower end of the gain's 95 % interval."""
    high: float
    """The upper end of the gain's 95 % interval."""
    rows: int
    """The rows that it is about: for recall those of the second class."""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """One retraining, as it is kept for good."""

    number: int
    """Rises by one with each of a model, from 1."""
    model: str
    trigger: Trigger
    asked_for: str
    """Why it was asked for."""
    began_at_seconds: float
    wish: str = ""
    ended_at_seconds: float | None = None
    outcome: Outcome | None = None
    """None: under way, or killed on the way."""
    reason: str = ""
    """Why it ended as it did, with the figures."""
    stable: str = ""
    """The tag of the version that was to be bettered."""
    candidate: str = ""
    """The tag of the version that was published."""
    rollout: str = ""
    estimator: str = ""
    seed: int = 0
    lesson: Lesson | None = None
    figures: tuple[PairedFigure, ...] = ()
