"""`canario resume`: a paused rollout goes on."""

from __future__ import annotations

import click

from canario.cli.addressing import address_options
from canario.cli.asking import ask, reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.model.address import Address
from canario.model.evidence import CommandKind

EXAMPLES = [
    "canario resume fraud --reason 'looking at the logs'",
    "canario resume fraud --on kubernetes --namespace models",
]


@click.command("resume", cls=Documented, examples=EXAMPLES)
@running_argument
@reason_option
@address_options
def command(*, model: str, reason: str, address: Address) -> None:
    """Go on with a rollout that is paused."""
    ask(address, model, CommandKind.RESUME, "go on", reason=reason)
