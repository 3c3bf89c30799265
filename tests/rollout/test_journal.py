"""Every decision leaves a record that reads in plain words and replays to the same decision, elsewhere and later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from canario.model.evidence import CommandKind, Counts
from canario.model.journal import JournalEntry, OrderKind, record_of
from canario.model.orders import Conclude, Order, SetSplit, StartVersion, StopVersion
from canario.model.rollout import Phase
from canario.model.split import Split
from canario.rollout.explain import explain
from canario.rollout.plan import canary
from canario.rollout.replay import entry_of, replay

if TYPE_CHECKING:
    from tests.rollout.conftest import Rollout, World


def recorded(running: Rollout) -> list[JournalEntry]:
    """A rollout to its end, with an entry for each look, written and read again as JSON."""
    lines: list[bytes] = []
    while not running.state.phase.has_ended:
        before, evidence, now_seconds = running.state, running.world.evidence(), running.world.now_seconds
        decision = running.look()
        lines.append(
            msgspec.json.encode(entry_of(len(lines) + 1, running.spec, before, evidence, decision, now_seconds))
        )
        running.world.run(0.1)
    return [msgspec.json.decode(line, type=JournalEntry) for line in lines]


@pytest.fixture
def entries(rollout: type[Rollout], world: type[World]) -> list[JournalEntry]:
    """The journal of a rollout whose candidate fails 30 % of its requests, and which a person paused."""
    running = rollout(canary(), world(bad={"v2": 0.3}))
    running.until(lambda state: state.phase is Phase.STEPPING)
    running.world.command(CommandKind.PAUSE)
    return recorded(running)


@pytest.mark.parametrize(
    "order",
    [
        StartVersion(version="v2"),
        StopVersion(version="v1"),
        SetSplit(split=Split(stable="v1", candidate="v2", weight_percent=10.0)),
        Conclude(phase=Phase.PROMOTED, stable="v2", reason="it passed"),
    ],
)
def test_orders_are_written_down_whole(order: Order) -> None:
    """Each order has a record of one shape, which JSON gives back as it was."""
    record = record_of(order)
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record
    named = {
        OrderKind.START: StartVersion,
        OrderKind.STOP: StopVersion,
        OrderKind.SET_SPLIT: SetSplit,
        OrderKind.CONCLUDE: Conclude,
    }
    assert isinstance(order, named[record.kind])


def test_a_journal_replays_to_the_same_decisions(entries: list[JournalEntry]) -> None:
    """Decided again from their own evidence, all entries give the verdict, the orders and the state that were recorded."""
    assert replay(entries) == ()


def test_a_changed_record_is_found_out(entries: list[JournalEntry]) -> None:
    """An entry whose evidence was touched up replays to something else, and the place is named."""
    last = max((entry for entry in entries if entry.evidence.counts), key=lambda entry: entry.number)
    failing = next(entry for entry in entries if entry.after.phase is Phase.RETURNING)
    healthy = replace(
        failing.evidence,
        counts={
            version: Counts(requests=counts.requests) for version, counts in (failing.evidence.counts or {}).items()
        },
    )
    mismatches = replay([replace(failing, evidence=healthy), last])
    assert {mismatch.number for mismatch in mismatches} == {failing.number}
    assert "verdict.answer" in {mismatch.at for mismatch in mismatches}
    assert "after.phase" in {mismatch.at for mismatch in mismatches}


def test_the_last_digits_of_another_machine_are_no_mismatch(entries: list[JournalEntry]) -> None:
    """A logarithm that differs in its twelfth digit, as between C libraries, is the same decision."""
    entry = next(entry for entry in entries if any(entry.after.step_log_e_values.values()))
    nudged = {gate: value * (1 + 1e-12) for gate, value in entry.after.step_log_e_values.items()}
    assert replay([replace(entry, after=replace(entry.after, step_log_e_values=nudged))]) == ()


def test_a_rollback_explains_itself(entries: list[JournalEntry]) -> None:
    """Whoever was not there reads where it stood, what was counted, what that meant and what was ordered."""
    failing = next(entry for entry in entries if entry.after.phase is Phase.RETURNING)
    sentences = explain(failing)
    assert sentences[0].startswith("Rollout r1 of v2 over v1 was paused")
    assert sentences[1] == "The router ran 10 % v2 and the rest v1."
    assert any(sentence.startswith("Since this step's counting began v2 answered") for sentence in sentences)
    assert any(sentence.startswith("Failed, by the sequential test: errors: v2") for sentence in sentences)
    assert any(sentence.startswith("So it went from paused to returning") for sentence in sentences)
    assert sentences[-1] == "Ordered: the router is to run v1 for all."


def test_a_persons_word_is_explained(entries: list[JournalEntry]) -> None:
    """The entry that took a command names who asked for what."""
    entry = next(entry for entry in entries if entry.after.last_command > entry.state.last_command)
    assert "ana asked to pause (command 1)." in explain(entry)


def test_lost_evidence_is_explained(rollout: type[Rollout], world: type[World]) -> None:
    """When a source could not be read, the explanation says which, and that nothing followed from it."""
    running = rollout(canary(), world())
    running.until(lambda state: state.step_since_seconds is not None)
    running.world.is_blind = True
    before, evidence = running.state, running.world.evidence()
    entry = entry_of(1, running.spec, before, evidence, running.look(), running.world.now_seconds)
    assert (
        "Evidence was missing: the router's counts cannot be read; nothing is promoted or thrown back for that."
        in explain(entry)
    )
