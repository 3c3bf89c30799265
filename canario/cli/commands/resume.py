"""`canario resume`: a paused rollout goes on."""

from __future__ import annotations

import click

from canario.cli.asking import ask, reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.model.evidence import CommandKind


@click.command(
    "resume", cls=Documented, examples=["canario resume fraud", "canario resume fraud --reason 'looking at the logs'"]
)
@running_argument
@reason_option
def command(model: str, reason: str) -> None:
    """Go on with a rollout that is paused."""
    ask(model, CommandKind.RESUME, "go on", reason=reason)
