"""A retraining from labelled answers to a version: real payments, a real join, a real training; only what a rollout begins with is looked at here."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pytest

from canario.adapters.homes import feedback_file, predictions_folder
from canario.adapters.versions import find_version, prove, stored_versions
from canario.errors import Conflict, Unavailable, UsageError
from canario.feedback.join import Joiner
from canario.feedback.log import PredictionLog
from canario.feedback.store import FeedbackStore
from canario.model.feedback import Feedback, Prediction, prediction_id
from canario.model.retraining import Outcome, RetrainingRequest
from canario.packaging.publishing import Draft, publish_draft
from canario.packaging.rooms import EVENT_TIME, Room, load_room
from canario.retraining.act import Surroundings, rehearse, retrain
from canario.retraining.records import FileRetrainings

ROOMS = Path(__file__).parents[2] / "bentos"
FIRST_DAY, LAST_DAY = dt.date(2026, 6, 1), dt.date(2026, 7, 10)
"""Twelve thousand payments, some two hundred of them frauds: enough for a fifth to judge by."""
NOW_SECONDS = dt.datetime(2026, 7, 11, tzinfo=dt.UTC).timestamp()
ASKED = RetrainingRequest(days=90.0, reason="a test")
CLEAN, FRAUD = "clean", "fraud"

Answer = Callable[[str], str]


@pytest.fixture(scope="module")
def room() -> Room:
    """The fraud room."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARIO_ROOMS", str(ROOMS))
        return load_room("fraud")


@pytest.fixture(scope="module")
def payments(room: Room) -> pd.DataFrame:
    """What happened, in order of time."""
    return room.generate(FIRST_DAY, LAST_DAY, 7)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Homes of their own, and the project's rooms."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path / "canario"))
    monkeypatch.setenv("CANARIO_ROOMS", str(ROOMS))
    return tmp_path


@dataclass
class Platform:
    """What a retraining was given to work with, and what it did there."""

    room: Room
    begun: list[str] = field(default_factory=list)

    def around(self, **others: Any) -> Surroundings:
        """The usual surroundings, but for what a test says."""
        usual = Surroundings(
            history=Joiner(self.room.name, self.room.card.label),
            record=FileRetrainings(self.room.name),
            stable=lambda: "v1",
            publish=published,
            begin=self._begin,
            clock=lambda: NOW_SECONDS,
        )
        return replace(usual, **others)

    def _begin(self, tag: str) -> str:
        self.begun.append(tag)
        return f"{self.room.name}-{len(self.begun):04d}"


@pytest.fixture
def platform(room: Room) -> Platform:
    """Where v1 is stable."""
    return Platform(room)


def published(draft: Draft) -> str:
    """Into the store of this machine."""
    return publish_draft(draft).record.name.tag


def label_all(room: Room, payments: pd.DataFrame, answer: Answer) -> None:
    """Have v1 answered all payments, by their truth, and have every truth told."""
    log, names = PredictionLog(predictions_folder(room.name)), room.card.column_names
    at = [each.timestamp() for each in payments[EVENT_TIME]]
    truths = payments[room.card.label.name].tolist()
    rows = payments[list(names)].astype(object).where(payments[list(names)].notna(), None).to_dict("records")
    answered: list[Prediction] = []
    for number, (row, truth, moment) in enumerate(zip(rows, truths, at, strict=True)):
        label = answer(truth)
        answered.append(
            Prediction(
                prediction=prediction_id("v1", f"r{number}", 0),
                request=f"r{number}",
                row=0,
                model=room.name,
                version="v1",
                at_seconds=moment,
                label=label,
                score=0.9 if label == FRAUD else 0.1,
                shadow=False,
                values={str(name): value for name, value in row.items()},
            )
        )
    log.append(answered)
    log.close()
    FeedbackStore(feedback_file(room.name)).add_many(
        [
            Feedback(prediction=each.prediction, truth=truth, at_seconds=each.at_seconds + 60)
            for each, truth in zip(answered, truths, strict=True)
        ]
    )
    Joiner(room.name, room.card.label).catch_up()


def blind(_truth: str) -> str:
    """Answers as a model does that sees no fraud any more."""
    return CLEAN


def wise(truth: str) -> str:
    """Answers as a model does that nobody can better."""
    return truth


def silent(_: str) -> None:
    """Progress that nobody watches."""


def outcomes(record: FileRetrainings) -> list[Outcome | None]:
    """How all retrainings ended."""
    return [each.outcome for each in record.all()]


def test_what_beats_stable_becomes_a_version_and_a_rollout(
    room: Room, payments: pd.DataFrame, platform: Platform
) -> None:
    """Stable misses every fraud: a candidate that catches some is stored whole, rolled out, and on record with its figures."""
    label_all(room, payments, blind)
    done = retrain(room, ASKED, platform.around(), silent)
    assert done.outcome is Outcome.ROLLED_OUT
    assert platform.begun == [done.candidate]
    assert done.rollout == "fraud-0001"
    prove(find_version(f"fraud:{done.candidate}"))
    recall = next(each for each in done.figures if each.name == "recall")
    assert recall.stable == 0.0
    assert recall.low > 0.0
    assert done.lesson is not None
    assert done.lesson.rows == len(payments)
    assert done.lesson.positives == int((payments[room.card.label.name] == FRAUD).sum())
    assert FileRetrainings("fraud").all() == [done]


def test_what_does_not_beat_stable_is_dropped_and_remembered(
    room: Room, payments: pd.DataFrame, platform: Platform
) -> None:
    """Stable was always right: the candidate gets no name, no rollout begins, and the same rows are not tried twice."""
    label_all(room, payments, wise)
    done = retrain(room, ASKED, platform.around(), silent)
    assert done.outcome is Outcome.REJECTED
    assert done.candidate == ""
    assert platform.begun == []
    assert stored_versions("fraud") == []
    again = retrain(room, ASKED, platform.around(), silent)
    assert again.outcome is Outcome.REFUSED
    assert "no label has come since" in again.reason
    other_seed = retrain(room, replace(ASKED, seed=1), platform.around(), silent)
    assert other_seed.outcome is Outcome.REJECTED


def test_a_rehearsal_keeps_nothing(room: Room, payments: pd.DataFrame, platform: Platform) -> None:
    """It says whether the candidate would be better, and leaves no version and no record behind."""
    label_all(room, payments, blind)
    found = rehearse(room, ASKED, platform.around(), silent)
    assert not isinstance(found, str)
    assert found.is_better
    assert stored_versions("fraud") == []
    assert FileRetrainings("fraud").all() == []


def test_nobody_wants_a_rollout(room: Room, payments: pd.DataFrame, platform: Platform) -> None:
    """Then the better version is stored, and that is all."""
    label_all(room, payments, blind)
    done = retrain(room, ASKED, platform.around(begin=None), silent)
    assert done.outcome is Outcome.PUBLISHED
    assert [each.record.name.tag for each in stored_versions("fraud")] == [done.candidate]


def test_without_labels_nothing_is_trained(room: Room, platform: Platform) -> None:
    """It says why, and an alert that repeats fills no disk: the next refusal takes the place of the last."""
    for _ in range(3):
        done = retrain(room, ASKED, platform.around(), silent)
        assert done.outcome is Outcome.REFUSED
        assert "no labelled answers of the last 90 days" in done.reason
    assert len(FileRetrainings("fraud").all()) == 1


def test_labels_older_than_asked_teach_nothing(room: Room, payments: pd.DataFrame, platform: Platform) -> None:
    """Of two days there are too few answers, and the reason says how many there must be."""
    label_all(room, payments, blind)
    done = retrain(room, replace(ASKED, days=1.0), platform.around(), silent)
    assert done.outcome is Outcome.REFUSED
    assert "too few to learn from" in done.reason


def test_a_rollout_under_way_is_left_alone(room: Room, payments: pd.DataFrame, platform: Platform) -> None:
    """A model that may not change now is not retrained, and the reason is kept."""

    def busy() -> NoReturn:
        raise Conflict("fraud-0007 is under way")

    label_all(room, payments, blind)
    done = retrain(room, ASKED, platform.around(stable=busy), silent)
    assert done.outcome is Outcome.REFUSED
    assert "fraud-0007" in done.reason


def test_what_breaks_is_recorded_and_said(room: Room, payments: pd.DataFrame, platform: Platform) -> None:
    """A store that cannot take the version fails the retraining: the record says so, and the cool-down counts from it."""

    def full(_draft: Draft) -> NoReturn:
        raise Unavailable("there is no space left", at="the store")

    label_all(room, payments, blind)
    with pytest.raises(Unavailable, match="no space"):
        retrain(room, ASKED, platform.around(publish=full), silent)
    (failed,) = FileRetrainings("fraud").all()
    assert failed.outcome is Outcome.FAILED
    assert "no space left" in failed.reason
    assert failed.figures, "what was measured is not lost"
    later = retrain(
        room, replace(ASKED, cool_down_seconds=60.0), platform.around(clock=lambda: NOW_SECONDS + 30), silent
    )
    assert later.outcome is Outcome.REFUSED
    assert "cool-down" in later.reason


def test_a_wrong_estimator_is_told_before_anything_is_read(room: Room, platform: Platform) -> None:
    """It is a mistake of whoever typed it, not a retraining."""
    with pytest.raises(UsageError, match="no estimator 'random-guess'"):
        retrain(room, replace(ASKED, estimator="random-guess"), platform.around(), silent)
    assert FileRetrainings("fraud").all() == []


RETRAIN = """
import sys
from canario.adapters.homes import feedback_file
from canario.feedback.join import Joiner
from canario.model.retraining import RetrainingRequest
from canario.packaging.publishing import publish_draft
from canario.packaging.rooms import load_room
from canario.retraining.act import Surroundings, retrain
from canario.retraining.records import FileRetrainings
room = load_room("fraud")
around = Surroundings(
    history=Joiner("fraud", room.card.label), record=FileRetrainings("fraud"), stable=lambda: "v1",
    publish=lambda draft: publish_draft(draft).record.name.tag, begin=None, clock=lambda: float(sys.argv[1]),
)
retrain(room, RetrainingRequest(days=90.0), around, lambda said: print(said, flush=True))
"""


@pytest.mark.real
def test_a_killed_retraining_leaves_nothing_half_done(
    room: Room, payments: pd.DataFrame, platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed with -9 in the middle of a training: no half version, the record says it never ended, and the next one succeeds."""
    label_all(room, payments, blind)
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", RETRAIN, str(NOW_SECONDS)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert child.stdout is not None
        _wait_for(child.stdout, "training on")
        time.sleep(chance.uniform(0.0, 0.5))
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert all(each is None for each in outcomes(FileRetrainings("fraud")))
    for version in stored_versions("fraud"):
        prove(version)
    done = retrain(room, ASKED, platform.around(), silent)
    assert done.outcome is Outcome.ROLLED_OUT
    assert done.number == 4


def _wait_for(lines: Any, beginning: str) -> None:
    said: Sequence[str] = []
    for line in lines:
        said = [*said, line]
        if line.startswith(beginning):
            return
    raise AssertionError(f"it ended without {beginning!r}: {said}")
