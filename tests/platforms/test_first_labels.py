"""A platform that starts while the labels' database is away: what was known before is never taken for news when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from canario.errors import EvidenceLost
from canario.feedback.settings import URL_VARIABLE
from canario.model.card import Label, Task
from canario.model.evidence import Counts
from canario.model.feedback import LabelCounts
from canario.platforms.kubernetes import labels as cluster_labels
from canario.platforms.kubernetes.labels import ClusterLabels
from canario.platforms.local import labels as local_labels
from canario.platforms.local.labels import LabelWatch

OUTCOME = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
ROUTED = {"v2": Counts(requests=900)}
OLD = {"v2": LabelCounts(labelled=400, wrong=200, positives=0, missed=0)}
TRUE = {"v2": Counts(requests=900, labelled=400, wrong=200)}


class Database:
    """A history that can be away; it counts how often it was asked."""

    def __init__(self) -> None:
        self.is_away = True
        self.asked = 0

    def counts(self) -> Mapping[str, LabelCounts]:
        self.asked += 1
        if self.is_away:
            raise EvidenceLost("the database is away")
        return OLD

    def close(self) -> None:
        pass


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Away until it is said to be back; figures are of no interest here, and nobody waits long for a next look."""
    database = Database()
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    for module in (local_labels, cluster_labels):
        monkeypatch.setattr(module, "open_history", lambda *_, **__: database)
        monkeypatch.setattr(module, "figures_of", lambda *_: None)
        monkeypatch.setattr(module, "JOIN_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(ClusterLabels, "_label", lambda _: OUTCOME)
    return database


def until(question: Callable[[], bool], turn: Callable[[], object] = lambda: None) -> None:
    """Turn after turn until it holds."""
    deadline = time.monotonic() + 20
    while not question():
        assert time.monotonic() < deadline
        turn()
        time.sleep(0.01)


def test_old_labels_are_no_news_on_a_machine_whose_database_was_away_at_the_start(database: Database) -> None:
    """Until the labels have been read once, the counts are unknown, not without labels: a rollout holds, and nothing is held against v2."""
    watch = LabelWatch("fraud", OUTCOME)

    def turn() -> None:
        watch.tick(time.monotonic(), None)
        assert watch.add_to(ROUTED) in (None, TRUE)

    until(lambda: database.asked > 3, turn)
    assert watch.add_to(ROUTED) is None
    database.is_away = False
    until(lambda: watch.add_to(ROUTED) is not None, turn)
    database.is_away = True
    asked = database.asked
    until(lambda: database.asked > asked + 3, turn)
    assert watch.add_to(ROUTED) == TRUE  # they only grow, so the last ones still hold
    watch.close()


def test_old_labels_are_no_news_in_a_cluster_whose_database_was_away_at_the_start(database: Database) -> None:
    """The same of a controller that starts, or takes over, while the database cannot be reached."""
    labels = ClusterLabels("shop", "fraud")
    labels.follow(())

    def turn() -> None:
        assert labels.add_to(ROUTED) in (None, TRUE)

    until(lambda: database.asked > 3, turn)
    assert labels.add_to(ROUTED) is None
    database.is_away = False
    until(lambda: labels.add_to(ROUTED) is not None, turn)
    database.is_away = True
    asked = database.asked
    until(lambda: database.asked > asked + 3, turn)
    assert labels.add_to(ROUTED) == TRUE
    labels.close()
