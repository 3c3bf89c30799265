"""`canario promote`: a person's approval."""

from __future__ import annotations

import click

from canario.cli.addressing import address_options
from canario.cli.asking import ask, reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.model.address import Address
from canario.model.evidence import CommandKind

EXAMPLES = ["canario promote fraud", "canario promote fraud --whole --on kubernetes --namespace models"]


@click.command("promote", cls=Documented, examples=EXAMPLES)
@running_argument
@click.option(
    "--whole", is_flag=True, help="Skip the remaining steps and their requests; not the candidate's readiness."
)
@reason_option
@address_options
def command(*, model: str, whole: bool, reason: str, address: Address) -> None:
    """Approve a step, or end a pause or the watch.

    On a running step it is the approval that the step may ask for; its gates must still pass. A paused step is left
    for the next one. In the watch it ends the watch.
    """
    ask(address, model, CommandKind.PROMOTE, "go on", whole=whole, reason=reason)
