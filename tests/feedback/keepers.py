"""The two places where feedback is kept, behind one face: what a test does with the one it does with the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg

from canario.adapters.homes import predictions_folder
from canario.feedback.log import PredictionLog
from canario.feedback.opening import History, open_history, open_truths
from canario.feedback.shipping import LogShipper
from canario.model.card import Label, Task
from canario.model.feedback import Feedback, Prediction, Received

OUTCOME = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
AMOUNT = Label(name="amount", task=Task.REGRESSION, unit="EUR", tolerance_percent=20.0)


class Keeper:
    """Logs, truths and history of a model called fraud."""

    def __init__(self, label: Label = OUTCOME, url: str = "") -> None:
        self.label, self.url = label, url
        self.log = PredictionLog(predictions_folder("fraud"))
        self.truths = open_truths("fraud")
        self.history: History = open_history("fraud", label)
        self.shipper = LogShipper(url, "fraud", label, predictions_folder("fraud"), "a-pod") if url else None

    def answer(self, predictions: Sequence[Prediction]) -> None:
        """Answer users, durably."""
        self.log.append(predictions)
        self.ship()

    def ship(self) -> None:
        """Bring what is in the logs to where it is kept."""
        while self.shipper is not None and self.shipper.ship():
            pass

    def tell(self, prediction: Prediction | str, truth: str | float, at_seconds: float = 2.0) -> Received:
        """Send a truth."""
        name = prediction if isinstance(prediction, str) else prediction.prediction
        return self.truths.add(Feedback(prediction=name, truth=truth, at_seconds=at_seconds))

    def counts(self) -> dict[str, tuple[int, int, int, int]]:
        """By version: labelled, wrong, positives, missed; when everything that waits has been looked for again."""
        self.look_again()
        return {
            version: (each.labelled, each.wrong, each.positives, each.missed)
            for version, each in self.history.counts().items()
        }

    def look_again(self) -> None:
        """In place of waiting for the moment when early truths are looked for again."""
        if self.url:
            with psycopg.connect(self.url) as connection:
                connection.execute("UPDATE canario.truths SET look_at_seconds = 0 WHERE look_at_seconds IS NOT NULL")

    def restart(self) -> None:
        """Another process goes on."""
        self.close()
        self.__init__(self.label, self.url)  # type: ignore[misc]

    def close(self) -> None:
        """Let go of everything."""
        self.log.close()
        self.truths.close()
        self.history.close()
        if self.shipper is not None:
            self.shipper.close()


def empty(url: str) -> None:
    """Leave a database as if nobody had ever used it."""
    with psycopg.connect(url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS canario CASCADE")


def files_of(folder: Path) -> list[Path]:
    """The logs."""
    return sorted(folder.glob("*.jsonl"))
