"""A soak: ten rollouts of every kind under steady REST and gRPC traffic, with kill -9 of servers and supervisors; it counts failures.

    python -m benchmarks.soak --requests 200000

A control arm sends the same traffic past the same kills through the same router without its recipe (no retry, no health
check, no ejection). It has to fail some, or the soak would not be seen to see.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from benchmarks.chaos import Chaos
from benchmarks.control import control_arm
from benchmarks.machine import versions_line
from canario.adapters.versions import StoredVersion, find_version
from canario.model.evidence import CommandKind
from canario.model.rollout import GateKind, Phase, RolloutSpec
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import free_port
from canario.rollout.plan import blue_green, canary, shadow
from demo.rows import sample_rows
from demo.traffic import Traffic

MODEL = "fraud"
ESTIMATORS = {"v1": "", "v2": "", "v3": "broken-always", "v4": "broken-5-percent"}
PATIENCE_SECONDS = 240.0


class Soak:
    """The ten rollouts, one after the other, on one platform."""

    def __init__(self, model: LocalPlatform, traffic: Traffic, chaos: Chaos, port: int) -> None:
        self._platform = model
        self._traffic = traffic
        self._chaos = chaos
        self._port = port

    def run(self) -> None:
        """All ten. Raises AssertionError when one ends in another way than it must."""
        acts: tuple[tuple[str, Callable[[], None]], ...] = (
            ("canary of v2, promoted", lambda: self._canary("v2", Phase.PROMOTED)),
            ("canary of v1, aborted by hand in its first step", self._aborted),
            ("canary of v3, which fails all: thrown back", lambda: self._canary("v3", Phase.ROLLED_BACK)),
            ("canary of v1, promoted whole by hand", self._promoted_by_hand),
            ("blue-green of v2: preview, one switch", self._switched),
            ("rollback to v1 by command", self._rolled_back_by_hand),
            ("canary of v4, which fails 5 %: thrown back", lambda: self._canary("v4", Phase.ROLLED_BACK)),
            ("canary of v2, thrown back by hand in its watch", self._aborted_in_watch),
            ("shadow of v2: copies compared, no switch", self._shadowed),
            ("canary of v2 with the supervisor killed in every step", self._unsupervised),
        )
        for number, (title, act) in enumerate(acts, start=1):
            began = time.monotonic()
            act()
            tally = self._traffic.tally
            print(
                f"{number:>2}  {title:<56} {time.monotonic() - began:6.1f} s   "
                f"{tally.requests:>8,} requests   {tally.failed} failed   "
                f"{self._chaos.servers_killed} servers and {self._chaos.supervisors_killed} supervisors killed",
                *(f"\n    {count} x {failure}" for failure, count in tally.failures.items()),
                flush=True,
            )

    def _canary(self, tag: str, expected: Phase) -> None:
        self._start(soak_plan(), tag)
        self._ends_in(expected)

    def _aborted(self) -> None:
        self._start(soak_plan(minimum_requests=10**6), "v1")
        self._until(lambda: self._weight() == 10.0)
        time.sleep(2.0)
        self._platform.send(CommandKind.ABORT, actor="soak")
        self._ends_in(Phase.ROLLED_BACK)

    def _promoted_by_hand(self) -> None:
        self._start(soak_plan(minimum_requests=10**6), "v1")
        self._until(lambda: self._weight() == 10.0)
        self._platform.send(CommandKind.PROMOTE, whole=True, actor="soak")
        self._until(lambda: self._weight() == 100.0)
        self._platform.send(CommandKind.PROMOTE, actor="soak")
        self._ends_in(Phase.PROMOTED)

    def _switched(self) -> None:
        plan = blue_green()
        self._start(replace(plan, watch_seconds=5.0, watch_error_percent=50.0, watch_slow_percent=100.0), "v2")
        self._until(lambda: self._phase() is Phase.STEPPING)
        row = sample_rows(MODEL, most=1)
        with httpx.Client(trust_env=False) as client:
            while self._phase() is Phase.STEPPING:
                answer = client.post(
                    f"http://127.0.0.1:{self._port}/predict", json={"rows": row}, headers={"x-canario-version": "v2"}
                )
                assert answer.status_code in (200, 503), answer.text  # its one server may just have been killed
                time.sleep(0.005)
        self._ends_in(Phase.PROMOTED)

    def _rolled_back_by_hand(self) -> None:
        self._platform.rollback("v1", actor="soak")
        self._ends_in(Phase.PROMOTED)

    def _aborted_in_watch(self) -> None:
        self._start(replace(soak_plan(), watch_seconds=600.0), "v2")
        self._until(lambda: self._phase() is Phase.WATCHING)
        time.sleep(2.0)
        self._platform.rollback(actor="soak")
        self._ends_in(Phase.ROLLED_BACK)

    def _shadowed(self) -> None:
        plan = shadow()
        steps = tuple(replace(step, minimum_requests=300) for step in plan.steps)
        self._start(replace(plan, steps=steps), "v2")
        self._ends_in(Phase.COMPLETED)

    def _unsupervised(self) -> None:
        self._start(soak_plan(), "v2")
        for phase, weight in ((Phase.STEPPING, 10.0), (Phase.STEPPING, 50.0), (Phase.WATCHING, 100.0)):
            self._until(lambda phase=phase, weight=weight: (self._phase(), self._weight()) == (phase, weight))  # type: ignore[misc]  # mypy knows no default of a lambda
            self._chaos.kill_supervisor()
        self._ends_in(Phase.PROMOTED)

    def _start(self, spec: RolloutSpec, tag: str) -> None:
        self._platform.start_rollout(spec, find_version(f"{MODEL}:{tag}"))

    def _ends_in(self, expected: Phase) -> None:
        self._until(lambda: self._platform.status().rollout is None)
        past = self._platform.status().past[-1]
        assert past.phase is expected, f"{past.candidate} ended {past.phase.value}, not {expected.value}: {past.reason}"

    def _phase(self) -> Phase | None:
        rollout = self._platform.status().rollout
        return rollout.state.phase if rollout else None

    def _weight(self) -> float | None:
        actual = self._platform.status().actual
        return actual.weight_percent if actual else None

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            status = self._platform.status()
            assert time.monotonic() < deadline, f"waited for {PATIENCE_SECONDS:g} s; it stands at {status}"
            time.sleep(0.1)


def soak_plan(minimum_requests: int = 200) -> RolloutSpec:
    """A short canary that forgives deaths in its watch: the soak kills on purpose, and looks at what clients see of it."""
    plan = canary()
    return replace(
        plan,
        steps=tuple(replace(step, minimum_requests=minimum_requests) for step in plan.steps),
        gates=tuple(gate for gate in plan.gates if gate.kind is GateKind.ERRORS),
        watch_seconds=5.0,
        watch_error_percent=50.0,
        watch_slow_percent=100.0,
    )


@contextmanager
def homes() -> Iterator[Path]:
    """A folder of the soak's own for versions and platforms."""
    with tempfile.TemporaryDirectory(prefix="canario-soak-") as name:
        os.environ["CANARIO_HOME"], os.environ["BENTOML_HOME"] = f"{name}/canario", f"{name}/bentoml"
        yield Path(name)


def trained() -> dict[str, StoredVersion]:
    """The four versions."""
    room = load_room(MODEL)
    return {
        tag: train(room, TrainingRequest(estimator=estimator, tag=tag, seed=number))
        for number, (tag, estimator) in enumerate(ESTIMATORS.items())
    }


def main() -> int:
    """Run both arms; 0 when the soak saw no failed request and the control arm saw some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--requests-per-second", type=float, default=350.0)
    parser.add_argument("--control-seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    flags = parser.parse_args()
    print(f"seed {flags.seed}; {versions_line()}; {platform.machine()}, {os.cpu_count()} cores", flush=True)
    with homes() as folder:
        versions = trained()
        rows, card = sample_rows(MODEL), versions["v1"].card()
        control = control_arm(versions["v1"], rows, folder, flags.control_seconds, flags.seed)
        print(f"control arm, without the recipe: {control.requests:,} requests, {control.failed:,} failed", flush=True)
        model, port = LocalPlatform(MODEL), free_port()
        try:
            model.up(versions["v1"], port=port)
            traffic = Traffic(
                target=f"127.0.0.1:{port}",
                model=MODEL,
                card=card,
                rows=rows,
                requests_per_second=flags.requests_per_second,
            )
            with traffic, Chaos(model, random.Random(flags.seed)) as chaos:
                Soak(model, traffic, chaos, port).run()
                while traffic.tally.requests < flags.requests:
                    time.sleep(1.0)
        finally:
            model.down()
    tally = traffic.tally
    print(f"{tally.requests:,} requests ({dict(tally.by_protocol)}), answered by {dict(tally.by_version)}")
    print(f"{chaos.servers_killed} servers and {chaos.supervisors_killed} supervisors killed with kill -9")
    print(f"failed at the clients: {tally.failed} {dict(tally.failures)}; slowest answer {tally.slowest_seconds:.2f} s")
    return 0 if not tally.failed and control.failed else 1


if __name__ == "__main__":
    sys.exit(main())
