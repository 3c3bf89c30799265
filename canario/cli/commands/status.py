"""`canario status`: who answers, how far the rollout is, what each gate says, what to do next."""

from __future__ import annotations

import time

import click

from canario.cli.addressing import address_options
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option, print_document, say
from canario.model.address import Address


@click.command(
    "status",
    cls=Documented,
    examples=["canario status", "canario status fraud --on kubernetes -n models --output json"],
)
@running_argument
@output_option
@address_options
def command(*, model: str, output: Output, address: Address) -> None:
    """Show who answers, the rollout, its gates, what next.

    Without MODEL: every model that is up, or in the namespace; in JSON a list.
    """
    from rich.console import Group
    from rich.text import Text

    from canario.cli.platforms import all_statuses, nothing_up, platform_of
    from canario.cli.status_view import status_page

    now_seconds = time.time()
    if model:
        platform = platform_of(address, model)
        status = platform.status()
        print_document(output, status, lambda: status_page(status, now_seconds, platform.address))
        return
    found = all_statuses(address)
    pages = [part for place, status in found for part in (status_page(status, now_seconds, place), Text())]
    if found or output == "json":
        print_document(output, [status for _, status in found], lambda: Group(*pages[:-1]))
    if not found:
        say(f"no model is up; {nothing_up(address)}")
