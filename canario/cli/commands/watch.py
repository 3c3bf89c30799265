"""`canario watch`: a rollout followed live until it ends."""

from __future__ import annotations

import click

from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option


@click.command("watch", cls=Documented, examples=["canario watch fraud", "canario watch fraud --output json"])
@running_argument
@output_option
def command(model: str, output: Output) -> None:
    """Follow a rollout until it has ended.

    The one under way, or else the last one.

    A live page on a terminal, a line a decision otherwise. Exit code 0 when it was promoted or a shadow was completed,
    3 when it was judged bad and rolled back, 1 when a person ended it.
    """
    from canario.cli.following import conclude, follow
    from canario.cli.platforms import platform_of
    from canario.errors import NotFound

    platform = platform_of(model)
    status = platform.status()
    names = [past.rollout for past in status.past]
    if status.rollout:
        names.append(status.rollout.state.rollout)
    if not names:
        raise NotFound(
            f"{status.model} has had no rollout yet", hint=f"`canario rollout {status.model}:TAG` begins one"
        )
    conclude(status.model, follow(platform, names[-1], output))
