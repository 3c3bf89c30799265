"""`canario report`: what is known of a model's inputs, scores and answers; each report is a command in a file of its own."""

from __future__ import annotations

import importlib

import click

from canario.cli.documented import Documented

REPORTS = ("drift", "preflight", "quality")
"""Each is the `command` of canario.cli.commands.report_<name>."""


class Reports(click.Group, Documented):
    """A group whose reports are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every report's name."""
        return list(REPORTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The report of that name, or None."""
        if cmd_name not in REPORTS:
            return None
        command = importlib.import_module(f"canario.cli.commands.report_{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - a promise of each file, for mypy
        return command


@click.group("report", cls=Reports, examples=["canario report drift fraud", "canario report quality fraud"])
def command() -> None:
    """Compare what a model meets with what it was trained for."""
