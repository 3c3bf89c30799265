"""What people ask of a running model: to begin a rollout, to steer it, to take everything down; how it reaches a platform is the platform's own affair."""

from __future__ import annotations

from dataclasses import dataclass

from canario.model.deployment import ServedVersion
from canario.model.evidence import CommandKind
from canario.model.rollout import RolloutSpec


@dataclass(frozen=True, slots=True)
class StartRollout:
    """Begin a rollout of this candidate."""

    spec: RolloutSpec
    candidate: ServedVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A command for the running rollout; the engine decides what follows."""

    kind: CommandKind
    whole: bool = False
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TakeDown:
    """Drain and stop everything."""


@dataclass(frozen=True, slots=True)
class UsePrometheus:
    """Ask query gates at this address from now on."""

    url: str


Request = StartRollout | Wish | TakeDown | UsePrometheus


@dataclass(frozen=True, slots=True)
class Numbered:
    """A request and its place in the order."""

    number: int
    request: Request
