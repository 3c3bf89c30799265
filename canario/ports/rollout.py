"""What the rollout loop on one machine needs of the world: to steer traffic, to run versions, to keep a journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from canario.model.evidence import Counts
from canario.model.split import Split


class Traffic(Protocol):
    """The router in front of a model's versions."""

    def ask(self, split: Split) -> None:
        """Ask for a split; returns before it has happened. Raises RouterError if the router refuses it."""

    def actual(self) -> Split | None:
        """The split that the router really runs, read back from it; None if it cannot be read."""

    def counts(self) -> Mapping[str, Counts] | None:
        """By version, cumulative and over restarts of the router; None if they cannot be read now."""


class Workloads(Protocol):
    """The servers of a model's versions."""

    def start(self, version: str) -> None:
        """Have the version's servers running; starting what runs changes nothing."""

    def stop(self, version: str) -> None:
        """Drain and stop the version's servers; stopping what is stopped changes nothing."""

    def running(self) -> tuple[str, ...]:
        """The versions that have servers, or whose servers still leave."""


class Readiness(Protocol):
    """How those servers are."""

    def ready(self) -> Mapping[str, int]:
        """By version: how many servers are warm. A version with servers that are not ready yet is there with 0."""

    def failures(self) -> Mapping[str, str]:
        """By version: why its servers cannot start, in words."""


class Journal(Protocol):
    """The append-only record of evidence, verdict and orders."""

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one entry durably before it returns."""
