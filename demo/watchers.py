"""Who watches in the story of the degradation: Prometheus and Alertmanager by `canario monitor`, the webhook's taker, and the quality report."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from canario.adapters.versions import find_version, stored_versions
from canario.feedback.figures import quality_report
from canario.feedback.opening import open_history
from canario.feedback.settings import feedback_settings
from canario.model.version import Score
from canario.quality.report import Span

COMMAND = Path(sys.executable).with_name("canario")
TABLE = Path(__file__).with_name("degradation-objectives.yaml")
GRACE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A recall and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


def has_monitoring() -> bool:
    """Whether both programs are installed."""
    return bool(shutil.which("prometheus")) and any(map(shutil.which, ("prometheus-alertmanager", "alertmanager")))


class Running:
    """One `canario` command that runs until it is ended; what it says goes to a file."""

    def __init__(self, log: Path, *words: str) -> None:
        self.log = log
        with log.open("wb") as output:
            # A session of its own: Ctrl-C is for the story, which ends everybody in order.
            self._process = subprocess.Popen(
                [COMMAND, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    @property
    def told(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def end(self) -> None:
        """End it and wait for that; harmless when it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Watch:
    """What Prometheus says of one model."""

    def __init__(self, model: str, url: str) -> None:
        self._model, self._url = model, url

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        try:
            alerts = self._ask("alerts")["alerts"]
        except httpx.HTTPError:
            return set()
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def recall(self, version: str) -> Measured | None:
        """The present recall of a version, of the labels that are mature; None while nothing is measured."""
        return self._figures("canario_quality", version)

    def reference(self, version: str) -> Measured | None:
        """The recall when the version was trained."""
        return self._figures("canario_reference_quality", version)

    def _figures(self, series: str, version: str) -> Measured | None:
        where = f'model="{self._model}",version="{version}",measure="recall"'
        try:
            found = self._ask("query", query=f"max by (bound) ({series}{{{where}}})")["result"]
        except httpx.HTTPError:
            return None
        by_bound = {each["metric"]["bound"]: float(each["value"][1]) for each in found}
        return Measured(**by_bound) if by_bound.keys() == {"value", "low", "high"} else None

    def _ask(self, what: str, **params: str) -> Any:
        answer = httpx.get(f"{self._url}/api/v1/{what}", params=params, timeout=10, trust_env=False)
        answer.raise_for_status()
        return answer.json()["data"]


class Report:
    """The same from `canario report quality`, for a machine without Prometheus."""

    def __init__(self, model: str) -> None:
        self._model = model

    def firing(self) -> set[str]:
        """Degradation and drift, by the names of the alerts that say the same; of all versions that still answer."""
        found = set()
        for tag in self._present():
            now, then = self.recall(tag), self.reference(tag)
            if now and then and now.high < then.low:
                found.add("CanarioDegradation")
        drift = json.loads(output_of(("report", "drift", self._model, "--since", "30s", "--output", "json")))
        if any(column["verdict"] == "drift" for column in drift["columns"]):
            found.add("CanarioInputDrift")
        return found

    def _present(self) -> list[str]:
        return [version.record.name.tag for version in stored_versions(self._model)]

    def recall(self, version: str) -> Measured | None:
        """The present recall of a version, as `canario report quality` has it, of the same window as Prometheus' figures."""
        settings, label, now = feedback_settings(), find_version(f"{self._model}:{version}").card().label, time.time()
        age = settings.maturity_seconds or 0.0
        since = now - age - settings.quality_window_seconds
        history = open_history(self._model, label)
        try:
            history.catch_up()
            report = quality_report(history, self._model, label, Span(since, now, settings.cohort_seconds, now), age)
        finally:
            history.close()
        scores = next((each.scores for each in report.versions if each.version == version), ())
        return _recall(scores)

    def reference(self, version: str) -> Measured | None:
        """The recall when the version was trained."""
        return _recall(find_version(f"{self._model}:{version}").record.scores)


def output_of(words: Sequence[str]) -> str:
    """What a command of canario prints."""
    return subprocess.run([COMMAND, *words], check=True, capture_output=True, text=True).stdout


def _recall(scores: Sequence[Score]) -> Measured | None:
    found = next((each for each in scores if each.name == "recall"), None)
    return Measured(value=found.value, low=found.low, high=found.high) if found else None
