"""What the tests of the local platform share: versions trained and packed once, a platform of their own, steady traffic."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canario.adapters.versions import StoredVersion, find_version
from canario.model.deployment import PastRollout, Status
from canario.model.rollout import Gate, GateKind, RolloutSpec, Step
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import find_processes, free_port
from demo.traffic import Traffic

MODEL = "pulse"
ROOMS = Path(__file__).parent / "rooms"
VERSIONS = {
    "v1": "healthy",
    "v2": "healthy",
    "opposite": "opposite",
    "fails-all": "fails-all",
    "damaged": "healthy",
}

TRAIN = """
import datetime as dt, sys
from canario.adapters.versions import find_version
from canario.packaging.bentos import build
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
room = load_room("pulse")
for seed, (tag, estimator) in enumerate(word.split("=") for word in sys.argv[1:]):
    day = dt.date(2026, 6, 1)
    train(room, TrainingRequest(estimator=estimator, first_day=day, last_day=day + dt.timedelta(5), seed=seed, tag=tag))
build(find_version("pulse:v1"))
"""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BentoML home with every version of VERSIONS, packed.

    One is built by BentoML; the other Bentos hold the same code, so they are copies with another version in them. The Bento
    of one has suffered since it was packed, and its servers cannot start.
    """
    home = tmp_path_factory.mktemp("bentoml")
    environment = {**os.environ, "BENTOML_HOME": str(home), "CANARIO_ROOMS": str(ROOMS)}
    words = [f"{tag}={estimator}" for tag, estimator in VERSIONS.items()]
    subprocess.run([sys.executable, "-c", TRAIN, *words], env=environment, check=True, timeout=110)
    built = home / "bentos" / MODEL / "v1"
    for tag in VERSIONS:
        packed = built.with_name(tag)
        if tag != "v1":
            shutil.copytree(built, packed)
            shutil.rmtree(packed / "src" / "version")
            shutil.copytree(home / "models" / MODEL / tag, packed / "src" / "version")
    (home / "bentos" / MODEL / "damaged" / "src" / "version" / "warmup.json").write_text("{}")
    return home


@pytest.fixture
def platform(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalPlatform]:
    """A local platform with homes of its own; whatever a test leaves is taken down, and nothing stays."""
    monkeypatch.setenv("BENTOML_HOME", str(store))
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    local = LocalPlatform(MODEL)
    yield local
    local.down()
    left = [process.mark for process in find_processes(tmp_path / "local" / MODEL)]
    assert left == []


@pytest.fixture
def up(platform: LocalPlatform) -> Status:
    """The platform's first version is up, with one server."""
    platform.up(version("v1"), port=free_port(), processes=1)
    return platform.status()


@pytest.fixture
def traffic(up: Status) -> Iterator[Traffic]:
    """Fifty requests a second over REST and gRPC, until the test has ended or stops it."""
    with traffic_to(up, requests_per_second=50) as running:
        yield running


def version(tag: str) -> StoredVersion:
    return find_version(f"{MODEL}:{tag}")


def traffic_to(status: Status, requests_per_second: float) -> Traffic:
    """People older than any that the versions were trained on: the ones for whom some of them go wrong."""
    chance = random.Random(1)
    rows = [
        {
            "rate": round(chance.uniform(50, 120), 1),
            "variation": round(chance.uniform(5, 150), 1),
            "age": float(chance.randint(101, 119)),
        }
        for _ in range(500)
    ]
    return Traffic(
        target=status.url.removeprefix("http://"),
        model=MODEL,
        card=version("v1").card(),
        rows=rows,
        requests_per_second=requests_per_second,
    )


def plan(*weights: float, watch_seconds: float = 1.0, minimum_requests: int = 20) -> RolloutSpec:
    """A canary that is content with little: the tests are about the platform, not about the judge."""
    return RolloutSpec(
        steps=tuple(Step(weight_percent=weight, minimum_requests=minimum_requests) for weight in weights),
        gates=(Gate(kind=GateKind.ERRORS, margin_percent=40),),
        watch_seconds=watch_seconds,
        watch_error_percent=50,
        watch_slow_percent=100,
    )


def wait_for(found: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Return once something is so; fail with what was waited for."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


def the_end_of(platform: LocalPlatform, rollout: str) -> PastRollout:
    """How a rollout ended, once it has."""

    def ended() -> list[PastRollout]:
        return [past for past in platform.status().past if past.rollout == rollout]

    wait_for(ended, f"the end of {rollout}")
    return ended()[0]
