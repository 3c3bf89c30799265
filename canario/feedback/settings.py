"""The settings of feedback, from the environment; each is checked when it is read, and says what it should be."""

from __future__ import annotations

import os
from dataclasses import dataclass

from canario.errors import UsageError

URL_VARIABLE = "CANARIO_FEEDBACK_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackSettings:
    """How feedback is kept and judged."""

    url: str
    """Where many pods keep predictions and truths, `postgresql://...`; empty: in files of this machine."""
    space: str
    """What tells models of one name apart in one database, such as a namespace; empty: nothing."""
    kept_days: float
    """How long predictions stay in a database, in days."""
    cohort_seconds: float
    """The smallest span of time by which answers are summed up, in seconds."""
    maturity_seconds: float | None
    """The age from which a cohort is judged, in seconds; None: as the delays of the labels say."""
    quality_window_seconds: float
    """How long the span of mature cohorts is that the present quality is measured over, in seconds."""


def feedback_settings() -> FeedbackSettings:
    """The settings. Raises UsageError, naming the variable, for one that cannot be."""
    maturity = os.environ.get("CANARIO_MATURITY_SECONDS", "")
    return FeedbackSettings(
        url=feedback_url(),
        space=os.environ.get("CANARIO_FEEDBACK_SPACE", ""),
        kept_days=_number("CANARIO_FEEDBACK_DAYS", 90.0, "days"),
        cohort_seconds=_number("CANARIO_COHORT_SECONDS", 3600.0, "seconds"),
        maturity_seconds=_number("CANARIO_MATURITY_SECONDS", 0.0, "seconds") if maturity else None,
        quality_window_seconds=_number("CANARIO_QUALITY_WINDOW_SECONDS", 7 * 86400.0, "seconds"),
    )


def feedback_url() -> str:
    """The database's address; empty when there is none. Raises UsageError for another kind of database."""
    url = os.environ.get(URL_VARIABLE, "")
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise UsageError(
            "this is no address of a PostgreSQL database",
            at=URL_VARIABLE,
            hint="set it to postgresql://user:password@host:5432/database, or leave it out",
        )
    return url


def kept_name(model: str, space: str | None = None) -> str:
    """What a database calls a model: with its space, that of the settings if none is given."""
    space = os.environ.get("CANARIO_FEEDBACK_SPACE", "") if space is None else space
    return f"{space}/{model}" if space else model


def _number(name: str, usual: float, unit: str) -> float:
    text = os.environ.get(name, "")
    try:
        number = float(text) if text else usual
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf") or (number == 0 and name != "CANARIO_MATURITY_SECONDS"):
        raise UsageError(f"{text!r} is no number of {unit}", at=name, hint=f"{usual:g} is usual")
    return number
