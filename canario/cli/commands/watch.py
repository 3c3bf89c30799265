"""`canario watch`: a rollout followed live until it ends."""

from __future__ import annotations

import click

from canario.cli.addressing import address_options
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option
from canario.model.address import Address


@click.command(
    "watch", cls=Documented, examples=["canario watch fraud", "canario watch fraud --on kubernetes -n models"]
)
@running_argument
@output_option
@address_options
def command(*, model: str, output: Output, address: Address) -> None:
    """Follow a rollout until it has ended.

    The one under way, or else the last one.

    A live page on a terminal, a line a decision otherwise. Exit code 0 when it was promoted or a shadow was completed,
    3 when it was judged bad and rolled back, 1 when a person ended it.
    """
    from canario.cli.following import conclude, follow
    from canario.cli.platforms import platform_of
    from canario.errors import NotFound

    platform = platform_of(address, model)
    status = platform.status()
    names = [past.rollout for past in status.past]
    if status.rollout:
        names.append(status.rollout.state.rollout)
    if not names:
        line = platform.address.command(f"rollout {status.model}:TAG")
        raise NotFound(f"{status.model} has had no rollout yet", hint=f"`{line}` begins one")
    conclude(platform, follow(platform, names[-1], output))
