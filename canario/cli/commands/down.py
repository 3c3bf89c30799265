"""`canario down`: a model taken down, after its last request."""

from __future__ import annotations

import click

from canario.cli.addressing import address_options
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import say
from canario.errors import UsageError
from canario.model.address import Address, PlatformKind


@click.command("down", cls=Documented, examples=["canario down fraud"])
@running_argument
@address_options
def command(*, model: str, address: Address) -> None:
    """Drain and stop everything of a model.

    In a cluster that is for Helm, which has brought it up.
    """
    from canario.cli.platforms import local_platform
    from canario.cli.progress import working

    if address.on is PlatformKind.KUBERNETES:
        line = address.helm(f"uninstall {model or 'MODEL'}")
        raise UsageError("in a cluster Helm takes a model down", hint=f"`{line}` does it")
    platform = local_platform(model)
    with working(f"taking {platform.model} down") as tell:
        was_up = platform.down(tell)
    if not was_up:
        say(f"{platform.model} was not up")
