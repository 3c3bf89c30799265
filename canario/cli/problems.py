"""How a command says that something went wrong: always on stderr, what, where, and what to try next."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Sequence

import click

from canario.adapters.files import write_atomically
from canario.adapters.homes import canario_home
from canario.cli.printing import notes
from canario.errors import CanarioError, UsageError

INTERRUPTED = 130
"""The exit code of a run that a person ended with Ctrl-C, as shells have it: 128 + SIGINT."""


def print_problem(error: CanarioError) -> None:
    """`error: what`, then where and what to try, each on a line of its own."""
    console = notes()
    message = " ".join(error.message.split())  # a parser's own words may fill several lines
    console.print(f"error: {message}", style="bold red", soft_wrap=True)
    if error.at:
        console.print(f"  at {error.at}", soft_wrap=True)
    if error.hint:
        console.print(f"  hint: {error.hint}", soft_wrap=True)


def usage_problem(wrong: click.ClickException, program: str, command: str) -> UsageError:
    """A refusal of click in canario's own form, with the command whose help explains it, `command` if click cannot tell."""
    context = getattr(wrong, "ctx", None)
    path = context.command_path if context else f"{program} {command}".rstrip()
    message = wrong.format_message().rstrip(".").replace("\n", " ")
    return UsageError(message[:1].lower() + message[1:], hint=f"`{path} --help` shows how it is used")


def print_crash(error: Exception, arguments: Sequence[str]) -> None:
    """One line about an error that nobody foresaw, and where its traceback was saved."""
    trace = "".join(traceback.format_exception(error))
    if os.environ.get("CANARIO_DEBUG") == "1":
        click.echo(trace, err=True)
        return
    line = f"an unexpected {type(error).__name__}: {error}".strip()
    path = canario_home() / "crashes" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        write_atomically(path, f"canario {' '.join(arguments)}\n\n{trace}".encode())
    except OSError:
        print_problem(CanarioError(line, hint="CANARIO_DEBUG=1 prints the traceback"))
        return
    print_problem(CanarioError(line, at=str(path), hint="that file holds the traceback; please report it"))
