"""A command of a person to the rollout that is under way; what follows from it is for the engine."""

from __future__ import annotations

import click

from canario.cli.printing import say
from canario.model.address import Address
from canario.model.deployment import Status
from canario.model.evidence import CommandKind
from canario.model.rollout import Phase

reason_option = click.option("--reason", default="", metavar="TEXT", help="Why, for the journal.")


def ask(address: Address, model: str, kind: CommandKind, words: str, *, whole: bool = False, reason: str = "") -> None:
    """Give the command and return once it has been taken. Raises Conflict when it is refused."""
    from canario.cli.platforms import actor, platform_of

    platform = platform_of(address, model)
    platform.send(kind, whole=whole, actor=actor(), reason=reason)
    line = platform.address.command(f"status {platform.model}")
    say(f"{platform.model}: told to {words}; `{line}` shows what came of it")


def tell_of_the_spec(status: Status) -> None:
    """In a cluster a resource may go on asking for the version that was just left; that it changes nothing is good to know."""
    going_to = status.stable
    if status.rollout and status.rollout.state.phase is not Phase.RETURNING:
        going_to = status.rollout.state.candidate
    if status.spec_version in ("", going_to):
        return
    say(
        f"the spec of modeldeployment/{status.model} still asks for {status.spec_version}: applying it again changes nothing; "
        "another version in it begins a rollout"
    )
