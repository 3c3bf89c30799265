"""`canario rollback`: back to the version before, or to any other."""

from __future__ import annotations

import click

from canario.cli.addressing import address_options
from canario.cli.asking import reason_option, tell_of_the_spec
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option, print_document, say
from canario.model.address import Address


@click.command(
    "rollback",
    cls=Documented,
    examples=["canario rollback fraud v1", "canario rollback fraud --on kubernetes -n models"],
)
@running_argument
@click.argument("version", default="")
@reason_option
@click.option("--wait", is_flag=True, help="Return when it has ended.")
@output_option
@address_options
def command(*, model: str, version: str, reason: str, wait: bool, output: Output, address: Address) -> None:
    """Go back to the version before, or to any other.

    Ends the rollout under way, or else begins one back, which no gate holds. VERSION is a tag, such as v1;
    `canario rollback fraud:v1` says the same.
    """
    from canario.cli.following import conclude, follow
    from canario.cli.platforms import actor, platform_of
    from canario.cli.progress import working

    named, _, tag = model.partition(":")
    platform = platform_of(address, named)
    under_way = platform.status().rollout
    with working(f"rolling {platform.model} back") as tell:
        rollout = platform.rollback(version.rpartition(":")[2] or tag, actor=actor(), reason=reason, progress=tell)
    status = platform.status()
    if not wait:
        print_document(output, status, lambda: f"{rollout} goes back")
        say(f"next: `{platform.address.command(f'watch {platform.model}')}` follows it")
        tell_of_the_spec(status)
        return
    past = follow(platform, rollout, output)
    tell_of_the_spec(platform.status())
    if (
        under_way is None
    ):  # otherwise it is the abandoned rollout that was followed, and being thrown back is its good end
        conclude(platform, past)
