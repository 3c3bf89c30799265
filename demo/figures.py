"""The figures of a rollout's end, read from its journal: how long the decision took, and how many requests it needed."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from canario.model.evidence import Counts
from canario.model.journal import JournalEntry
from canario.model.rollout import Phase
from canario.platforms.local.platform import LocalPlatform

OUTCOMES = {Phase.RETURNING: "thrown back", Phase.WATCHING: "promoted"}
"""The phases that a decision leads to, and how the table calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFigures:
    """One rollout as the closing table shows it."""

    candidate: str
    outcome: str
    seconds_to_decision: float
    """From the first moment at which the router was seen to give the candidate a share."""
    requests: int
    """The candidate's requests until then, over all steps."""
    errors: int
    """Those of them that the candidate failed."""


def figures_of(model: str, candidate: str) -> RolloutFigures:
    """The figures of the last rollout of a candidate.

    Raises ValueError when the journal holds no decision about it.
    """
    entries = [
        entry
        for entry in (msgspec.convert(raw, JournalEntry) for raw in LocalPlatform(model).journal())
        if entry.state.candidate == candidate
    ]
    decided = next((entry for entry in entries if entry.after.phase in OUTCOMES), None)
    if decided is None:
        raise ValueError(f"the journal of {model} holds no decision about {candidate}")
    counted_from = next(entry.after for entry in entries if entry.after.step_since_seconds is not None)
    first, last = (source.get(candidate, Counts()) for source in (counted_from.baseline, decided.evidence.counts or {}))
    return RolloutFigures(
        candidate=candidate,
        outcome=OUTCOMES[decided.after.phase],
        seconds_to_decision=decided.at_seconds - (counted_from.step_since_seconds or 0.0),
        requests=(last - first).requests,
        errors=(last - first).errors,
    )
