"""The story of a model that stops to work well, chapter by chapter: every figure is counted by the clients or measured by those who watch."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from canario.adapters.homes import monitoring_folder, platform_folder
from canario.model.deployment import Status
from canario.model.rollout import Phase
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import find_processes
from demo.payments import Payments, Seen, payments
from demo.story import StoryFailed, free_port_from
from demo.watchers import COMMAND, TABLE, Measured, Report, Running, Watch, has_monitoring

MODEL = "fraud"
FIRST = "v1"
SHIFT = dt.date(2026, 7, 1)
"""From this day on the room's generator has another kind of fraud."""
BEFORE = SHIFT - dt.timedelta(days=365)
"""Payments of days that no training sees."""
RECALL_ASKED = 0.75
LEAST_FRAUDS = 400
"""So many make a clients' count worth comparing: its standard error is about 2 points."""
FULL_WINDOW_SECONDS = 32.0
"""The quality window, the age of a label that counts, a cohort and a scrape: then the present quality is of this phase alone."""
PLAN = Path(__file__).with_name("degradation-rollout.yaml")
COOL_DOWN_SECONDS = 30
DRIFT, DEGRADATION = "CanarioInputDrift", "CanarioDegradation"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One phase as the closing table shows it."""

    phase: str
    version: str
    clients: float
    frauds: int
    watchers: Measured
    seconds: float


class Story:
    """Tells the story once."""

    def __init__(self, console: Console, *, folder: Path, port: int, rows_per_second: float) -> None:
        self._console, self._folder, self._rows_per_second = console, folder, rows_per_second
        self._port = free_port_from(port)
        self._running: list[Running] = []
        self._watch: Watch | Report = Report(MODEL)
        self._has_alerts = has_monitoring()
        self._clients: Payments | None = None
        self._started_at = time.monotonic()
        self._failed = 0
        self._payments = 0

    def tell(self) -> list[Told]:
        """All chapters. Raises StoryFailed when one ends in another way than it should."""
        self.clear_up()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._begin()
        stream = payments(BEFORE)
        with Payments(f"127.0.0.1:{self._port}", stream, rows_per_second=self._rows_per_second) as self._clients:
            told = [self._calm(self._clients)]
            told.append(self._shift(self._clients))
            candidate = self._answer(self._clients)
            told.append(self._again(self._clients, candidate))
        self._count(self._clients.count_anew())
        self._canario("report", "quality", MODEL, "--window", "10m", "--cohort", "minute")
        self._canario("retrain", MODEL, "--history")
        self.clear_up()
        self._close(told)
        return told

    def clear_up(self) -> None:
        """Stop everybody who runs; harmless when nobody does."""
        if self._clients is not None:
            self._clients.__exit__(None, None, None)
            self._clients = None
        while self._running:
            self._running.pop().end()
        if (self._folder / "canario").exists():
            subprocess.run([COMMAND, "down", MODEL], check=False, capture_output=True, stdin=subprocess.DEVNULL)

    def _begin(self) -> None:
        """The version of before the shift, those who watch, and the taker of their webhook."""
        self._say("A model that works", f"trained on payments until the day before {SHIFT}, when fraud changes")
        self._canario("train", MODEL, "--tag", FIRST, "--last-day", str(SHIFT - dt.timedelta(days=1)))
        self._canario("up", f"{MODEL}:{FIRST}", "--port", str(self._port))
        self._say("Those who watch it", "their hours are seconds here; what they look for is the same")
        if not self._has_alerts:
            self._console.print(
                "Prometheus and Alertmanager are not installed (on Debian `apt-get install --no-install-recommends prometheus"
                " prometheus-alertmanager`):\nthe alarms come from `canario report drift` and `canario report quality` instead"
            )
            return
        # Chosen now, when the model's servers have theirs.
        webhook = free_port_from(max(9099, self._port + 1))
        prometheus = free_port_from(webhook + 1)
        alertmanager = free_port_from(prometheus + 1)
        hook = f"http://127.0.0.1:{webhook}/alerts"
        ports = ("--port", str(prometheus), "--alertmanager-port", str(alertmanager))
        self._start("Ctrl-C ends it", "monitor", *ports, "--table", os.path.relpath(TABLE), "--webhook", hook)
        plan = ("--plan", os.path.relpath(PLAN), "--cool-down", str(COOL_DOWN_SECONDS))
        self._start("taking alerts", "retrain", "--listen", str(webhook), "--models", MODEL, *plan)
        self._watch = Watch(MODEL, f"http://127.0.0.1:{prometheus}")

    def _calm(self, clients: Payments) -> Told:
        began = time.monotonic()
        self._say("Payments as it knows them", f"{self._rows_per_second:g} a second, and a second later what each was")
        self._until(lambda: self._watch.recall(FIRST), "a first measured recall", 60)
        told = self._measured(clients, "before the shift", FIRST, began)
        if fired := self._watch.firing():
            raise StoryFailed(f"an alarm before anything has changed: {', '.join(sorted(fired))}")
        self._expect(told.clients >= 0.7, f"before the shift the clients count a recall of {told.clients:.1%} only")
        return told

    def _shift(self, clients: Payments) -> Told:
        self._say("Fraud changes", f"from now on the payments are those from {SHIFT} on; nobody tells the model")
        self._count(clients.go_on_with(payments(SHIFT)))
        began = time.monotonic()
        fired: dict[str, float] = {}

        def are_told() -> bool:
            for name in self._watch.firing() & {DRIFT, DEGRADATION} - fired.keys():
                fired[name] = time.monotonic() - began
                self._console.print(f"[bold]{name}[/] fires after {fired[name]:.0f} s")
            return len(fired) == 2

        self._until(are_told, "both alarms, of the inputs and of the labels", 120)
        now, then = self._watch.recall(FIRST), self._watch.reference(FIRST)
        if now is None or then is None:
            raise StoryFailed("the recall is measured no longer")
        self._console.print(f"recall now {now}, and {then} when it was trained")
        told = self._measured(clients, "after the shift", FIRST, began)
        self._expect(told.clients < 0.65, f"after the shift the clients still count a recall of {told.clients:.1%}")
        return told

    def _answer(self, clients: Payments) -> str:
        """The retraining and its rollout, to the end; the version that was promoted."""
        self._say("The answer", "the alarm asks for a retraining, and the new version has to prove itself in a canary")
        began = time.monotonic()
        if self._has_alerts:
            self._until(self._trial, "a retraining by the webhook that ends in a rollout", 120)
        else:
            plan = ("--plan", os.path.relpath(PLAN))
            self._canario("retrain", MODEL, "--reason", f"{DEGRADATION}, by the report", *plan)
        self._canario("watch", MODEL)
        past = self._until(lambda: self._status().past[-1:], "the end of the rollout", 120)[0]
        self._expect(past.phase is Phase.PROMOTED, f"{past.candidate} was not promoted: {past.reason}")
        self._console.print(f"{past.candidate} promoted {time.monotonic() - began:.0f} s after the chapter's beginning")
        self._count(clients.count_anew())
        return past.candidate

    def _again(self, clients: Payments, candidate: str) -> Told:
        began = time.monotonic()
        self._say("And then", "the same kind of payments, and another version that answers them")
        told = self._measured(clients, "after the promotion", candidate, began)
        self._expect(told.clients >= RECALL_ASKED, f"the clients count a recall of {told.clients:.1%} only")
        self._expect(told.watchers.value >= RECALL_ASKED, f"a recall of {told.watchers} is measured only")
        return told

    def _measured(self, clients: Payments, phase: str, version: str, began: float) -> Told:
        """A phase's figures, once enough frauds were seen and the quality window holds nothing else."""

        def is_full() -> bool:
            enough = clients.seen.frauds[version] >= LEAST_FRAUDS
            return enough and time.monotonic() - began >= FULL_WINDOW_SECONDS

        self._until(is_full, f"{LEAST_FRAUDS} frauds that {version} answers", 150)
        measured = self._until(lambda: self._watch.recall(version), f"a measured recall of {version}", 30)
        seen = clients.seen
        told = Told(
            phase=phase,
            version=version,
            clients=seen.recall(version),
            frauds=seen.frauds[version],
            watchers=measured,
            seconds=time.monotonic() - began,
        )
        self._console.print(f"clients: {version} found {seen.told(version)}\n{self._who}: {measured}")
        return told

    @property
    def _who(self) -> str:
        return "Prometheus" if self._has_alerts else "the quality report"

    def _status(self) -> Status:
        return LocalPlatform(MODEL).status()

    def _trial(self) -> bool:
        status = self._status()
        return status.rollout is not None or bool(status.past)

    def _start(self, word: str, *words: str) -> None:
        """Run a command until the end of the story, once it has said a word."""
        self._console.print(f"\n[dim]$[/] [bold]canario {' '.join(words)} &[/]")
        running = Running(self._folder / f"{words[0]}.log", *words)
        self._running.append(running)
        self._until(lambda: word in running.told, f"`canario {words[0]}`", 60)

    def _until(self, ask: Callable[[], T | None], what: str, seconds: float) -> T:
        """What is asked for, once it is there. Raises StoryFailed when that takes too long, or somebody has ended meanwhile."""
        deadline = time.monotonic() + seconds
        while not (found := ask()):
            for running in self._running:
                if running.has_ended:
                    raise StoryFailed(f"somebody has ended too early: {running.told[-500:]}")
            if time.monotonic() > deadline:
                raise StoryFailed(f"{what} did not come within {seconds:g} s; the logs are in {self._folder}")
            time.sleep(0.5)
        return found

    def _expect(self, holds: object, otherwise: str) -> None:
        if not holds:
            raise StoryFailed(otherwise)

    def _count(self, seen: Seen) -> None:
        self._failed += seen.failures.total()
        self._payments += seen.rows.total()

    def _canario(self, *words: str) -> None:
        self._console.print(f"\n[dim]$[/] [bold]canario {' '.join(words)}[/]")
        self._console.file.flush()
        code = subprocess.run([COMMAND, *words], check=False, stdin=subprocess.DEVNULL).returncode
        self._expect(code == 0, f"`canario {' '.join(words)}` ended with exit code {code}")

    def _say(self, title: str, more: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{title}[/]", align="left", style="dim")
        self._console.print(more)

    def _close(self, told: list[Told]) -> None:
        self._say("What happened", "recall: the share of the frauds that were found")
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("phase", "version"):
            table.add_column(column)
        for column in ("by clients", "frauds", f"by {self._who} (95 %)", "after"):
            table.add_column(column, justify="right")
        for each in told:
            figures = (f"{each.clients:.1%}", f"{each.frauds:,}", str(each.watchers), f"{each.seconds:.0f} s")
            table.add_row(each.phase, each.version, *figures)
        self._console.print(table)
        left = [
            process for folder in (platform_folder(MODEL), monitoring_folder()) for process in find_processes(folder)
        ]
        self._expect(not left, f"{len(left)} processes were left behind")
        took = time.monotonic() - self._started_at
        self._console.print(
            f"clients sent {self._payments:,} payments and saw [bold]{self._failed:,} failed requests[/];"
            f" the whole story took {took:.0f} s; no process was left behind"
        )
        self._expect(not self._failed, f"clients saw {self._failed:,} failed requests")
