"""`canario down`: a model taken down, after its last request."""

from __future__ import annotations

import click

from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import say


@click.command("down", cls=Documented, examples=["canario down fraud"])
@running_argument
def command(model: str) -> None:
    """Drain and stop everything of a model."""
    from canario.cli.platforms import platform_of
    from canario.cli.progress import working

    platform = platform_of(model)
    with working(f"taking {platform.model} down") as tell:
        was_up = platform.down(tell)
    if not was_up:
        say(f"{platform.model} was not up")
