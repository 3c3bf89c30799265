"""The story of the demo, chapter by chapter; each act is a real `canario` command, shown as a person would type it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from canario.adapters.versions import find_version
from demo.figures import RolloutFigures, figures_of
from demo.rows import sample_rows
from demo.traffic import Tally, Traffic

MODEL = "fraud"
BAD = 3
"""The exit code of a rollout that was judged bad and rolled back."""
COMMAND = Path(sys.executable).with_name("canario")
PLAN = ("--plan", os.path.relpath(Path(__file__).with_name("rollout.yaml")))


class StoryFailed(Exception):
    """Something went another way than the story has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One trial of one version."""

    tag: str
    title: str
    training: tuple[str, ...]
    expected_exit_code: int


CHAPTERS = (
    Chapter(
        tag="v2",
        title="A better version: trained on newer payments, it knows the new kind of fraud",
        training=("--last-day", "2026-09-30"),
        expected_exit_code=0,
    ),
    Chapter(
        tag="v3",
        title="A worse one: a bug in it fails about 5 % of the requests, which no offline score showed",
        training=("--last-day", "2026-09-30", "--estimator", "broken-5-percent"),
        expected_exit_code=BAD,
    ),
    Chapter(
        tag="v4",
        title="And one that fails every request",
        training=("--last-day", "2026-09-30", "--estimator", "broken-always"),
        expected_exit_code=BAD,
    ),
)


class Story:
    """Tells the story once."""

    def __init__(self, console: Console, *, folder: Path, port: int, requests_per_second: float) -> None:
        self._console = console
        self._folder = folder
        self._port = free_port_from(port)
        self._requests_per_second = requests_per_second
        self._traffic: Traffic | None = None
        self._started_at = time.monotonic()

    def tell(self) -> None:
        """All chapters. Raises StoryFailed when one ends in another way than it should."""
        self.clear_up()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._say("A first version", "trained on payments until the end of June, packed, and put before its users")
        self._canario("train", MODEL, "--tag", "v1", "--last-day", "2026-06-30")
        self._canario("up", f"{MODEL}:v1", "--port", str(self._port))
        self._say(
            "Users arrive", f"{self._requests_per_second:g} requests a second, half REST, half gRPC, until the end"
        )
        with self._start_traffic() as self._traffic:
            failed = [self._trial(chapter, self._traffic.tally) for chapter in CHAPTERS]
            tally = self._traffic.stop()
        rollouts = [figures_of(MODEL, chapter.tag) for chapter in CHAPTERS]
        self._canario("down", MODEL)
        self._close(tally, rollouts, failed)
        if tally.failed:
            raise StoryFailed(f"clients saw failed requests: {dict(tally.failures)}")

    def clear_up(self) -> None:
        """Stop the clients and everything that runs; harmless when nothing does."""
        if self._traffic is not None:
            self._traffic.stop()
            self._traffic = None
        if (self._folder / "canario").exists():
            subprocess.run([COMMAND, "down", MODEL], check=False, capture_output=True, stdin=subprocess.DEVNULL)

    def _start_traffic(self) -> Traffic:
        return Traffic(
            target=f"127.0.0.1:{self._port}",
            model=MODEL,
            card=find_version(f"{MODEL}:v1").card(),
            rows=sample_rows(MODEL),
            requests_per_second=self._requests_per_second,
        )

    def _trial(self, chapter: Chapter, tally: Tally) -> int:
        """Train, roll out and watch one version; how many requests failed at the clients meanwhile."""
        failed_before = tally.failed
        self._say(chapter.title)
        self._canario("train", MODEL, "--tag", chapter.tag, *chapter.training)
        self._canario("rollout", f"{MODEL}:{chapter.tag}", *PLAN)
        self._canario("watch", MODEL, expected_exit_code=chapter.expected_exit_code)
        self._console.print(f"[dim]clients so far: {tally.requests:,} requests, {tally.failed:,} failed[/]")
        return tally.failed - failed_before

    def _say(self, title: str, more: str = "") -> None:
        self._console.print()
        self._console.rule(f"[bold]{title}[/]", align="left", style="dim")
        if more:
            self._console.print(more)

    def _canario(self, *words: str, expected_exit_code: int = 0) -> None:
        self._console.print(f"\n[dim]$[/] [bold]canario {' '.join(words)}[/]")
        self._console.file.flush()
        found = subprocess.run([COMMAND, *words], check=False, stdin=subprocess.DEVNULL).returncode
        if found != expected_exit_code:
            raise StoryFailed(
                f"`canario {' '.join(words)}` ended with exit code {found}, and the story expects {expected_exit_code}"
            )

    def _close(self, tally: Tally, rollouts: Sequence[RolloutFigures], failed: Sequence[int]) -> None:
        self._say("What happened")
        self._console.print(_table(rollouts, failed))
        self._console.print(
            f"clients sent {tally.requests:,} requests"
            f" ({tally.by_protocol['REST']:,} REST, {tally.by_protocol['gRPC']:,} gRPC)"
            f" and saw [bold]{tally.failed:,} failed[/];"
            f" the whole story took {time.monotonic() - self._started_at:.0f} s; no process was left behind"
        )
        environment = self._folder / "environment"
        environment.write_text(
            f"export CANARIO_HOME='{os.environ['CANARIO_HOME']}'\nexport BENTOML_HOME='{os.environ['BENTOML_HOME']}'\n"
            f"export PATH='{COMMAND.parent}':\"$PATH\"\n"
        )
        self._say("Where to look next")
        place = os.path.relpath(environment)
        for words, meaning in (
            (f"source {place}", "points your shell at what the demo left"),
            (f"canario explain {MODEL}", "why the last rollout ended as it did, with the figures"),
            (f"canario history {MODEL}", "every rollout"),
            (f"canario replay {MODEL}", "decides everything again from the journal: the same, offline"),
            (f"canario list {MODEL}", "the four versions"),
            (f"canario up {MODEL}", f"brings v2 up again; the form is at http://127.0.0.1:{self._port}/"),
            (f"canario down {MODEL}", "and takes it down"),
        ):
            self._console.print(f"  [bold]{words:<26}[/] {meaning}")


def free_port_from(port: int) -> int:
    """The port, or the next one that nobody listens on."""
    for candidate in range(port, port + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    raise StoryFailed(f"no free port from {port} on: name another with --port")


def _table(rollouts: Sequence[RolloutFigures], failed: Sequence[int]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("version")
    table.add_column("outcome")
    for column in ("decided after", "its requests", "its failures", "seen by clients"):
        table.add_column(column, justify="right")
    for rollout, seen in zip(rollouts, failed, strict=True):
        table.add_row(
            rollout.candidate,
            rollout.outcome,
            f"{rollout.seconds_to_decision:.1f} s",
            f"{rollout.requests:,}",
            f"{rollout.errors:,}",
            f"{seen:,}",
        )
    return table
