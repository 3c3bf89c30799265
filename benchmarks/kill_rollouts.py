"""Kill a supervisor and the `canario rollout` command at random moments, by SIGKILL, and look at what they leave.

    python -m benchmarks.kill_rollouts --kills 100

Clients send all the while. After each kill the stored state must be readable, the journal whole and without a gap, and the
router must run versions that are ready; whoever comes next must go on. In the end no client may have seen a failed request,
and every decision must come out the same when it is decided again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import versions_line
from benchmarks.soak import MODEL, homes, soak_plan
from canario.adapters.versions import StoredVersion
from canario.errors import CanarioError
from canario.model.evidence import CommandKind
from canario.packaging.bentos import build
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import free_port
from canario.platforms.local.records import PlatformFiles
from canario.rollout.replay import replay
from demo.rows import sample_rows
from demo.traffic import Traffic

COMMAND = Path(sys.executable).with_name("canario")
LONGEST_LIFE_SECONDS = 2.5


class Killer:
    """Kills one after the other, and looks after each."""

    def __init__(self, model: LocalPlatform, versions: dict[str, StoredVersion], chance: random.Random) -> None:
        self._platform = model
        self._versions = versions
        self._chance = chance
        self.phases: Counter[str] = Counter()
        """Where the rollout stood when its supervisor was killed."""

    def kill_supervisor(self) -> None:
        """Let a rollout go on for a moment, kill who steers it, look, and start the next."""
        self._have_a_rollout()
        time.sleep(self._chance.uniform(0.0, LONGEST_LIFE_SECONDS))
        status = self._platform.status()
        if status.supervisor_pid:
            os.kill(status.supervisor_pid, signal.SIGKILL)
        self.phases[status.rollout.state.phase.value if status.rollout else "between rollouts"] += 1
        self._look()
        self._platform.up()

    def kill_command(self) -> None:
        """Kill a `canario rollout` while it asks, and look."""
        self._end_rollout()
        stable = self._platform.status().stable
        candidate = next(version for tag, version in self._versions.items() if tag != stable)
        command = subprocess.Popen(
            [COMMAND, "rollout", str(candidate.record.name)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(self._chance.uniform(0.0, 1.5))
        command.kill()
        command.wait()
        self._look()
        self.phases["in the command"] += 1

    def _have_a_rollout(self) -> None:
        status = self._platform.status()
        if status.rollout is None:
            candidate = next(version for tag, version in self._versions.items() if tag != status.stable)
            self._platform.start_rollout(replace(soak_plan(), watch_seconds=1.0), candidate)

    def _end_rollout(self) -> None:
        while self._platform.status().rollout is not None:
            with contextlib.suppress(CanarioError):  # it may have ended by itself meanwhile
                self._platform.send(CommandKind.ABORT, actor="benchmark")
            time.sleep(0.1)

    def _look(self) -> None:
        files = PlatformFiles.of(MODEL)
        assert files.deployment() is not None, "the state cannot be read"
        numbers = [entry.number for entry in self._platform.journal()]
        assert numbers == list(range(1, len(numbers) + 1)), "the journal has a gap or a double entry"
        actual = self._platform.status().actual
        assert actual is None or {actual.stable, actual.candidate} <= {*self._versions, ""}, f"half a split: {actual}"


def main() -> int:
    """Kill, look, and count; 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    flags = parser.parse_args()
    print(f"seed {flags.seed}; {versions_line()}", flush=True)
    chance = random.Random(flags.seed)
    with homes():
        room = load_room(MODEL)
        versions = {tag: train(room, TrainingRequest(tag=tag, seed=seed)) for seed, tag in enumerate(("v1", "v2"))}
        for version in versions.values():
            build(version)
        model, port = LocalPlatform(MODEL), free_port()
        killer = Killer(model, versions, chance)
        try:
            model.up(versions["v1"], port=port)
            traffic = Traffic(
                target=f"127.0.0.1:{port}",
                model=MODEL,
                card=versions["v1"].card(),
                rows=sample_rows(MODEL),
                requests_per_second=150.0,
            )
            with traffic:
                for _ in range(flags.kills):
                    chance.choices((killer.kill_supervisor, killer.kill_command), weights=(3, 1))[0]()
                tally = traffic.stop()
            mismatches = replay(tuple(model.journal()))
        finally:
            model.down()
    print(f"{flags.kills} kills: {dict(killer.phases)}")
    print(
        f"{tally.requests:,} requests, {tally.failed} failed {dict(tally.failures)}; {len(mismatches)} decisions differ"
    )
    return 1 if tally.failed or mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
