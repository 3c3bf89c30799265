"""What late labels tell a supervisor, whoever keeps them: counts for the engine, figures for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canario.adapters.homes import predictions_folder
from canario.feedback.log import PredictionLog
from canario.feedback.opening import open_truths
from canario.feedback.settings import URL_VARIABLE
from canario.feedback.shipping import LogShipper
from canario.model.card import Label, Task
from canario.model.evidence import Comparison, Counts
from canario.model.feedback import Feedback, Prediction, prediction_id
from canario.platforms.local.labels import LabelWatch
from tests.feedback.postgres_server import PostgresServer

OUTCOME = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))


@pytest.fixture(params=["files", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where labels are kept."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    monkeypatch.setenv("CANARIO_COHORT_SECONDS", "10")
    monkeypatch.setenv("CANARIO_MATURITY_SECONDS", "60")
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    if request.param == "files":
        yield ""
        return
    server = PostgresServer()
    server.start()
    monkeypatch.setenv(URL_VARIABLE, server.url)
    yield server.url
    server.stop()


def predicted(number: int, at_seconds: float, version: str = "v1", *, shadow: bool = False) -> Prediction:
    """An answer."""
    return Prediction(
        prediction=prediction_id(version, f"r{number}", 0),
        request=f"r{number}",
        row=0,
        model="fraud",
        version=version,
        at_seconds=at_seconds,
        label=OUTCOME.classes[number % 2],
        score=0.5,
        shadow=shadow,
        values={},
    )


def watched(watch: LabelWatch, question: Callable[[], bool]) -> None:
    """Let the watch look until it knows."""
    until = time.monotonic() + 30
    while not question():
        assert time.monotonic() < until
        watch.tick(time.monotonic(), ("v1", "v2"))
        time.sleep(0.05)


def test_labels_reach_engine_and_prometheus(url: str) -> None:
    """Counts are added to the router's, shadow copies are compared, and quality is of answers that are old enough."""
    log, now = PredictionLog(predictions_folder("fraud")), time.time()
    old = [predicted(number, now - 200) for number in range(40)]
    young = [predicted(number, now) for number in range(40, 50)]
    log.append(old + young)
    log.append([predicted(number, now, "v2", shadow=True) for number in range(5)])
    if url:
        LogShipper(url, "fraud", OUTCOME, predictions_folder("fraud")).close()
    truths = open_truths("fraud")
    truths.add_many(
        [Feedback(prediction=each.prediction, truth="fraud", at_seconds=now) for each in [*old[:30], *young[:2]]]
    )
    watch = LabelWatch("fraud", OUTCOME)
    assert (
        watch.add_to({"v1": Counts(requests=7)}) is None
    )  # a rollout that begins now must not take old labels for new ones
    watched(watch, lambda: bool(watch.add_to({})))
    counts = watch.add_to({"v1": Counts(requests=7), "v3": Counts(requests=1)})
    assert counts is not None
    assert counts["v1"] == Counts(requests=7, labelled=32, wrong=16, positives=32, missed=16)
    assert counts["v3"] == Counts(requests=1)
    watched(watch, lambda: watch.comparison == Comparison(pairs=5, flips=0, distance_sum=0.0))
    watched(watch, lambda: watch.figures is not None and watch.figures.counts["v1"].labelled == 32)
    figures = watch.figures
    assert figures is not None
    (version,) = figures.report.versions
    scores = {score.name: score for score in version.scores}
    assert (scores["recall"].value, scores["recall"].rows) == (0.5, 30)
    assert version.coverage == 0.75
    assert figures.predictions == {"v1": 50}
    assert figures.delays["v1"].labelled == 32
    watch.close()
    truths.close()
    log.close()
