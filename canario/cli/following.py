"""A rollout followed to its end: a live page on a terminal, a line a decision otherwise, and how it ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from canario.cli.printing import Output, data, print_document, say
from canario.cli.status_view import live_page, moment, next_commands, past_words
from canario.errors import CanarioError, NotFound, RolledBack, Unavailable
from canario.model.address import Address, PlatformKind
from canario.model.deployment import PastRollout, Status
from canario.model.journal import JournalEntry
from canario.model.rollout import Phase
from canario.ports.platform import Telling

LOOK_SECONDS = {PlatformKind.LOCAL: 0.2, PlatformKind.KUBERNETES: 1.0}
"""Between two looks; each one at a cluster is a handful of requests to its API server."""
PATIENCE_SECONDS = 60.0
"""How long a platform may be out of reach, or without anybody who decides, before following it is given up."""

T = TypeVar("T")
Show = Callable[[Status, Sequence[JournalEntry]], None]


def follow(platform: Telling, rollout: str, output: Output) -> PastRollout:
    """Show a rollout until it has ended, then how it ended, on stdout. Raises NotFound when there is no such rollout."""
    past = until_it_ends(platform, rollout, output)
    print_document(output, past, lambda: past_words(past))
    return past


def until_it_ends(platform: Telling, rollout: str, output: Output) -> PastRollout:
    """The same, without a word on stdout about how it ended."""
    screen = data()
    is_page = output == "table" and screen.is_terminal and not screen.is_dumb_terminal
    with _page(platform.address) if is_page else _lines() as show:
        return _until_it_ends(platform, rollout, show)


def conclude(platform: Telling, past: PastRollout) -> None:
    """Raise RolledBack when the candidate was judged bad, CanarioError when a person threw it back."""
    if past.phase is not Phase.ROLLED_BACK:
        return
    model = platform.model
    hint = f"`{platform.address.command(f'explain {model} {past.rollout}')}` tells why"
    # The reason begins with who decided: the engine's own `rolled back: ...`, or a person's `aborted by ...`.
    if past.reason.startswith("rolled back"):
        raise RolledBack(f"{model}:{past.candidate} was judged bad and rolled back", hint=hint)
    raise CanarioError(f"{model}:{past.candidate} was not promoted: {past.reason}", hint=hint)


def _until_it_ends(platform: Telling, rollout: str, show: Show) -> PastRollout:
    """Look again and again; the journal is only read when something has changed."""
    known: object = None
    attendance = _Attendance(platform)
    recorded: list[JournalEntry] = []
    while True:
        status = _patiently(platform.status)
        past = next((each for each in status.past if each.rollout == rollout), None)
        state = status.rollout.state if status.rollout and status.rollout.state.rollout == rollout else None
        if past is None and state is None:
            line = platform.address.command(f"history {platform.model}")
            raise NotFound(f"{platform.model} has no rollout {rollout}", hint=f"`{line}` shows them")
        present = (state and (state.phase, state.step_index, state.reason), status.verdict and status.verdict.answer)
        if present != known:
            every = _patiently(lambda: list(platform.journal()))
            known, recorded = present, [each for each in every if each.state.rollout == rollout]
        show(status, recorded)
        if past is not None:
            return past
        attendance.look(status)
        time.sleep(LOOK_SECONDS[platform.address.on])


class _Attendance:
    """Whether anybody decides on what is followed: without that it would be followed for ever."""

    def __init__(self, platform: Telling) -> None:
        self._address = platform.address
        self._since: float | None = None

    def look(self, status: Status) -> None:
        """Tell once that nobody does. Raises Unavailable after a while without anybody."""
        now = time.monotonic()
        if status.is_supervised:
            self._since = None
            return
        is_local = self._address.on is PlatformKind.LOCAL
        who = f"the supervisor of {status.model}" if is_local else "the controller"
        message = f"{who} does not run, so nothing is decided"
        hint = f"`{next_commands(status, self._address)[0]}` {'starts it again' if is_local else 'tells of it'}"
        if self._since is None:
            self._since = now
            say(f"{message}; {hint}")
        elif now - self._since > PATIENCE_SECONDS:
            raise Unavailable(message, hint=hint)


def _patiently(look: Callable[[], T]) -> T:
    """What a look gives; a platform that is out of reach for a moment is looked at again. Raises Unavailable after a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    is_told = False
    while True:
        try:
            return look()
        except Unavailable as lost:
            if time.monotonic() > deadline:
                raise
            if not is_told:
                say(f"out of reach, looking again: {lost}")
            is_told = True
            time.sleep(1.0)


@contextlib.contextmanager
def _page(address: Address) -> Iterator[Show]:
    from rich.live import Live

    with Live(console=data(), auto_refresh=False) as live:
        yield lambda status, recorded: live.update(live_page(status, recorded, time.time(), address), refresh=True)


@contextlib.contextmanager
def _lines() -> Iterator[Show]:
    number, told = 0, ("", "", "", "", "")

    def tell(_: Status, recorded: Sequence[JournalEntry]) -> None:
        nonlocal number, told
        for decision in recorded:
            if decision.number <= number:
                continue
            number, words = decision.number, moment(decision)
            if words[1:] != told[1:]:
                # A reason that still holds has been read already.
                say("  ".join(words if words[-1] != told[-1] else words[:-1]))
            told = words

    yield tell
