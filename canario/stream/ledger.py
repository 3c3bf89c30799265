"""What a worker remembers of messages, so that no question is answered twice: the seam, and which of the two keepers is meant."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from canario.adapters.homes import ledger_file
from canario.errors import UsageError
from canario.model.stream import Message

URL_VARIABLE = "CANARIO_LEDGER_URL"
SPACE_VARIABLE = "CANARIO_LEDGER_SPACE"
HOURS_VARIABLE = "CANARIO_LEDGER_HOURS"
KEPT_HOURS = 48.0
"""How long an answer is remembered unless the setting says otherwise: a message that comes again later is a new one."""
MOST_FORGOTTEN = 10_000
"""At once, so that nobody waits long for those who forget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger knows of one message."""

    answer: Message | None = None
    """The one answer that holds; None when there is none, or when it is known that it was sent."""
    is_sent: bool = False
    """Whether the broker has confirmed the answer."""
    attempts: int = 0
    """How often somebody had it who went without a word."""


class Ledger(Protocol):
    """Of one model. Safe for several threads and processes."""

    def look(self, messages: Mapping[str, bool]) -> Mapping[str, Known]:
        """What is known, by id. A message that was redelivered (True) and has no answer counts one attempt more.

        Raises Unavailable, IntegrityError.
        """

    def write(self, answers: Sequence[Message], sent: Sequence[str], forgiven: Sequence[str]) -> Mapping[str, Known]:
        """Keep answers, those that were sent, and forget the attempts of the forgiven, durably and all or nothing.

        What holds, by the answers' ids: the first answer of an id stays, whoever else has another. Raises as `look` does.
        """

    def forget(self, before_seconds: float) -> int:
        """Forget some of what is older than this moment; how much. Raises as `look` does."""

    def close(self) -> None:
        """Let go of files and connections; a later use would open them again."""


def open_ledger(model: str, url: str | None = None) -> Ledger:
    """The ledger of a model, opened with the first question: `postgresql://...`, `sqlite:PATH`, or this machine's own file.

    `url` in place of the setting. Raises UsageError for another kind of address.
    """
    url = os.environ.get(URL_VARIABLE, "") if url is None else url
    space = os.environ.get(SPACE_VARIABLE, "")
    name = f"{space}/{model}" if space else model
    if url.startswith(("postgresql://", "postgres://")):
        from canario.stream.ledger_postgres import PostgresLedger

        return PostgresLedger(url, name)
    from canario.stream.ledger_sqlite import SqliteLedger

    kind, _, path = url.partition(":")
    if url and (kind != "sqlite" or not path):
        raise UsageError(
            f"a ledger is not kept in {kind!r}",
            at=URL_VARIABLE,
            hint="set it to postgresql://user:password@host:5432/database or sqlite:PATH, or leave it out",
        )
    return SqliteLedger(Path(path).absolute() if path else ledger_file(model), name)


def kept_seconds() -> float:
    """How long answers are remembered. Raises UsageError for a setting that is no number of hours."""
    text = os.environ.get(HOURS_VARIABLE, "")
    try:
        hours = float(text) if text else KEPT_HOURS
    except ValueError:
        hours = -1.0
    if not 0 < hours < float("inf"):
        raise UsageError(f"{text!r} is no number of hours", at=HOURS_VARIABLE, hint=f"{KEPT_HOURS:g} is usual")
    return hours * 3600
