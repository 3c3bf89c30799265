"""Keeping one process running: started, adopted, started again when it dies, later and later when it dies quickly."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from canario.errors import CanarioError
from canario.platforms.local.logs import last_words, size_of
from canario.platforms.local.processes import LocalProcess

QUICK_SECONDS = 10.0
"""A process that dies sooner than this after its start, or before it was of any use, has not really run."""
FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 30.0
DEATHS_THAT_COUNT = 3
"""After so many quick deaths in a row, what runs here is said to fail; it is still tried again, ever more slowly."""


class KeptProcess:
    """One process that shall run. Call `tick` often; times are monotonic seconds."""

    def __init__(self, name: str, log: Path, start: Callable[[], LocalProcess]) -> None:
        self.name = name
        self.process: LocalProcess | None = None
        self.deaths = 0
        """How often it has died since this keeper began."""
        self._log = log
        self._log_mark = 0
        self._start = start
        self._started_at = 0.0
        self._next_start_at = 0.0
        self._quick_deaths = 0
        self._last_death = ""
        self._works = False

    def adopt(self, process: LocalProcess, now: float) -> None:
        """Take over a process that an earlier supervisor started."""
        self.process = process
        self._started_at = now
        self._log_mark = size_of(self._log)

    def tick(self, now: float) -> bool:
        """Notice a death, start what is due; whether the process is alive."""
        if self.process is not None and not self.process.is_alive():
            self._bury("died", now)
        if self.process is not None and self._has_really_run(now):
            self._quick_deaths = 0
        if self.process is None and now >= self._next_start_at:
            self._log_mark = size_of(self._log)
            self._started_at = now
            try:
                self.process = self._start()
            except CanarioError as refused:
                self._bury(str(refused), now)
        return self.process is not None

    def replace(self, reason: str, now: float) -> None:
        """Kill a process that is of no more use; the next tick starts another."""
        if self.process is not None:
            self.process.send(signal.SIGKILL)
            self._bury(reason, now)

    def has_worked(self) -> None:
        """Note that the present process was seen to be of use."""
        self._works = True

    @property
    def failure(self) -> str:
        """Why it cannot run, in words; empty while there is hope."""
        if self._quick_deaths < DEATHS_THAT_COUNT:
            return ""
        return f"{self.name} {self._last_death}, {self._quick_deaths} times in a row"

    def _bury(self, how: str, now: float) -> None:
        lived = now - self._started_at
        self.process = None
        self.deaths += 1
        self._quick_deaths = 0 if self._has_really_run(now) else self._quick_deaths + 1
        words = last_words(self._log, self._log_mark)
        self._last_death = f"{how} {lived:.1f} s after its start" + (f"; its last words: {words}" if words else "")
        delay = FIRST_DELAY_SECONDS * 2 ** (self._quick_deaths - 1) if self._quick_deaths else 0.0
        self._next_start_at = now + min(delay, LONGEST_DELAY_SECONDS)
        self._works = False

    def _has_really_run(self, now: float) -> bool:
        return self._works and now - self._started_at >= QUICK_SECONDS
