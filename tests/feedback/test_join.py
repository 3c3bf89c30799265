"""The join of predictions and truths: each counts once, in whatever order things arrive, and no count ever falls."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canario.adapters.homes import feedback_file, join_file, predictions_folder
from canario.errors import EvidenceLost
from canario.feedback import join as join_room
from canario.feedback import record as record_room
from canario.feedback.join import Joiner
from canario.feedback.log import PredictionLog
from canario.feedback.reading import log_files
from canario.feedback.store import FeedbackStore
from canario.model.card import Label, Task
from canario.model.evidence import Comparison
from canario.model.feedback import Feedback, Prediction
from canario.quality import differs

MakePrediction = Callable[..., Prediction]

OUTCOME = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
AMOUNT = Label(name="amount", task=Task.REGRESSION, unit="EUR", tolerance_percent=20.0)


@pytest.fixture
def log(home: Path) -> Iterator[PredictionLog]:
    """The log of one server."""
    log = PredictionLog(predictions_folder("fraud"))
    yield log
    log.close()


@pytest.fixture
def store(home: Path) -> Iterator[FeedbackStore]:
    """Where truths arrive."""
    store = FeedbackStore(feedback_file("fraud"))
    yield store
    store.close()


@pytest.fixture
def joiner(home: Path) -> Iterator[Joiner]:
    """The join of a model of two classes."""
    joiner = Joiner("fraud", OUTCOME)
    yield joiner
    joiner.close()


def counted(joiner: Joiner) -> dict[str, tuple[int, int]]:
    """By version: labelled and wrong."""
    return {version: (counts.labelled, counts.wrong) for version, counts in joiner.counts().items()}


def tell(store: FeedbackStore, prediction: Prediction, truth: str | float) -> None:
    """Send the truth of a prediction."""
    store.add(Feedback(prediction=prediction.prediction, truth=truth, at_seconds=2.0))


def test_without_a_log_there_are_no_counts(joiner: Joiner) -> None:
    """Before the first prediction nothing is known, and that is no error."""
    assert counted(joiner) == {}
    assert joiner.comparison("v1", "v2") == Comparison()


def test_counts_are_by_version(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """Each version answers for its own predictions; one without labels shows that it has none."""
    answers = [predicted("fraud", version=version) for version in ("v1", "v1", "v2", "v3")]
    log.append(answers)
    for answer, truth in zip(answers[:3], ("fraud", "clean", "clean"), strict=True):
        tell(store, answer, truth)
    assert counted(joiner) == {"v1": (2, 1), "v2": (1, 1), "v3": (0, 0)}


def test_counts_follow_what_arrives(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """Each question is answered with everything that was acknowledged before it."""
    for count in range(1, 5):
        answer = predicted("fraud")
        log.append([answer])
        tell(store, answer, "clean")
        assert counted(joiner) == {"v1": (count, count)}


def test_a_label_that_comes_before_its_prediction_waits(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """A truth is never lost because its prediction is not visible yet."""
    answer = predicted("fraud")
    tell(store, answer, "clean")
    assert counted(joiner) == {}
    assert joiner.unmatched().truths == 1
    log.append([answer])
    assert counted(joiner) == {"v1": (1, 1)}
    assert joiner.unmatched().truths == 0


def test_unknown_ids_hurt_nobody(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """A label for an id that no version gave is counted apart, and for no version."""
    log.append([predicted("fraud")])
    tell(store, predicted("fraud", request="invented"), "clean")
    assert counted(joiner) == {"v1": (0, 0)}
    assert joiner.unmatched().truths == 1


def test_a_changed_truth_counts_as_first_told(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """What a rollout was judged by stays; it is the same whether it is read before or after the change."""
    early, late = predicted("fraud"), predicted("fraud")
    log.append([early, late])
    tell(store, early, "clean")
    assert counted(joiner) == {"v1": (1, 1)}
    tell(store, early, "fraud")
    tell(store, late, "fraud")
    tell(store, late, "clean")
    assert counted(joiner) == {"v1": (2, 1)}


def test_nobody_can_label_a_shadow_copy(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """A version that only answers copies has no labelled answers, because nobody saw one."""
    copy = predicted("fraud", version="v2", shadow=True)
    log.append([copy])
    tell(store, copy, "clean")
    assert counted(joiner) == {}


def test_copies_are_compared_with_what_the_user_got(
    joiner: Joiner, log: PredictionLog, predicted: MakePrediction
) -> None:
    """A pair is the same row of the same request; pairs, flips and the distance of the scores add up."""
    log.append([predicted("fraud", request="a", row=row, score=0.75) for row in (0, 1, 2)])
    log.append([predicted("fraud", request="a", row=0, score=0.5, version="v2", shadow=True)])
    log.append([predicted("clean", request="a", row=1, score=0.25, version="v2", shadow=True)])
    log.append([predicted("clean", request="b", row=2, score=0.25, version="v2", shadow=True)])
    assert joiner.comparison("v1", "v2") == Comparison(pairs=2, flips=1, distance_sum=0.75)
    assert joiner.comparison("v2", "v1") == Comparison()
    assert joiner.unmatched().copies == 1


def test_a_copy_may_be_faster_than_the_answer(joiner: Joiner, log: PredictionLog, predicted: MakePrediction) -> None:
    """Whichever line is seen first, the pair counts once, and a doubled line does not count again."""
    copy = predicted("fraud", request="a", version="v2", shadow=True)
    answer = predicted("fraud", request="a")
    for prediction in (copy, copy, answer, answer, copy):
        log.append([prediction])
        joiner.counts()
    assert joiner.comparison("v1", "v2") == Comparison(pairs=1, flips=0, distance_sum=0.0)


@pytest.mark.parametrize(
    ("answer", "truth", "wrong"),
    [
        (80.0, 100.0, False),
        (79.9, 100.0, True),
        (120.0, 100.0, False),
        (-120.1, -100.0, True),
        (0.1, 0.0, True),
        (0.0, 0.0, False),
    ],
)
def test_an_amount_is_wrong_beyond_the_tolerance(answer: float, truth: float, wrong: bool) -> None:  # noqa: FBT001 - a table's column
    """Regression: further from the truth than the card's tolerance, in percent of the truth, is wrong."""
    assert differs(AMOUNT, answer, truth) is wrong


def test_a_restart_changes_nothing(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """A new process goes on where the old one stood."""
    answers = [predicted("fraud") for _ in range(10)]
    for answer in answers[:5]:
        log.append([answer])
        tell(store, answer, "clean")
    before = joiner.counts()
    joiner.close()
    again = Joiner("fraud", OUTCOME)
    assert again.counts() == before
    log.append(answers[5:])
    tell(store, answers[9], "fraud")
    assert counted(again) == {"v1": (6, 5)}
    again.close()


def test_counts_outlive_their_logs(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """A log that was read may be cleared away: neither what was counted nor a label to come is lost."""
    first, second = predicted("fraud"), predicted("fraud")
    log.append([first, second])
    tell(store, first, "clean")
    assert counted(joiner) == {"v1": (1, 1)}
    for name, _ in list(log_files(predictions_folder("fraud"))):
        (predictions_folder("fraud") / name).unlink()
    joiner.close()
    again = Joiner("fraud", OUTCOME)
    tell(store, second, "clean")
    assert counted(again) == {"v1": (2, 2)}
    again.close()


def test_a_removed_record_is_made_again_from_the_logs(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """The record is only a memory: while the logs are there, it can be thrown away."""
    answers = [predicted("fraud") for _ in range(3)]
    log.append(answers)
    tell(store, answers[0], "clean")
    before = joiner.counts()
    for path in join_file("fraud").parent.glob(f"{join_file('fraud').name}*"):
        path.unlink()
    assert joiner.counts() == before


def test_a_new_store_is_read_from_its_beginning(
    joiner: Joiner, log: PredictionLog, store: FeedbackStore, predicted: MakePrediction
) -> None:
    """Somebody removes the truths and they come anew: those that counted don't count again, the others do."""
    answers = [predicted("fraud") for _ in range(3)]
    log.append(answers)
    for answer in answers[:2]:
        tell(store, answer, "clean")
    assert counted(joiner) == {"v1": (2, 2)}
    for path in feedback_file("fraud").parent.glob(f"{feedback_file('fraud').name}*"):
        path.unlink()
    for answer in (answers[2], answers[0]):
        tell(store, answer, "clean")
    assert counted(joiner) == {"v1": (3, 3)}


def test_little_by_little_gives_the_same(
    joiner: Joiner,
    log: PredictionLog,
    store: FeedbackStore,
    predicted: MakePrediction,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A loop that has fallen far behind catches up call by call, and each call is short."""
    monkeypatch.setattr(join_room, "LONGEST_READ_BYTES", 500)
    monkeypatch.setattr(join_room, "MOST_TRUTHS", 2)
    for answer in (predicted("fraud") for _ in range(20)):
        log.append([answer])
        tell(store, answer, "clean")
    seen = [counted(joiner).get("v1", (0, 0)) for _ in range(40)]
    assert seen[0] == (0, 0)
    assert seen == sorted(seen)
    assert seen[-1] == (20, 20)


def test_memory_is_bounded_and_what_is_dropped_is_counted(
    joiner: Joiner,
    log: PredictionLog,
    store: FeedbackStore,
    predicted: MakePrediction,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Answers, copies and truths that wait too long go, oldest first; counts that were made stay."""
    for bound in ("LONGEST_ANSWERS", "LONGEST_COPIES", "LONGEST_EARLY_TRUTHS"):
        monkeypatch.setattr(record_room, bound, 3)
    answers = [predicted("fraud") for _ in range(10)]
    copies = [predicted("fraud", version="v2", request=f"c{number}", shadow=True) for number in range(10)]
    for number, (answer, copy) in enumerate(zip(answers, copies, strict=True)):
        log.append([answer, copy])
        tell(store, predicted(request=f"invented{number}"), "clean")
        joiner.counts()
    for answer in answers:
        tell(store, answer, "clean")
    assert counted(joiner) == {"v1": (3, 3)}
    unmatched = joiner.unmatched()
    assert unmatched.copies == 10
    assert unmatched.truths == 10 + 7
    connection = joiner._database._connection
    assert connection is not None
    for table in ("answers", "copies", "early_truths"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (3,)  # noqa: S608 - fixed words


def test_broken_lines_are_counted_and_passed_over(
    joiner: Joiner, log: PredictionLog, predicted: MakePrediction
) -> None:
    """What a failed write left in a log stops nothing."""
    log.append([predicted("fraud")])
    (predictions_folder("fraud") / "v1-1-1.jsonl").write_bytes(b'{"prediction": "v1.r\n')
    assert counted(joiner) == {"v1": (0, 0)}
    assert joiner.unmatched().broken_lines == 1


def test_evidence_that_cannot_be_read_is_unknown(joiner: Joiner, log: PredictionLog, predicted: MakePrediction) -> None:
    """A record that is no database raises EvidenceLost, which holds a rollout, and names the file."""
    log.append([predicted("fraud")])
    join_file("fraud").parent.mkdir(parents=True, exist_ok=True)
    join_file("fraud").write_bytes(b"something else entirely" * 100)
    with pytest.raises(EvidenceLost, match=r"fraud\.joined\.sqlite"):
        joiner.counts()


JOIN_FOR_EVER = """
from canario.feedback.join import Joiner
from canario.model.card import Label, Task

joiner = Joiner("fraud", Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud")))
while True:
    print(len(joiner.counts()), flush=True)
"""


def test_a_killed_joiner_counts_nothing_twice(
    log: PredictionLog, store: FeedbackStore, predicted: MakePrediction, joiner: Joiner
) -> None:
    """Kill -9 in the middle of the join, again and again: the counts come out as if nothing had happened."""
    told = 0
    for _ in range(3):
        command = [sys.executable, "-c", JOIN_FOR_EVER]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                answer = predicted("fraud")
                log.append([answer])
                tell(store, answer, "clean")
                told += 1
            process.send_signal(signal.SIGKILL)
            process.stdout.read()
    assert counted(joiner) == {"v1": (told, told)}


def test_a_record_of_another_release_is_told_and_left_alone(
    joiner: Joiner, log: PredictionLog, predicted: MakePrediction
) -> None:
    """Nothing is read into a file that means something else; moved away, it is made again from the logs."""
    log.append([predicted("fraud")])
    path = join_file("fraud")
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE answers (prediction TEXT)")
    before = path.read_bytes()
    with pytest.raises(EvidenceLost, match="another canario"):
        joiner.counts()
    assert path.read_bytes()[100:] == before[100:]
    path.rename(path.with_suffix(".old"))
    assert counted(joiner) == {"v1": (0, 0)}
