"""Long work seen by a person: a moving line on a terminal, plain lines otherwise; always on stderr."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from canario.cli.figures import duration
from canario.cli.printing import notes, say


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
