"""`canario status`: who answers, how far the rollout is, what each gate says, what to do next."""

from __future__ import annotations

import time

import click

from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option, print_document, say


@click.command("status", cls=Documented, examples=["canario status", "canario status fraud --output json"])
@running_argument
@output_option
def command(model: str, output: Output) -> None:
    """Show who answers, the rollout, its gates, what next.

    Without MODEL: every model that is up, in JSON a list.
    """
    from rich.console import Group
    from rich.text import Text

    from canario.cli.platforms import all_statuses, platform_of
    from canario.cli.status_view import status_page

    now_seconds = time.time()
    if model:
        status = platform_of(model).status()
        print_document(output, status, lambda: status_page(status, now_seconds))
        return
    statuses = all_statuses()
    pages = [part for status in statuses for part in (status_page(status, now_seconds), Text())]
    if statuses or output == "json":
        print_document(output, statuses, lambda: Group(*pages[:-1]))
    if not statuses:
        say("no model is up; `canario up MODEL` brings one up")
