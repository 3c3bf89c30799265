"""Asks about a message until it is known what becomes of it: an answer, a grave, or the end of its queue. Patience is shared by all who ask."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

from canario.errors import CanarioError, KernelError
from canario.model.stream import Message
from canario.stream.asking import Kind, Outcome, Router
from canario.stream.ending import Ending, pause_seconds

MOST_FAILURES = 3
"""Of the model itself, about one message: then it is dead."""
MOST_TRIES = 8
"""In one round, of a message that could not be asked: then it goes to the end of its queue. Half a minute, or more."""
AWAY_IN_A_ROW = 4
"""So many askers in a row who found nobody: the router is away, and everybody waits."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0


class Fate(StrEnum):
    """What becomes of a message."""

    ANSWERED = "answered"
    DEAD = "dead"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What becomes of one message, and why."""

    fate: Fate
    outcome: Outcome
    tries: int
    others_were_answered: bool = False
    """While this one could not be asked."""

    @property
    def error(self) -> CanarioError:
        """Why it was not answered."""
        return self.outcome.error or KernelError("the router's answer was lost")


class Questions:
    """Everybody who asks one router."""

    def __init__(self, router: Router, ending: Ending) -> None:
        self._router = router
        self._ending = ending
        self._answers = 0
        self._away_in_a_row = 0
        self._resume_at = 0.0
        self.trouble = ""
        """Why the router cannot be asked now; empty while it can."""

    async def settle(self, message: Message) -> Decided:
        """Ask until it is decided. Raises GivenBack when the worker ends first."""
        failures, answers_before = 0, self._answers
        for tries in range(1, MOST_TRIES + 1):
            await self._wait_for_everybody()
            outcome = await self._router.ask(message)
            self._learn(outcome)
            match outcome.kind:
                case Kind.ANSWERED:
                    return Decided(fate=Fate.ANSWERED, outcome=outcome, tries=tries)
                case Kind.REFUSED:
                    return Decided(fate=Fate.DEAD, outcome=outcome, tries=tries)
                case Kind.FAILED:
                    failures += 1
                    if failures == MOST_FAILURES:
                        return Decided(fate=Fate.DEAD, outcome=outcome, tries=tries)
            own = pause_seconds(tries - 1, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            await self._ending.rest(max(own, outcome.retry_after_seconds))
        return Decided(
            fate=Fate.POSTPONED,
            outcome=outcome,
            tries=tries,
            others_were_answered=self._answers > answers_before,
        )

    async def _wait_for_everybody(self) -> None:
        while (seconds := self._resume_at - time.monotonic()) > 0:
            await self._ending.rest(seconds)

    def _learn(self, outcome: Outcome) -> None:
        if outcome.kind is Kind.AWAY:
            self._away_in_a_row += 1
            beyond = self._away_in_a_row - AWAY_IN_A_ROW
            if beyond >= 0:
                seconds = pause_seconds(beyond // AWAY_IN_A_ROW, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
                self._resume_at = time.monotonic() + max(seconds, outcome.retry_after_seconds)
                self.trouble = str(outcome.error)
        elif outcome.kind is not Kind.LATE:
            self._answers += outcome.kind is Kind.ANSWERED
            self._away_in_a_row = 0
            self.trouble = ""
