"""What the router's counters say of each version: requests, errors and slow answers of first attempts; keeping it is for the tally."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from canario.adapters.envoy_admin import Sample
from canario.model.evidence import Counts

ATTEMPTS = "attempts"
SLOW = "slow"

FAILING_GRPC_CODES = frozenset({"2", "4", "12", "13", "14", "15"})
"""UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: the server's failures."""
CLIENT_FLAGS = frozenset({"DC", "DPE", "DR"})
"""Envoy's response flags for what clients do: leave, speak nonsense, reset."""


def is_error(tags: Mapping[str, str]) -> bool:
    """Whether a first attempt failed, from the tags of its counter.

    An attempt that was dealt to one version and answered by another failed: all servers of the first were out.
    """
    dealt = tags["cluster"].partition("/")[0]
    if tags["version"] != dealt:
        return True
    flags = set(tags["flags"].split(",")) - {"-", ""}
    if flags & CLIENT_FLAGS:
        return False
    code = int(tags["code"] or 0)
    return bool(flags) or code >= 500 or code == 0 or tags["grpc"] in FAILING_GRPC_CODES


def counts_of(samples: Iterable[Sample], route: str) -> dict[str, Counts]:
    """By version: the first attempts of the requests that came by a route."""
    tally: dict[str, list[int]] = {}
    for sample in samples:
        if sample.tags["route"] != route:
            continue
        figures = tally.setdefault(sample.tags["cluster"].partition("/")[0], [0, 0, 0])
        failed = is_error(sample.tags)
        if sample.name == ATTEMPTS:
            figures[0] += sample.value
            figures[1] += sample.value if failed else 0
        elif sample.name == SLOW and not failed:
            figures[2] += sample.value
    return {
        version: Counts(requests=requests, errors=errors, slow=slow)
        for version, (requests, errors, slow) in tally.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts that outlive Envoy: what ended processes counted, and what the present one has counted so far."""

    process: str = ""
    """The name of the present process."""
    before: Mapping[str, Counts] = field(default_factory=dict)
    present: Mapping[str, Counts] = field(default_factory=dict)

    def then(self, process: str, present: Mapping[str, Counts]) -> Tally:
        """The tally after one more look."""
        before = self.before if process == self.process else self.total()
        return Tally(process=process, before=before, present=present)

    def total(self) -> dict[str, Counts]:
        """By version, over all processes."""
        return {
            version: _sum(self.before.get(version, Counts()), self.present.get(version, Counts()))
            for version in sorted({*self.before, *self.present})
        }


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(requests=one.requests + other.requests, errors=one.errors + other.errors, slow=one.slow + other.slow)
