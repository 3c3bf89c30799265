"""What the router's counters mean: requests, errors and slow answers of first attempts, a version; reading them is for the admin port.

A first attempt is counted for the version that it was dealt to, whoever answered the client in the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from urllib.parse import unquote

from canario.adapters.envoy_admin import Sample
from canario.model.evidence import Counts
from canario.model.split import Split
from canario.router.bootstrap import SLOW, UNSERVED
from canario.router.clusters import Role
from canario.router.routes import SPLIT_ROUTE

FAILING_GRPC_CODES = frozenset({"1", "2", "4", "12", "13", "14", "15"})
"""CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: the server's failures, not the client's.

A client that cancels resets its stream: then there is no code at all.
"""

CountsByVersion = Mapping[str, Counts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """First attempts by version, kept apart by why they went there; cumulative."""

    split: CountsByVersion = field(default_factory=dict)
    """Dealt by the split: a random sample of the traffic, unless the split is sticky."""
    named: CountsByVersion = field(default_factory=dict)
    """The client asked for this version: no random sample, so no evidence for a judge."""
    shadow: CountsByVersion = field(default_factory=dict)
    """Copies that nobody waits for."""

    def __add__(self, other: Seen) -> Seen:
        return Seen(**{each.name: _sum(getattr(self, each.name), getattr(other, each.name)) for each in fields(self)})

    def for_rollout(self, split: Split | None = None) -> CountsByVersion:
        """What a rollout is judged by: requests that the split dealt, and copies. A candidate gets one or the other.

        A preview gets neither: a candidate that the split deals nothing is judged by the requests that name it.
        """
        dealt = _sum(self.split, self.shadow)
        if split is None or not split.candidate or split.weight_percent or split.shadow_percent:
            return dealt
        return _sum(dealt, {split.candidate: self.named.get(split.candidate, Counts())})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was seen, over restarts of Envoy: by processes that have ended, and by the present one so far."""

    process: str = ""
    """The name of the present process."""
    before: Seen = field(default_factory=Seen)
    present: Seen = field(default_factory=Seen)

    def then(self, process: str, present: Seen) -> Tally:
        """The tally after one more look."""
        before = self.before if process == self.process else self.total()
        return Tally(process=process, before=before, present=present)

    def total(self) -> Seen:
        return self.before + self.present


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterTallies:
    """What several Envoys have seen, over their restarts: the last look at each process that there ever was."""

    last: Mapping[str, Seen] = field(default_factory=dict)
    """By process name, which begins with the router's address."""
    ended: Seen = field(default_factory=Seen)
    """Of processes that will never be looked at again."""

    def then(self, process: str, seen: Seen) -> RouterTallies:
        """The tallies after one more look at one process; another one at its address has ended by then."""
        address = process.rpartition(" ")[0]
        kept = self._without([each for each in self.last if each != process and each.rpartition(" ")[0] == address])
        return RouterTallies(last={**kept.last, process: seen}, ended=kept.ended)

    def at(self, addresses: Collection[str]) -> RouterTallies:
        """The same total, kept short: routers live at these addresses only (`host:port`), all others have ended."""
        return self._without([process for process in self.last if process.rpartition(" ")[0] not in addresses])

    def total(self) -> Seen:
        return sum(self.last.values(), self.ended)

    def _without(self, gone: Collection[str]) -> RouterTallies:
        return RouterTallies(
            last={process: seen for process, seen in self.last.items() if process not in gone},
            ended=sum((self.last[process] for process in gone), self.ended),
        )


def seen_in(samples: Iterable[Sample]) -> Seen:
    """What one process has counted so far."""
    seen: dict[str, dict[str, Counts]] = {"split": {}, "named": {}, "shadow": {}}
    for sample in samples:
        version, _, role = sample.tags["cluster"].split("/")
        failed = is_error(sample)
        if sample.name == SLOW:
            counts = Counts(slow=0 if failed else sample.value)
        else:
            counts = Counts(requests=sample.value, errors=sample.value if failed else 0)
        way = "shadow" if role == Role.SHADOW else "split" if sample.tags["route"] == SPLIT_ROUTE else "named"
        seen[way] = _sum(seen[way], {unquote(version): counts})
    return Seen(**seen)


def is_error(sample: Sample) -> bool:
    """Whether the attempts of a counter failed, by its tags.

    Answered by another version than it was dealt to: an error, all servers of the first were out.
    Neither status nor flag: the client left before there was an answer, which says nothing against the server.
    """
    tags = sample.tags
    if sample.name == UNSERVED or tags["version"] != tags["cluster"].partition("/")[0]:
        return True
    broke_off = tags["flags"] not in ("", "-")
    return broke_off or int(tags["code"] or 0) >= 500 or tags["grpc"] in FAILING_GRPC_CODES


def _sum(one: CountsByVersion, other: CountsByVersion) -> dict[str, Counts]:
    return {
        version: Counts(
            requests=sum(counts.requests for counts in both),
            errors=sum(counts.errors for counts in both),
            slow=sum(counts.slow for counts in both),
        )
        for version in sorted({*one, *other})
        for both in [(one.get(version, Counts()), other.get(version, Counts()))]
    }
