"""`canario pause`: the rollout held where it is."""

from __future__ import annotations

import click

from canario.cli.asking import ask, reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.model.evidence import CommandKind


@click.command(
    "pause", cls=Documented, examples=["canario pause fraud", "canario pause fraud --reason 'looking at the logs'"]
)
@running_argument
@reason_option
def command(model: str, reason: str) -> None:
    """Hold the rollout; a failure still rolls back."""
    ask(model, CommandKind.PAUSE, "hold", reason=reason)
