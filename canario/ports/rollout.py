"""What the rollout loop needs of a platform: to steer traffic, to run versions, to read evidence, to keep a journal, to tell the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from canario.model.evidence import Comparison, Counts
from canario.model.split import Split


class Traffic(Protocol):
    """The router in front of a model's versions."""

    def ask(self, split: Split) -> None:
        """Ask for a split; returns before it has happened. Raises RouterError if the router refuses it."""

    def actual(self) -> Split | None:
        """The split that the router really runs, read back from it; None if it cannot be read."""


class Workloads(Protocol):
    """The servers of a model's versions."""

    def start(self, version: str) -> None:
        """Have the version's servers running; starting what runs changes nothing."""

    def stop(self, version: str) -> None:
        """Drain and stop the version's servers; stopping what is stopped changes nothing."""

    def ready(self) -> Mapping[str, int]:
        """By version: how many servers are warm. A version with servers that are not ready yet is there with 0."""

    def failures(self) -> Mapping[str, str]:
        """By version: why its servers cannot start, in words."""


class EvidenceSource(Protocol):
    """Where counts come from. They are cumulative and survive restarts of the router."""

    def counts(self) -> Mapping[str, Counts] | None:
        """By version, or None if they cannot be read now."""

    def comparison(self, stable: str, candidate: str) -> Comparison | None:
        """What shadow copies showed, or None if it cannot be read now."""


class Journal(Protocol):
    """The append-only record of evidence, verdict and orders."""

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one entry durably before it returns."""

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """Every whole entry, oldest first; a torn last line is left out."""


class Clock(Protocol):
    """The time, so that tests can hold it."""

    def now_seconds(self) -> float:
        """Seconds since 1970 (UTC)."""

    def wait(self, seconds: float) -> None:
        """Return after so many seconds."""
