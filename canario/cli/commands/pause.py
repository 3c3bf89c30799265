"""`canario pause`: the rollout held where it is."""

from __future__ import annotations

import click

from canario.cli.addressing import address_options
from canario.cli.asking import ask, reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.model.address import Address
from canario.model.evidence import CommandKind

EXAMPLES = [
    "canario pause fraud --reason 'looking at the logs'",
    "canario pause fraud --on kubernetes --namespace models",
]


@click.command("pause", cls=Documented, examples=EXAMPLES)
@running_argument
@reason_option
@address_options
def command(*, model: str, reason: str, address: Address) -> None:
    """Hold the rollout; a failure still rolls back."""
    ask(address, model, CommandKind.PAUSE, "hold", reason=reason)
