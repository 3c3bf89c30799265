"""Take recorded decisions again from their own evidence, and say where the answer differs; reading the journal is for its keeper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isclose

from canario.model.evidence import Evidence
from canario.model.journal import JournalEntry, record_of
from canario.model.rollout import RolloutSpec, RolloutState
from canario.rollout.decide import Decision, decide

_TOLERANCE = 1e-9
"""Logarithms differ in the last digits from one C library to the next; a decision does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A place where a decision, taken again, is another."""

    number: int
    """The entry's."""
    at: str
    """The field, such as `after.phase`."""
    recorded: str
    taken_again: str


def entry_of(
    number: int, spec: RolloutSpec, before: RolloutState, evidence: Evidence, decision: Decision, now_seconds: float
) -> JournalEntry:
    """What to write down of decide(spec, before, evidence, now_seconds) = decision."""
    return JournalEntry(
        number=number,
        at_seconds=now_seconds,
        spec=spec,
        state=before,
        evidence=evidence,
        verdict=decision.verdict,
        orders=tuple(record_of(order) for order in decision.orders),
        after=decision.state,
    )


def replay(entries: Iterable[JournalEntry]) -> tuple[Mismatch, ...]:
    """Decide every entry again; empty when all decisions are the recorded ones. Entries may be missing in between."""
    return tuple(mismatch for entry in entries for mismatch in _compare(entry))


def _compare(entry: JournalEntry) -> Iterator[Mismatch]:
    decision = decide(entry.spec, entry.state, entry.evidence, entry.at_seconds)
    again = entry_of(entry.number, entry.spec, entry.state, entry.evidence, decision, entry.at_seconds)
    if again == entry:
        return
    for at, recorded, taken_again in _differences("", entry, again):
        yield Mismatch(number=entry.number, at=at, recorded=repr(recorded), taken_again=repr(taken_again))


def _differences(at: str, recorded: object, again: object) -> Iterator[tuple[str, object, object]]:
    """Where two nouns differ, field by field, with numbers compared to nine digits."""
    if is_dataclass(recorded) and type(recorded) is type(again):
        for field in fields(recorded):
            yield from _differences(
                f"{at}.{field.name}".lstrip("."), getattr(recorded, field.name), getattr(again, field.name)
            )
    elif isinstance(recorded, Mapping) and isinstance(again, Mapping) and recorded.keys() == again.keys():
        for key in recorded:
            yield from _differences(f"{at}.{key}", recorded[key], again[key])
    elif isinstance(recorded, tuple) and isinstance(again, tuple) and len(recorded) == len(again):
        for index, (left, right) in enumerate(zip(recorded, again, strict=True)):
            yield from _differences(f"{at}[{index}]", left, right)
    elif isinstance(recorded, float) and isinstance(again, float):
        if not isclose(recorded, again, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
            yield at, recorded, again
    elif recorded != again:
        yield at, recorded, again
