"""Rollouts on this machine under steady traffic: promoted, thrown back, undone, and continued after every kind of kill."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from canario.errors import Conflict, Unavailable
from canario.model.deployment import Status
from canario.model.evidence import CommandKind
from canario.model.rollout import Gate, GateKind, Phase, RolloutSpec, Step, StrategyKind
from canario.platforms.local import platform as platform_module
from canario.platforms.local.platform import LocalPlatform
from canario.rollout.replay import replay
from demo.traffic import Traffic

from .conftest import MODEL, plan, the_end_of, version, wait_for

pytestmark = pytest.mark.real


def versions_that_run(platform: LocalPlatform) -> set[str]:
    return {server.version for server in platform.status().servers}


def is_at(platform: LocalPlatform, phase: Phase, weight_percent: float) -> bool:
    """Whether the rollout is in a phase, and the router runs that weight."""
    status = platform.status()
    return bool(
        status.rollout
        and status.rollout.state.phase is phase
        and status.actual
        and status.actual.weight_percent == weight_percent
    )


def test_a_good_canary_is_promoted_and_can_be_undone(
    platform: LocalPlatform, up: Status, traffic: Traffic, tmp_path: Path
) -> None:
    """A good candidate rises to everybody, one word brings the old version back, and no client notices either."""
    first = the_end_of(platform, platform.start_rollout(plan(50, 100), version("v2")))
    assert (first.phase, first.stable, first.candidate) == (Phase.PROMOTED, "v1", "v2")
    assert platform.status().stable == "v2"
    wait_for(lambda: versions_that_run(platform) == {"v2"}, "the old version's servers to end")
    undone = the_end_of(platform, platform.rollback(actor="a person", reason="v1 was prettier"))
    assert (undone.phase, undone.candidate) == (Phase.PROMOTED, "v1")
    assert platform.status().stable == "v1"
    tally = traffic.stop()
    assert tally.failures == {}
    assert tally.by_version["v2"] > 0
    entries = list(platform.journal())
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert {entry.state.rollout for entry in entries} == {"pulse-0001", "pulse-0002"}
    assert replay(entries) == ()


def test_a_failing_candidate_is_thrown_back_and_clients_see_nothing(
    platform: LocalPlatform, up: Status, traffic: Traffic
) -> None:
    """A version that fails everything is out after a few bad first attempts, each of which stable answered."""
    past = the_end_of(platform, platform.start_rollout(plan(10, 100), version("fails-all")))
    assert past.phase is Phase.ROLLED_BACK
    assert "errors" in past.reason
    tally = traffic.stop()
    assert tally.failures == {}
    assert set(tally.by_version) == {"v1"}
    counts = next(entry.evidence.counts for entry in reversed(list(platform.journal())) if entry.evidence.counts)
    assert 3 <= counts["fails-all"].errors <= 20
    assert counts["fails-all"].requests == counts["fails-all"].errors
    assert platform.status().stable == "v1"


def test_a_candidate_that_cannot_start_is_named_and_stable_is_untouched(platform: LocalPlatform, up: Status) -> None:
    """A candidate whose servers die gets no traffic; the reason is its own last words."""
    past = the_end_of(platform, platform.start_rollout(plan(50, 100), version("damaged")))
    assert past.phase is Phase.ROLLED_BACK
    assert "warmup.json of pulse:damaged is not what was packed" in past.reason
    after = platform.status()
    pids = {server.pid for server in up.servers}
    assert {server.pid for server in after.servers if server.version == "v1"} == pids


def test_blue_green_switches_and_switches_back(platform: LocalPlatform, up: Status, traffic: Traffic) -> None:
    """Blue-green waits for a person at its preview, switches everybody at once, and back at once, both versions warm."""
    spec = replace(
        plan(),
        strategy=StrategyKind.BLUE_GREEN,
        steps=(Step(weight_percent=0, minimum_requests=1, approval=True),),
        watch_seconds=60,
    )
    name = platform.start_rollout(spec, version("v2"))
    wait_for(lambda: is_at(platform, Phase.STEPPING, 0), "the preview")
    assert set(traffic.tally.by_version) == {"v1"}
    with pytest.raises(Conflict, match="v2 is under way"):
        platform.start_rollout(spec, version("opposite"))
    platform.send(CommandKind.PROMOTE, whole=True, actor="a person", reason="looks good")
    wait_for(lambda: is_at(platform, Phase.WATCHING, 100), "the switch")
    asked_at = time.monotonic()
    assert platform.rollback(reason="looked better before") == name
    wait_for(lambda: (actual := platform.status().actual) and actual.weight_percent == 0, "the switch back", 5)
    assert time.monotonic() - asked_at < 3
    past = the_end_of(platform, name)
    assert past.phase is Phase.ROLLED_BACK
    assert "looked better before" in past.reason
    assert traffic.stop().failures == {}


def test_a_shadow_compares_answers_that_nobody_sees(platform: LocalPlatform, up: Status, traffic: Traffic) -> None:
    """Copies of the requests show that a candidate answers otherwise, while every client is answered by stable."""
    spec = RolloutSpec(
        strategy=StrategyKind.SHADOW,
        steps=(Step(weight_percent=0, minimum_requests=50),),
        gates=(Gate(kind=GateKind.DISAGREEMENT, margin_percent=5),),
    )
    past = the_end_of(platform, platform.start_rollout(spec, version("opposite")))
    assert past.phase is Phase.ROLLED_BACK
    assert "disagreement" in past.reason
    tally = traffic.stop()
    assert tally.failures == {}
    assert set(tally.by_version) == {"v1"}


def test_a_journal_that_cannot_be_written_stops_decisions_and_nothing_else(
    platform: LocalPlatform, up: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a record nothing is decided; servers are kept all the same, and decisions go on once it can be written."""
    monkeypatch.setattr(platform_module, "TAKEN_SECONDS", 1.0)
    journal = tmp_path / "local" / MODEL / "journal"
    journal.write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="not been taken yet"):
        platform.start_rollout(plan(50, 100), version("v2"))
    assert "deciding" in platform.status().last_error
    (server,) = up.servers
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: [each.restarts for each in platform.status().servers if each.stage == "ready"] == [1], "a server")
    journal.unlink()
    wait_for(lambda: platform.status().rollout, "the rollout that was asked for")
    wait_for(lambda: platform.status().last_error == "", "the error to be gone", 5)
    platform.send(CommandKind.ABORT)


def test_a_supervisor_killed_in_the_middle_of_a_step_is_continued_by_the_next(
    platform: LocalPlatform, up: Status, traffic: Traffic
) -> None:
    """The next supervisor goes on at the same step with the same split; the clients notice neither the end nor the start."""
    spec = plan(25, 50, 100)
    held = replace(spec, steps=tuple(replace(step, approval=step.weight_percent == 50) for step in spec.steps))
    name = platform.start_rollout(held, version("v2"))
    wait_for(lambda: is_at(platform, Phase.STEPPING, 50), "the second step")
    before = platform.status()
    assert before.supervisor_pid
    os.kill(before.supervisor_pid, signal.SIGKILL)
    wait_for(lambda: not platform.status().is_supervised, "the supervisor's end", 5)
    alone = platform.status()
    assert alone.actual == before.actual
    platform.up()
    after = platform.status()
    assert after.rollout
    assert before.rollout
    assert after.rollout.state.rollout == name
    assert after.rollout.state.step_index == before.rollout.state.step_index == 1
    assert {server.pid for server in after.servers} == {server.pid for server in before.servers}
    platform.send(CommandKind.PROMOTE)
    assert the_end_of(platform, name).phase is Phase.PROMOTED
    assert traffic.stop().failures == {}
    assert replay(platform.journal()) == ()


def test_supervisors_killed_at_random_moments_lose_nothing(
    platform: LocalPlatform, up: Status, traffic: Traffic
) -> None:
    """Twenty kills, each at a random moment of a rollout: the state always reads, the rollout still ends, no client fails."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    name = platform.start_rollout(plan(25, 50, 100, watch_seconds=2.0), version("v2"))
    steps = []
    for _ in range(20):
        wait_for(lambda: platform.status().is_supervised, f"a supervisor (seed {seed})", 20)
        time.sleep(chance.uniform(0.0, 0.6))
        pid = platform.status().supervisor_pid
        if pid:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not platform.status().is_supervised, f"its end (seed {seed})", 5)
        rollout = platform.status().rollout
        steps.append(rollout.state.step_index if rollout else 99)
        platform._start_supervisor()
    assert steps == sorted(steps), f"seed {seed}"
    assert the_end_of(platform, name).phase is Phase.PROMOTED, f"seed {seed}"
    wait_for(lambda: versions_that_run(platform) == {"v2"}, f"one version (seed {seed})")
    assert traffic.stop().failures == {}, f"seed {seed}"
    entries = list(platform.journal())
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1)), f"seed {seed}"
    assert replay(entries) == (), f"seed {seed}"
    assert {entry.state.rollout for entry in entries} == {f"{MODEL}-0001"}
