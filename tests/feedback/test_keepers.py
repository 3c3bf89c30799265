"""What every keeper of feedback promises, the files of a laptop and the database of a cluster alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canario.adapters.homes import predictions_folder
from canario.errors import InputError
from canario.feedback.opening import open_history
from canario.feedback.settings import URL_VARIABLE
from canario.model.feedback import Feedback, Prediction, Received
from canario.quality import measure, scores_of_tally
from tests.feedback.keepers import AMOUNT, OUTCOME, Keeper, empty, files_of
from tests.feedback.postgres_server import PostgresServer

MakePrediction = Callable[..., Prediction]


@pytest.fixture(params=["files", "postgres"])
def url(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where feedback is kept; empty for the files of the home."""
    if request.param == "files":
        monkeypatch.delenv(URL_VARIABLE, raising=False)
        return ""
    server: PostgresServer = request.getfixturevalue("postgres")
    empty(server.url)
    monkeypatch.setenv(URL_VARIABLE, server.url)
    monkeypatch.setenv("CANARIO_FEEDBACK_DAYS", "100000")  # these answers are of 1970
    return server.url


@pytest.fixture
def keeper(url: str) -> Iterator[Keeper]:
    """A keeper of a model of two classes."""
    keeper = Keeper(OUTCOME, url)
    yield keeper
    keeper.close()


def test_counts_are_by_version(keeper: Keeper, predicted: MakePrediction) -> None:
    """Each version answers for its own predictions: labelled, wrong, frauds, missed frauds."""
    answers = [
        predicted(label, version=version) for label, version in (("fraud", "v1"), ("clean", "v1"), ("clean", "v2"))
    ]
    keeper.answer([*answers[:2]])
    keeper.answer([answers[2], predicted("clean", version="v3")])
    for answer, truth in zip(answers, ("clean", "fraud", "clean"), strict=True):
        keeper.tell(answer, truth)
    assert keeper.counts() == {"v1": (2, 2, 1, 1), "v2": (1, 0, 0, 0), "v3": (0, 0, 0, 0)}
    assert keeper.history.predictions() == {"v1": 2, "v2": 1, "v3": 1}


def test_the_same_truth_counts_once(keeper: Keeper, predicted: MakePrediction) -> None:
    """A client that is not sure may send again, in the same breath or days later."""
    answer = predicted("fraud")
    keeper.answer([answer])
    same = Feedback(prediction=answer.prediction, truth="clean", at_seconds=2.0)
    assert list(keeper.truths.add_many([same, same])) == [Received.NEW, Received.REPEATED]
    assert keeper.counts() == {"v1": (1, 1, 0, 0)}
    assert keeper.tell(answer, "clean", at_seconds=9.0) is Received.REPEATED
    assert keeper.counts() == {"v1": (1, 1, 0, 0)}


def test_a_changed_truth_holds_for_the_history_and_not_for_the_counts(
    keeper: Keeper, predicted: MakePrediction
) -> None:
    """What a rollout was judged by stays; who learns from the history gets what is true by now."""
    early, late = predicted("fraud"), predicted("fraud")
    keeper.answer([early, late])
    keeper.tell(early, "clean")
    assert keeper.counts() == {"v1": (1, 1, 0, 0)}
    assert keeper.tell(early, "fraud", at_seconds=3.0) is Received.CHANGED
    keeper.tell(late, "fraud")
    keeper.tell(late, "clean", at_seconds=4.0)
    assert keeper.counts() == {"v1": (2, 1, 1, 0)}
    found = list(keeper.history.labelled(0.0, 10.0))
    assert [(each.truth, each.truth_at_seconds) for each in found] == [("fraud", 3.0), ("clean", 4.0)]
    (cohort,) = keeper.history.cohorts(0.0, 10.0)
    assert (cohort.tally.labelled, cohort.tally.right, cohort.tally.positives) == (2, 1, 1)


def test_a_truth_may_come_before_its_prediction(keeper: Keeper, predicted: MakePrediction) -> None:
    """A truth is never lost because its prediction is not there yet, and the first of two still counts."""
    answer = predicted("fraud")
    keeper.tell(answer, "clean")
    keeper.tell(answer, "fraud", at_seconds=5.0)
    assert keeper.counts() == {}
    assert keeper.history.unmatched().truths == 1
    keeper.answer([answer])
    assert keeper.counts() == {"v1": (1, 1, 0, 0)}
    assert keeper.history.unmatched().truths == 0
    assert [each.truth for each in keeper.history.labelled(0.0, 10.0)] == ["fraud"]


def test_unknown_ids_and_copies_are_nobodys(keeper: Keeper, predicted: MakePrediction) -> None:
    """A label for an id that no user was given is counted apart, and for no version."""
    copy = predicted("fraud", version="v2", shadow=True)
    keeper.answer([predicted("fraud"), copy])
    keeper.tell("v1.invented.0", "clean")
    keeper.tell(copy, "clean")
    assert keeper.counts() == {"v1": (0, 0, 0, 0)}
    assert keeper.history.unmatched().truths == 2


def test_the_history_gives_back_what_was_answered(keeper: Keeper, predicted: MakePrediction) -> None:
    """Rows come back bit by bit as they were sent, in the order of time, each with its answer and truth."""
    values = {"amount": 0.1, "hour": 3, "word": "ação \u0000 \U0001f41d", "gone": None, "tiny": 1e-300, "yes": True}
    first = predicted("fraud", score=0.1 + 0.2, at_seconds=5.5, **values)
    second = predicted("clean", score=0.25, at_seconds=4.5, amount=-0.0)
    outside = predicted("clean", at_seconds=6.0)
    keeper.answer([first])
    keeper.answer([second, outside, predicted("clean", at_seconds=5.0)])
    for answer in (first, second, outside):
        keeper.tell(answer, "fraud", at_seconds=7.0)
    found = list(keeper.history.labelled(4.5, 6.0))
    assert [each.prediction for each in found] == [second.prediction, first.prediction]
    assert found[1].values == values
    assert list(found[1].values) == list(values)
    assert (found[1].label, found[1].score, found[1].at_seconds) == ("fraud", 0.1 + 0.2, 5.5)
    assert str(found[0].values["amount"]) == "-0.0"


def test_cohorts_are_by_the_time_of_the_answer(keeper: Keeper, predicted: MakePrediction) -> None:
    """However late its truth comes, an answer belongs to the hour in which it was given."""
    answers = [
        predicted("fraud", version=version, at_seconds=at, score=0.9)
        for version, at in (("v1", 10.0), ("v1", 3599.0), ("v1", 3600.0), ("v2", 90000.0))
    ]
    for answer in answers:
        keeper.answer([answer])
    keeper.tell(answers[1], "clean", at_seconds=9e9)
    cohorts = keeper.history.cohorts(0.0, 7200.0)
    assert [(each.version, each.begins_at_seconds, each.predictions, each.tally.labelled) for each in cohorts] == [
        ("v1", 0.0, 2, 1),
        ("v1", 3600.0, 1, 0),
    ]
    days = keeper.history.cohorts(0.0, 1e9, cohort_seconds=86400)
    assert [(each.version, each.begins_at_seconds, each.predictions) for each in days] == [
        ("v1", 0.0, 3),
        ("v2", 86400.0, 1),
    ]
    assert keeper.history.began_at_seconds() == 0.0


def test_figures_from_cohorts_are_those_of_the_rows(keeper: Keeper, predicted: MakePrediction) -> None:
    """The sums that are kept say the same as counting every labelled row again."""
    truths = ["clean", "fraud"]
    answers = [
        predicted(truths[number % 5 == 0], score=number % 10 / 10 + 0.03, at_seconds=float(number))
        for number in range(100)
    ]
    keeper.answer(answers)
    for number, answer in enumerate(answers[:80]):
        keeper.tell(answer, truths[number % 7 == 0])
        if number % 3 == 0:
            keeper.tell(answer, truths[number % 2], at_seconds=3.0)
    (cohort,) = keeper.history.cohorts(0.0, 100.0)
    by_rows = measure(OUTCOME, keeper.history.labelled(0.0, 100.0))
    by_sums = scores_of_tally(OUTCOME, cohort.tally)
    assert [(a.name, a.rows) for a in by_rows] == [(b.name, b.rows) for b in by_sums]
    assert [a.value for a in by_rows] == pytest.approx([b.value for b in by_sums])
    assert [a.high for a in by_rows] == pytest.approx([b.high for b in by_sums])


def test_amounts_are_measured_too(url: str, predicted: MakePrediction) -> None:
    """A regression has its mean absolute error, and what is within the tolerance is right."""
    keeper = Keeper(AMOUNT, url)
    answers = [predicted(amount, score=amount) for amount in (100.0, 150.0, 80.0)]
    keeper.answer(answers)
    for answer in answers:
        keeper.tell(answer, 100)
    assert keeper.counts() == {"v1": (3, 1, 0, 0)}
    error, within = measure(AMOUNT, keeper.history.labelled(0.0, 10.0))
    assert (error.name, error.unit) == ("mean absolute error", "EUR")
    assert error.value == pytest.approx(70 / 3)
    assert within.value == pytest.approx(2 / 3)
    with pytest.raises(InputError):
        keeper.tell(answers[0], float("nan"))
    keeper.close()


def test_delays_are_from_the_answer_to_the_first_truth(keeper: Keeper, predicted: MakePrediction) -> None:
    """A corrected truth was known all the same; a clock that is behind counts as no delay."""
    answers = [predicted("fraud", at_seconds=100.0) for _ in range(2)]
    keeper.answer(answers)
    keeper.tell(answers[0], "clean", at_seconds=107.0)
    keeper.tell(answers[0], "fraud", at_seconds=9000.0)
    keeper.tell(answers[1], "clean", at_seconds=90.0)
    delays = keeper.history.delays()["v1"]
    assert delays.labelled == 2
    assert delays.seconds_sum == 7.0
    assert (delays.counts[0], delays.counts[3]) == (1, 1)


def test_a_restart_changes_nothing(keeper: Keeper, predicted: MakePrediction) -> None:
    """Other processes go on where these stood, and what they did is not done again."""
    answers = [predicted("fraud") for _ in range(4)]
    keeper.answer(answers[:2])
    keeper.tell(answers[0], "clean")
    keeper.tell(answers[3], "clean")
    before = keeper.counts()
    keeper.restart()
    keeper.ship()
    assert keeper.counts() == before == {"v1": (1, 1, 0, 0)}
    keeper.answer(answers[2:])
    assert keeper.counts() == {"v1": (2, 2, 0, 0)}
    assert keeper.history.predictions() == {"v1": 4}


def test_doubled_lines_are_one_answer(keeper: Keeper, predicted: MakePrediction) -> None:
    """A request that was tried again on another server, under one id, is one prediction."""
    answer = predicted("fraud")
    keeper.answer([answer])
    keeper.restart()
    keeper.answer([answer, answer])
    keeper.tell(answer, "clean")
    assert keeper.counts() == {"v1": (1, 1, 0, 0)}
    assert keeper.history.predictions() == {"v1": 1}


def test_broken_lines_are_counted_and_passed_over(keeper: Keeper, predicted: MakePrediction) -> None:
    """What a failed write left in a log stops nothing."""
    keeper.answer([predicted("fraud")])
    (predictions_folder("fraud") / "v1-1-1.jsonl").write_bytes(b'{"prediction": "v1.r\n')
    keeper.ship()
    assert keeper.counts() == {"v1": (0, 0, 0, 0)}
    assert keeper.history.unmatched().broken_lines == 1


def test_what_is_known_outlives_the_logs(keeper: Keeper, predicted: MakePrediction) -> None:
    """A log that was read may be cleared away: neither counts nor rows nor a label to come is lost."""
    answers = [predicted("fraud", amount=float(number)) for number in range(2)]
    keeper.answer(answers)
    keeper.tell(answers[0], "clean")
    assert keeper.counts() == {"v1": (1, 1, 0, 0)}
    for path in files_of(predictions_folder("fraud")):
        path.unlink()
    keeper.tell(answers[1], "clean")
    assert keeper.counts() == {"v1": (2, 2, 0, 0)}
    assert [each.values for each in keeper.history.labelled(0.0, 10.0)] == [{"amount": 0.0}, {"amount": 1.0}]


def test_long_histories_come_in_pages(
    keeper: Keeper, predicted: MakePrediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row comes exactly once, also where many have the same time."""
    monkeypatch.setattr("canario.feedback.join.PAGE_ROWS", 7)
    monkeypatch.setattr("canario.feedback.postgres_history.PAGE_ROWS", 7)
    answers = [predicted("fraud", at_seconds=float(number // 10)) for number in range(50)]
    keeper.answer(answers)
    keeper.truths.add_many([Feedback(prediction=each.prediction, truth="clean", at_seconds=9.0) for each in answers])
    keeper.look_again()
    found = [each.prediction for each in keeper.history.labelled(0.0, 10.0)]
    assert sorted(found) == sorted(each.prediction for each in answers)


def test_two_readers_do_not_count_twice(keeper: Keeper, predicted: MakePrediction) -> None:
    """A second controller, or a report beside it, joins the same truths and nothing is counted again."""
    answers = [predicted("fraud") for _ in range(10)]
    keeper.answer(answers)
    other = open_history("fraud", OUTCOME)
    for answer in answers:
        keeper.tell(answer, "clean")
        other.counts()
        keeper.history.counts()
    keeper.look_again()
    assert other.counts() == keeper.history.counts()
    assert keeper.counts() == {"v1": (10, 10, 0, 0)}
    other.close()
