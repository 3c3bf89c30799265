"""`canario abort`: back to stable at once."""

from __future__ import annotations

import click

from canario.cli.asking import ask, reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.model.evidence import CommandKind


@click.command(
    "abort", cls=Documented, examples=["canario abort fraud", "canario abort fraud --reason 'looking at the logs'"]
)
@running_argument
@reason_option
def command(model: str, reason: str) -> None:
    """Go back to stable at once; this ends the rollout."""
    ask(model, CommandKind.ABORT, "go back to stable", reason=reason)
