"""`python -m demo.degradation`: fraud changes under a model; it is seen, told, learned from and answered, and nothing stays behind."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from canario.errors import CanarioError

INTERRUPTED = 130
SECONDS = {
    "CANARIO_COHORT_SECONDS": "2",
    "CANARIO_MATURITY_SECONDS": "3",
    "CANARIO_QUALITY_WINDOW_SECONDS": "25",
}
"""The story's hours are seconds: truths come after one, count from three on, and the present quality is that of the last 25."""


def arguments() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="python -m demo.degradation", description="A model that stops to work well.")
    parser.add_argument("--port", type=int, default=8080, help="where clients connect (8080; another if it is taken)")
    parser.add_argument("--rows-per-second", type=float, default=1000.0, help="payments a second (1000)")
    parser.add_argument("--folder", type=Path, default=Path(".story"), help="where everything is kept (.story)")
    return parser.parse_args()


def main() -> int:
    """Tell the story; its exit code."""
    flags = arguments()
    folder = flags.folder.absolute()
    os.environ.pop("CANARIO_FEEDBACK_URL", None)
    os.environ.update(SECONDS, CANARIO_HOME=str(folder / "canario"), BENTOML_HOME=str(folder / "bentoml"))
    # The homes are read when the product is imported or asked; so the story comes after they are set.
    from demo.degradation_story import Story
    from demo.story import StoryFailed

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    story = None
    try:
        story = Story(console, folder=folder, port=flags.port, rows_per_second=flags.rows_per_second)
        story.tell()
    except KeyboardInterrupt:
        console.print("\nInterrupted: taking everything down.")
        return INTERRUPTED
    except (StoryFailed, CanarioError) as failed:
        console.print(f"\n[bold]The story went another way:[/] {failed}", markup=True)
        return 1
    finally:
        with contextlib.suppress(ValueError):
            # A second Ctrl-C must not leave processes behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if story is not None:
            story.clear_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
