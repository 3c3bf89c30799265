"""Steady traffic to one model, and the ledger of all that the suite has sent; a scenario only says how much it wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

from canario.model.card import Card
from canario.model.feedback import Value
from canario.packaging.rooms import load_room
from demo.rows import sample_rows
from demo.traffic import Tally, Traffic

MODEL = "fraud"


@dataclass
class Ledger:
    """What clients have seen over the whole suite."""

    requests: int = 0
    failed: int = 0
    sent_again: int = 0
    """Requests that went out a second time because their connection broke."""
    by_protocol: Counter[str] = field(default_factory=Counter)
    by_version: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    """Pods that were deleted or killed while clients sent, by what they were and how."""

    def add(self, tally: Tally) -> None:
        """The tally of traffic that has ended."""
        self.requests += tally.requests
        self.failed += tally.failed
        self.sent_again += tally.sent_again
        self.by_protocol += tally.by_protocol
        self.by_version += tally.by_version
        self.failures += tally.failures

    def told(self) -> str:
        """All of it in a few lines."""
        return (
            f"{self.requests:,} requests ({dict(self.by_protocol)}), answered by {dict(sorted(self.by_version.items()))}\n"
            f"{self.failed} failed {dict(self.failures)}; {self.sent_again} sent again after a broken connection\n"
            f"killed meanwhile: {dict(sorted(self.killed.items()))}"
        )


@cache
def _rows() -> tuple[Card, list[dict[str, Value]]]:
    return load_room(MODEL).card, sample_rows(MODEL)


@contextmanager
def steady(
    target: str, ledger: Ledger | None, requests_per_second: float, *, sends_again: bool = False
) -> Iterator[Traffic]:
    """Half REST and half gRPC at a rate. With a ledger, a failed request fails the test; without one they are the point."""
    card, rows = _rows()
    traffic = Traffic(
        target=target,
        model=MODEL,
        card=card,
        rows=rows,
        requests_per_second=requests_per_second,
        sends_again=sends_again,
    )
    with traffic:
        yield traffic
    if ledger is not None:
        ledger.add(traffic.tally)
        assert not traffic.tally.failed, (
            f"{traffic.tally.failed} of {traffic.tally.requests}: {dict(traffic.tally.failures)}"
        )
