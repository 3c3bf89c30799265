"""Where words go: data to stdout as a table or as JSON, everything else to stderr; what they say is for the commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

Output = Literal["table", "json"]

NEVER_WRAP_COLUMNS = 10_000
"""The width of a stream that is no terminal: a program reads one line a row, however long."""

output_option = click.option(
    "--output",
    "-o",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people, or one JSON document for programs.",
)


def _console(*, to_stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() else NEVER_WRAP_COLUMNS
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def data() -> Console:
    """What a program may read: stdout."""
    return _console(to_stderr=False)


def notes() -> Console:
    """What only a person reads, progress and problems: stderr."""
    return _console(to_stderr=True)


def say(text: str) -> None:
    """One line for the person, on stderr."""
    click.echo(text, err=True)


def print_document(output: Output, document: Any, draw: Callable[[], RenderableType]) -> None:
    """A noun, or a list of nouns, as one JSON document with the nouns' own field names, or drawn for a person."""
    if output == "json":
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
        return
    console = data()
    if console.is_terminal:
        console.print(draw())
        return
    with console.capture() as drawn:
        console.print(draw())
    for line in drawn.get().splitlines():
        click.echo(line.rstrip())  # tables pad their last column, which only a terminal does not show


def table(*headings: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table without lines, its headings in capitals; columns named in `numbers` stand to the right."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in headings:
        drawn.add_column(heading.upper(), justify="right" if heading in numbers else "left", overflow="fold")
    return drawn


def pairs() -> Table:
    """An empty table of names and what stands for them, without headings."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    return drawn
