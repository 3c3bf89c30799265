"""`canario abort`: back to stable at once."""

from __future__ import annotations

import click

from canario.cli.addressing import address_options
from canario.cli.asking import ask, reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.model.address import Address
from canario.model.evidence import CommandKind

EXAMPLES = [
    "canario abort fraud --reason 'looking at the logs'",
    "canario abort fraud --on kubernetes --namespace models",
]


@click.command("abort", cls=Documented, examples=EXAMPLES)
@running_argument
@reason_option
@address_options
def command(*, model: str, reason: str, address: Address) -> None:
    """Go back to stable at once; this ends the rollout."""
    ask(address, model, CommandKind.ABORT, "go back to stable", reason=reason)
