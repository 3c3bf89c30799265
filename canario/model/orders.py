"""Orders: what the engine wants done. Each may be carried out twice with the same result; a decision repeats it until it has happened."""

from __future__ import annotations

from dataclasses import dataclass

from canario.model.rollout import Phase
from canario.model.split import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class StartVersion:
    """Have servers of this version running and warm."""

    version: str
    servers: int | None = None
    """At least so many, where their number can change; None: as many as the platform has of a version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSplit:
    """Have the router run this split."""

    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class StopVersion:
    """Drain this version's servers and stop them; never ordered while the router may still send to it."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """The rollout has ended; from now on `stable` answers by default."""

    phase: Phase
    stable: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForRetraining:
    """Have a new version trained on fresh truths: neither version keeps to the plan's limit. Once a rollout, however often it is ordered."""

    rollout: str
    reason: str


Order = StartVersion | SetSplit | StopVersion | AskForRetraining | Conclude
