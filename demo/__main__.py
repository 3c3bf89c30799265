"""`python -m demo`: parses the flags, points the homes at a folder of the demo's own, and makes sure that nothing stays behind."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

INTERRUPTED = 130


def arguments() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="The main job of canario, from end to end.")
    parser.add_argument("--port", type=int, default=8080, help="where clients connect (8080; another if it is taken)")
    parser.add_argument("--requests-per-second", type=float, default=200.0, help="the clients' steady rate (200)")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where everything is kept (.demo)")
    return parser.parse_args()


def main() -> int:
    """Tell the story; its exit code."""
    flags = arguments()
    folder = flags.folder.absolute()
    homes = {"CANARIO_HOME": str(folder / "canario"), "BENTOML_HOME": str(folder / "bentoml")}
    os.environ.update(homes)
    # The homes are read when the product is imported or asked; so the story comes after they are set.
    from demo.story import Story, StoryFailed

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    story = Story(console, folder=folder, port=flags.port, requests_per_second=flags.requests_per_second)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        story.tell()
    except KeyboardInterrupt:
        console.print("\nInterrupted: taking everything down.")
        return INTERRUPTED
    except StoryFailed as failed:
        console.print(f"\n[bold]The demo failed:[/] {failed}")
        return 1
    finally:
        with contextlib.suppress(ValueError):
            # A second Ctrl-C must not leave processes behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        story.clear_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
