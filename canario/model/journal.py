"""The journal's entry: one decision with all that led to it, so that it can be explained, and taken again offline; writing it is for platforms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from canario.model.evidence import Evidence
from canario.model.orders import AskForRetraining, Conclude, Order, SetSplit, StartVersion, StopVersion
from canario.model.rollout import Phase, RolloutSpec, RolloutState
from canario.model.split import Split
from canario.model.verdict import Verdict


class OrderKind(StrEnum):
    """The orders, as words."""

    START = "start"
    SET_SPLIT = "set-split"
    STOP = "stop"
    ASK_FOR_RETRAINING = "ask-for-retraining"
    CONCLUDE = "conclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """An order as it is written down: one shape for all kinds, as JSON carries no types."""

    kind: OrderKind
    version: str = ""
    """START and STOP: which one. CONCLUDE: who answers by default from now on."""
    split: Split | None = None
    """SET_SPLIT only."""
    phase: Phase | None = None
    """CONCLUDE only."""
    reason: str = ""
    """CONCLUDE and ASK_FOR_RETRAINING only."""
    servers: int | None = None
    """START only: at least so many."""


def record_of(order: Order) -> OrderRecord:
    """An order, to be written down."""
    match order:
        case StartVersion():
            return OrderRecord(kind=OrderKind.START, version=order.version, servers=order.servers)
        case StopVersion():
            return OrderRecord(kind=OrderKind.STOP, version=order.version)
        case SetSplit():
            return OrderRecord(kind=OrderKind.SET_SPLIT, split=order.split)
        case AskForRetraining():
            return OrderRecord(kind=OrderKind.ASK_FOR_RETRAINING, reason=order.reason)
        case Conclude():
            return OrderRecord(kind=OrderKind.CONCLUDE, version=order.stable, phase=order.phase, reason=order.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One decision: what was known, what was concluded, what was ordered."""

    number: int
    """Rises by one with each entry of a model's journal, from 1, over all its rollouts."""
    at_seconds: float
    """The time that the decision was given, in seconds since 1970 (UTC)."""
    spec: RolloutSpec
    state: RolloutState
    """Before the decision."""
    evidence: Evidence
    verdict: Verdict
    orders: tuple[OrderRecord, ...]
    after: RolloutState
    """The state that was stored before the orders were carried out."""
