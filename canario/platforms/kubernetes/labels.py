"""Late labels in a cluster: the controller joins what the servers sent to the database, in a thread a model; judging is for the engine.

A database that is away makes labels unknown: the last counts stay, as they only grow, and no gate passes or fails for that. Before the
first look at it there are no counts at all, and a rollout holds.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

import httpx
import msgspec

from canario.adapters.kubernetes_api import Object
from canario.errors import CanarioError
from canario.feedback.figures import FIGURES_EVERY_SECONDS, figures_of
from canario.feedback.opening import History, open_history
from canario.feedback.settings import feedback_settings, kept_name
from canario.model.card import Card, Label
from canario.model.evidence import Counts
from canario.model.feedback import LabelCounts
from canario.model.quality import LabelFigures
from canario.model.retraining import Retraining
from canario.platforms.kubernetes.naming import SERVER, SERVER_OPERATOR_PORT, is_component
from canario.platforms.labelled import with_labels
from canario.retraining.postgres_records import PostgresRetrainings

JOIN_EVERY_SECONDS = 1.0
_TIMEOUT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class ClusterLabels:
    """The labels of one model, brought up to date by a thread of its own while somebody wants them."""

    def __init__(self, namespace: str, model: str) -> None:
        self._namespace, self._model = namespace, model
        self._name = f"{namespace}/{model}"
        self._addresses: tuple[str, ...] = ()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._has_looked = False
        self.counts: Mapping[str, LabelCounts] = {}
        """By version: what the truths say so far; they only grow."""
        self.figures: LabelFigures | None = None
        """What Prometheus is told of labels and quality; None while it is not known."""
        self.retrainings: Sequence[Retraining] = ()
        """Every retraining on record, oldest first."""

    def follow(self, pods: Iterable[Object]) -> None:
        """Keep the labels up to date from now on; the pods are where the model's card is read."""
        self._addresses = tuple(
            pod["status"]["podIP"]
            for pod in pods
            if is_component(pod, SERVER)
            and (pod.get("status") or {}).get("phase") == "Running"
            and pod["status"].get("podIP")
        )
        if self._thread is None:
            self._ending = threading.Event()
            self._thread = threading.Thread(target=self._join, args=(self._ending,), name="labels", daemon=True)
            self._thread.start()

    def add_to(self, counts: Mapping[str, Counts] | None) -> Mapping[str, Counts] | None:
        """The routers' counts with what is known of the labels; None where those cannot be read.

        None too until a look has succeeded: counts without the old labels would make them look like new ones later.
        """
        if counts is None or (self._thread is not None and not self._has_looked):
            return None
        return with_labels(counts, self.counts)

    def close(self) -> None:
        """Look no further; what Prometheus was told is forgotten, what was counted stays."""
        self._ending.set()
        self._thread, self.figures, self._has_looked = None, None, False

    def _join(self, ending: threading.Event) -> None:
        history: History | None = None
        label: Label | None = None
        figures_at, told = 0.0, ""
        settings = feedback_settings()
        record = PostgresRetrainings(settings.url, kept_name(self._model, self._namespace))
        while not ending.is_set():
            try:
                label = label or self._label()
                if label is not None:
                    history = history or open_history(self._model, label, space=self._namespace)
                    counts = history.counts()
                    if not ending.is_set():
                        self.counts, self._has_looked = counts, True
                    if time.monotonic() >= figures_at:
                        figures_at = time.monotonic() + FIGURES_EVERY_SECONDS
                        figures = figures_of(history, self._model, label, settings, time.time())
                        self.figures = None if ending.is_set() else figures
                        self.retrainings = record.all()
                    told = ""
            except (CanarioError, msgspec.MsgspecError, OSError) as lost:
                self.figures = None
                if str(lost) != told:
                    told = str(lost)
                    _log.warning("%s: labels cannot be read now: %s", self._name, lost)
            except Exception:  # noqa: BLE001 - a thread that has died would show the past for ever
                _log.exception("%s: labels cannot be joined", self._name)
                ending.wait(FIGURES_EVERY_SECONDS)
            ending.wait(JOIN_EVERY_SECONDS)
        record.close()
        if history is not None:
            history.close()

    def _label(self) -> Label | None:
        """The label of the model's card, as a server tells it."""
        with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            for address in self._addresses:
                with contextlib.suppress(httpx.HTTPError):  # another server knows it too
                    answer = client.get(f"http://{address}:{SERVER_OPERATOR_PORT}/card")
                    if answer.status_code == httpx.codes.OK:
                        return msgspec.json.decode(answer.content, type=Card).label
        return None
