"""A verdict: the three answers to a gate's question, with the figures that led to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from canario.model.rollout import GateKind


class Answer(StrEnum):
    """Three answers, never two."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    """Not enough evidence yet, or none to be had."""


class Method(StrEnum):
    """How a gate was judged; a verdict says so."""

    SEQUENTIAL = "sequential"
    """The e-value over a random split; may be read after every event."""
    RATES = "rates"
    """By rates against a fixed or measured share, because the split is not random or there is one arm only."""
    MEASURED = "measured"
    """What a query says, against the plan's own bounds."""
    NONE = "none"
    """Nothing could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """One gate's answer."""

    gate: GateKind
    name: str = ""
    """Of a query gate: what the plan calls it."""
    answer: Answer
    method: Method
    reason: str
    """One sentence with the figures, as a person would want to read it at night."""
    log_e_value: float = 0.0
    """The evidence that the candidate is worse; fails at ln(1/alpha)."""
    upper_bound_percent: float | None = None
    """The upper bound of (candidate's share - stable's share), in percentage points."""
    requests_needed: int | None = None
    """About how many more of the candidate's requests an unknown needs; None when that cannot be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All gates together: fail if one fails, pass if every blocking one passes, otherwise unknown."""

    answer: Answer
    gates: tuple[GateVerdict, ...] = ()
    reason: str = ""
