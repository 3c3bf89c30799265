"""`canario rollback`: back to the version before, or to any other."""

from __future__ import annotations

import click

from canario.cli.asking import reason_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option, say


@click.command("rollback", cls=Documented, examples=["canario rollback fraud", "canario rollback fraud v1"])
@running_argument
@click.argument("version", default="")
@reason_option
@click.option("--wait", is_flag=True, help="Return when it has ended.")
@output_option
def command(*, model: str, version: str, reason: str, wait: bool, output: Output) -> None:
    """Go back to the version before, or to any other.

    Ends the rollout under way, or else begins one back, which no gate holds. VERSION is a tag, such as v1; `canario rollback fraud:v1` says the same.
    """
    from canario.cli.following import follow
    from canario.cli.platforms import actor, platform_of
    from canario.cli.progress import working

    named, _, tag = model.partition(":")
    platform = platform_of(named)
    with working(f"rolling {platform.model} back") as tell:
        rollout = platform.rollback(version.rpartition(":")[2] or tag, actor=actor(), reason=reason, progress=tell)
    if wait:
        follow(platform, rollout, output)
    else:
        say(f"{rollout} is under way; `canario watch {platform.model}` follows it")
