"""When late labels fail a promoted version it goes back, or a new one is asked for where the old version was no better."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from canario.model.evidence import Counts
from canario.model.journal import OrderKind
from canario.model.orders import AskForRetraining, Conclude
from canario.model.rollout import Gate, GateKind, Phase, RolloutState
from canario.rollout.decide import decide
from canario.rollout.explain import explain
from canario.rollout.replay import entry_of, replay
from tests.rollout.engine_moments import QUICK, STABLE, ended, in_phase

if TYPE_CHECKING:
    from tests.rollout.conftest import Rollout, World

LABELLED = replace(
    QUICK,
    gates=(*QUICK.gates, Gate(kind=GateKind.RECALL, margin_percent=10.0, blocking=False)),
    watch_missed_percent=30.0,
    watch_wrong_percent=20.0,
)


def watching(state: RolloutState) -> bool:
    return state.phase is Phase.WATCHING and state.step_since_seconds is not None


@pytest.fixture
def watched(rollout: type[Rollout], world: type[World]) -> Rollout:
    """A rollout in its watch. Stable has old truths, from before: there it missed one of ten."""
    old = Counts(requests=100_000, errors=90, labelled=20_000, wrong=300, positives=2000, missed=200)
    running = rollout(LABELLED, world(counts={"v1": old}))
    running.until(watching)
    return running


def truths(running: Rollout, version: str, positives: int, missed: int) -> None:
    """Truths arrive of answers that a version has given."""
    known = running.world.counts[version]
    running.world.counts[version] = replace(
        known,
        labelled=known.labelled + positives * 10,
        wrong=known.wrong + missed,
        positives=known.positives + positives,
        missed=known.missed + missed,
    )


def test_a_degraded_version_goes_back_to_a_better_one(watched: Rollout) -> None:
    """The new version misses half, the old one a quarter: everybody goes back to the old one."""
    truths(watched, "v1", 200, 50)
    truths(watched, "v2", 200, 100)
    decision = watched.look()
    assert decision.state.phase is Phase.RETURNING
    assert "recall: v2 100 of 200 (50 %): more than the limit of 30 %" in decision.state.reason
    assert not any(isinstance(order, AskForRetraining) for order in decision.orders)


def test_where_the_old_version_was_no_better_a_new_one_is_asked_for(watched: Rollout) -> None:
    """Both miss about half by the truths since the rollout began: nobody goes back, a retraining is asked for, with the figures."""
    truths(watched, "v1", 200, 96)
    truths(watched, "v2", 200, 100)
    decision = watched.look()
    assert decision.state.phase is Phase.WATCHING
    (order,) = (order for order in decision.orders if isinstance(order, AskForRetraining))
    assert order.rollout == "r1"
    assert "v2 misses too often and v1 was no better (v2 100 of 200 (50 %), so " in order.reason
    assert "v1 96 of 200 (48 %), so " in order.reason
    assert "the limit is 30 %" in order.reason
    assert watched.state.retraining_reason == order.reason


def test_the_rollout_then_ends_well_and_asks_until_then(watched: Rollout) -> None:
    """The watch goes on by errors and slow answers; the wish is repeated in every look, and with the end."""
    truths(watched, "v1", 200, 96)
    truths(watched, "v2", 200, 100)
    watched.look()
    asked = len(watched.decisions)
    state = watched.until(ended)
    assert state.phase is Phase.PROMOTED
    assert "a retraining was asked for, as v2 misses too often" in state.reason
    for decision in watched.decisions[asked:]:
        assert [order for order in decision.orders if isinstance(order, AskForRetraining)]
    assert [type(order) for order in watched.look().orders] == [AskForRetraining, Conclude]


def test_errors_still_throw_back_after_a_retraining_was_asked_for(watched: Rollout) -> None:
    """That both versions miss too much is no pardon for failing requests."""
    truths(watched, "v1", 200, 96)
    truths(watched, "v2", 200, 100)
    watched.look()
    watched.world.bad["v2"] = 0.5
    watched.world.run(2)
    assert watched.look().state.phase is Phase.RETURNING
    assert watched.until(ended).phase is Phase.ROLLED_BACK
    assert watched.world.split == STABLE


@pytest.mark.parametrize(("positives", "missed"), [(0, 0), (8, 4), (200, 40)])
def test_no_better_must_be_shown(watched: Rollout, positives: int, missed: int) -> None:
    """With no truths of the old version, too few of them, or good ones, the way is back."""
    truths(watched, "v1", positives, missed)
    truths(watched, "v2", 200, 100)
    assert watched.look().state.phase is Phase.RETURNING


def test_a_surely_worse_version_goes_back_though_the_old_one_fails_too(watched: Rollout) -> None:
    """Half missed is better than nine of ten missed."""
    truths(watched, "v1", 300, 150)
    truths(watched, "v2", 300, 270)
    assert watched.look().state.phase is Phase.RETURNING


def test_truths_from_before_the_rollout_do_not_count(watched: Rollout) -> None:
    """The old version's good past does not speak for it: it was another world."""
    assert watched.state.counts_at_start is not None
    assert watched.state.counts_at_start["v1"].positives == 2000
    truths(watched, "v1", 200, 100)
    truths(watched, "v2", 200, 100)
    assert watched.look().state.retraining_reason


def test_wrong_labels_are_judged_in_the_same_way(watched: Rollout) -> None:
    """A share of wrong labels above its limit goes back or asks too, whatever the classes."""
    for version in ("v1", "v2"):
        known = watched.world.counts[version]
        watched.world.counts[version] = replace(known, labelled=known.labelled + 400, wrong=known.wrong + 200)
    assert "v2 is wrong too often and v1 was no better" in watched.look().state.retraining_reason


def test_in_a_step_labels_are_compared_and_throw_back(rollout: type[Rollout], world: type[World]) -> None:
    """While both answer, a candidate that misses more than its share of what is missed goes back: there the old one is better."""
    running = rollout(LABELLED, world())
    running.until(in_phase(Phase.STEPPING, 1))
    running.until(lambda state: state.step_since_seconds is not None)
    truths(running, "v1", 100, 20)
    truths(running, "v2", 100, 60)
    decision = running.look()
    assert decision.state.phase is Phase.RETURNING
    assert (
        "recall: v2 60 of 100 (60 %), v1 20 of 100 (20 %): more than its share at a weight of 50 %"
        in decision.state.reason
    )


def test_the_journal_tells_it(watched: Rollout) -> None:
    """The wish is in the journal, is explained in words, and comes out the same when it is decided again."""
    truths(watched, "v1", 200, 96)
    truths(watched, "v2", 200, 100)
    before, evidence = watched.state, watched.world.evidence()
    decision = decide(LABELLED, before, evidence, watched.world.now_seconds)
    entry = entry_of(1, LABELLED, before, evidence, decision, watched.world.now_seconds)
    assert [order.kind for order in entry.orders] == [OrderKind.ASK_FOR_RETRAINING]
    assert replay([entry]) == ()
    assert any(
        sentence.startswith("Ordered: train a new version, as v2 misses too often") for sentence in explain(entry)
    )
    assert any("100 missed of 200 of the second class" in sentence for sentence in explain(entry))
