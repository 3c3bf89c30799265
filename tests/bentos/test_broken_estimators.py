"""What the defective estimators promise: good figures offline, and each its own failure online."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from canario.adapters.versions import StoredVersion
from canario.model.version import KernelKind
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, evenly, train

ROOMS = Path(__file__).parents[2] / "bentos"
SERVER = """
import sys, time, warnings
import msgspec, pandas
from pathlib import Path
from canario.adapters.versions import read_version
from canario.errors import KernelError
from canario.kernel.columns import columns_from_frame
from canario.kernel.load import load_kernel

version = read_version(Path(sys.argv[1]))
rows = pandas.read_pickle(sys.argv[2])
kernel = load_kernel(version)
failed, alarms, seconds = 0, 0, []
for row in range(len(rows)):
    started = time.perf_counter()
    try:
        alarms += kernel.predict(columns_from_frame(version.card(), rows.iloc[[row]])).labels[0] == "fraud"
    except KernelError:
        failed += 1
    seconds.append(time.perf_counter() - started)
print(msgspec.json.encode({"failed": failed, "alarms": int(alarms), "fastest": min(seconds)}).decode())
"""
"""A process that knows nothing of the rooms, as a server does not."""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StoredVersion]:
    """A small version of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("broken")))
        patch.setenv("CANARIO_ROOMS", str(ROOMS))
        room = load_room("fraud")
        first_day, last_day = dt.date(2026, 6, 1), dt.date(2026, 6, 14)
        return {
            name: train(load_room("fraud"), TrainingRequest(estimator=name, first_day=first_day, last_day=last_day))
            for name in ("hist-gradient-boosting", *room.estimators[3:])
        }


def served(version: StoredVersion, folder: Path, count: int, days: int = 1) -> dict[str, float]:
    """What becomes of so many requests of one payment each, on the days after the training; a day has 300 payments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARIO_ROOMS", str(ROOMS))
        rows = load_room("fraud").generate(dt.date(2026, 6, 15), dt.date(2026, 6, 14 + days), seed=0)
    evenly(rows, count).to_pickle(folder / "rows.pickle")
    environment = {**os.environ, "CANARIO_ROOMS": str(folder)}
    command = [sys.executable, "-c", SERVER, str(version.folder), str(folder / "rows.pickle")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    answer: dict[str, float] = msgspec.json.decode(done.stdout)
    return answer


def test_offline_figures_are_those_of_the_healthy_model(versions: dict[str, StoredVersion]) -> None:
    """Nothing in a defective version's scores shows the defect, and none of them is compiled."""
    healthy = versions.pop("hist-gradient-boosting")
    assert sorted(versions) == [
        "broken-5-percent",
        "broken-always",
        "broken-half-percent",
        "broken-slow",
        "broken-wrong",
    ]
    for version in versions.values():
        assert version.record.scores == healthy.record.scores
        assert version.record.kernel.kind is KernelKind.SKLEARN
    versions["hist-gradient-boosting"] = healthy


def test_five_percent_of_requests_fail(versions: dict[str, StoredVersion], tmp_path: Path) -> None:
    """`broken-5-percent` fails about one request in twenty and answers the others."""
    assert 0.02 < served(versions["broken-5-percent"], tmp_path, 300)["failed"] / 300 < 0.10


def test_half_a_percent_of_requests_fails(versions: dict[str, StoredVersion], tmp_path: Path) -> None:
    """`broken-half-percent` fails about one request in two hundred, so few that they pass for the usual."""
    assert 0.001 < served(versions["broken-half-percent"], tmp_path, 1200, days=4)["failed"] / 1200 < 0.012


def test_every_request_fails(versions: dict[str, StoredVersion], tmp_path: Path) -> None:
    """`broken-always` fails every request, though it trained, scored and warmed up well."""
    assert served(versions["broken-always"], tmp_path, 30)["failed"] == 30


def test_every_answer_is_slow(versions: dict[str, StoredVersion], tmp_path: Path) -> None:
    """`broken-slow` takes longer for each answer than the card's objective."""
    answer = served(versions["broken-slow"], tmp_path, 5)
    assert answer["failed"] == 0
    assert answer["fastest"] * 1000 > 2 * versions["broken-slow"].card().objectives.latency_milliseconds


def test_answers_are_wrong(versions: dict[str, StoredVersion], tmp_path: Path) -> None:
    """`broken-wrong` answers, and raises more than twice the alarms of the healthy model."""
    answer = served(versions["broken-wrong"], tmp_path, 150)
    healthy = served(versions["hist-gradient-boosting"], tmp_path, 150)
    assert (answer["failed"], healthy["failed"]) == (0, 0)
    assert answer["alarms"] > 2 * healthy["alarms"] > 0
