"""Long work seen by a person: a moving line on a terminal, plain lines otherwise; always on stderr."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from canario.cli.figures import duration
from canario.cli.printing import notes, say

SECONDS_BETWEEN_LINES = 5.0
"""How often a log of long work gets another line."""


@contextlib.contextmanager
def working(task: str) -> Iterator[Callable[[str], None]]:
    """Show that `task` is under way until the block ends; the given function tells what is being done right now."""
    started = time.monotonic()
    console = notes()
    if console.is_terminal and not console.is_dumb_terminal:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            shown = bar.add_task(task, total=None)
            yield lambda now: bar.update(shown, description=f"{task}: {now}")
    else:
        say(task)
        yield lambda now: say(f"  {now}")
    say(f"{task}: done in {duration(time.monotonic() - started)}")


@contextlib.contextmanager
def measured(task: str, total_bytes: int | None) -> Iterator[Callable[[int, str], None]]:
    """The same for a file of a known length, None for a pipe; the given function takes how far it is, and words for it."""
    started = time.monotonic()
    console = notes()
    words = ""
    if console.is_terminal and not console.is_dumb_terminal:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            shown = bar.add_task(task, total=total_bytes)

            def move(done_bytes: int, now: str) -> None:
                nonlocal words
                words = now
                bar.update(shown, completed=done_bytes, description=f"{task}: {now}")

            yield move
    else:
        say(task)
        told_at = started

        def tell(_: int, now: str) -> None:
            nonlocal words, told_at
            words = now
            if time.monotonic() - told_at > SECONDS_BETWEEN_LINES:
                told_at = time.monotonic()
                say(f"  {now}")

        yield tell
    say(f"{task}: {words or 'nothing there'}, in {duration(time.monotonic() - started)}")
