"""`canario promote`: a person's approval."""

from __future__ import annotations

import click

from canario.cli.asking import ask, reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.model.evidence import CommandKind


@click.command("promote", cls=Documented, examples=["canario promote fraud", "canario promote fraud --whole"])
@running_argument
@click.option(
    "--whole", is_flag=True, help="Skip the remaining steps and their requests; not the candidate's readiness."
)
@reason_option
def command(*, model: str, whole: bool, reason: str) -> None:
    """Approve a step, or end a pause or the watch.

    On a running step it is the approval that the step may ask for; its gates must still pass. A paused step is left
    for the next one. In the watch it ends the watch.
    """
    ask(model, CommandKind.PROMOTE, "go on", whole=whole, reason=reason)
