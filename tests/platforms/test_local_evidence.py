"""What a rollout knows beside the router on this machine: what Prometheus says, and what turns out to be true."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from canario.adapters.homes import feedback_file, predictions_folder, retraining_folder
from canario.adapters.versions import StoredVersion
from canario.errors import PlanError
from canario.feedback.reading import Answered, log_files, read_answers
from canario.feedback.store import FeedbackStore
from canario.model.card import Task
from canario.model.deployment import Status
from canario.model.feedback import Feedback
from canario.model.journal import OrderKind
from canario.model.rollout import Gate, GateKind, Phase
from canario.model.verdict import Answer
from canario.platforms.local.platform import LocalPlatform
from canario.rollout.replay import replay
from demo.traffic import Traffic
from tests.adapters.real_prometheus import RealPrometheus

from .conftest import MODEL, plan, the_end_of, version, wait_for

pytestmark = pytest.mark.real
PSI = Gate(
    kind=GateKind.QUERY,
    name="psi",
    query='psi{model="$model",version="$candidate"}',
    pass_at_most=0.1,
    fail_above=0.25,
    for_seconds=3.0,
)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[RealPrometheus]:
    """A Prometheus that reads what a test tells it."""
    (tmp_path / "prometheus").mkdir()
    real = RealPrometheus(tmp_path / "prometheus")
    yield real
    real.close()


def psi(platform: LocalPlatform) -> tuple[Answer, str]:
    """What the query gate says now."""
    verdict = platform.status().verdict
    gates = [gate for gate in verdict.gates if gate.name == "psi"] if verdict else []
    return (gates[0].answer, gates[0].reason) if gates else (Answer.UNKNOWN, "")


def test_a_query_of_a_real_prometheus_decides(
    platform: LocalPlatform, up: Status, traffic: Traffic, prometheus: RealPrometheus
) -> None:
    """A good number promotes, a bad one throws back, and a Prometheus that dies in between holds the rollout and says so."""
    spec = plan(50, 100)
    spec = replace(spec, gates=(*spec.gates, PSI))
    with pytest.raises(PlanError, match="nobody has named the Prometheus") as refused:
        platform.start_rollout(spec, version("v2"))
    assert "--prometheus URL" in refused.value.hint
    prometheus.tells(f'psi{{model="{MODEL}",version="v2"}} 0.4\npsi{{model="{MODEL}",version="v1"}} 0')
    platform.up(prometheus_url=prometheus.url)
    past = the_end_of(platform, platform.start_rollout(spec, version("v2")))
    assert past.phase is Phase.ROLLED_BACK
    assert "psi: 0.4, and it passes up to 0.1, fails above 0.25: for " in past.reason
    prometheus.stop()
    second = platform.start_rollout(spec, version("opposite"))
    wait_for(lambda: "does not answer" in psi(platform)[1], "the gate to say that nobody answers")
    assert platform.status().rollout
    prometheus.start()
    prometheus.tells(f'psi{{model="{MODEL}",version="opposite"}} 0.02')
    assert the_end_of(platform, second).phase is Phase.PROMOTED
    assert traffic.stop().failures == {}
    assert replay(platform.journal()) == ()


@pytest.fixture
def truths(platform: LocalPlatform) -> Iterator[Callable[[Callable[[Answered], str]], None]]:
    """Tells the truth of every answer so far, as a test makes it up from the answer."""
    store = FeedbackStore(feedback_file(MODEL))

    def tell(truth_of: Callable[[Answered], str]) -> None:
        folder = predictions_folder(MODEL)
        answers = [
            line
            for name, size in log_files(folder)
            for line in read_answers(folder / name, 0, size).answers
            if not line.shadow
        ]
        store.add_many(
            [Feedback(prediction=line.prediction, truth=truth_of(line), at_seconds=time.time()) for line in answers]
        )

    yield tell
    store.close()


def test_a_retraining_is_asked_for_once_where_both_versions_miss(
    platform: LocalPlatform, up: Status, traffic: Traffic, truths: Callable[[Callable[[Answered], str]], None]
) -> None:
    """Truths in the watch that fail both versions alike leave the new one in place, and a wish where retraining finds it."""
    first, last = plan(50, 100).steps
    spec = replace(
        plan(50, 100, watch_seconds=8.0), steps=(replace(first, minimum_seconds=6.0), last), watch_missed_percent=5.0
    )
    name = platform.start_rollout(spec, version("v2"))

    def more_is_known() -> bool:
        truths(lambda _: "yes")
        return platform.status().rollout is None

    wait_for(more_is_known, "the end of the watch")
    past = the_end_of(platform, name)
    assert past.phase is Phase.PROMOTED
    assert "a retraining was asked for, as v2 misses too often and v1 was no better" in past.reason
    lines = (retraining_folder() / f"{MODEL}.asked").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["rollout"] for line in lines] == [name]
    platform.down()
    platform.up()
    assert (retraining_folder() / f"{MODEL}.asked").read_bytes().splitlines() == lines
    entries = list(platform.journal())
    assert replay(entries) == ()
    assert any(order.kind is OrderKind.ASK_FOR_RETRAINING for entry in entries for order in entry.orders)


def test_a_version_whose_late_labels_are_bad_goes_back(
    platform: LocalPlatform, up: Status, traffic: Traffic, truths: Callable[[Callable[[Answered], str]], None]
) -> None:
    """Truths in the watch that speak against the new version alone bring the old one back, and no client notices."""
    spec = replace(plan(50, 100, watch_seconds=60.0), watch_wrong_percent=10.0)
    name = platform.start_rollout(spec, version("opposite"))
    wait_for(lambda: (now := platform.status().rollout) and now.state.phase is Phase.WATCHING, "the watch")
    wait_for(lambda: (now := platform.status().rollout) and now.state.step_since_seconds, "the watch to count")
    other = {"no": "yes", "yes": "no"}
    truths(lambda line: str(line.label) if line.version == "v1" else other[str(line.label)])
    past = the_end_of(platform, name)
    assert past.phase is Phase.ROLLED_BACK
    assert "wrong-labels: opposite" in past.reason
    assert not (retraining_folder() / f"{MODEL}.asked").exists()
    assert traffic.stop().failures == {}


def test_recall_is_refused_where_the_card_has_no_second_class(
    platform: LocalPlatform, up: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform knows the card: a gate that could never be answered is refused before anything starts."""
    card = version("v2").card()
    amounts = replace(card, label=replace(card.label, task=Task.REGRESSION, classes=()))
    monkeypatch.setattr(StoredVersion, "card", lambda _: amounts)
    spec = replace(plan(50, 100), gates=(Gate(kind=GateKind.RECALL, margin_percent=50.0),))
    with pytest.raises(PlanError, match="has not two classes"):
        platform.start_rollout(spec, version("v2"))
