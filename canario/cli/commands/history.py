"""`canario history`: the rollouts of a model, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canario.cli.addressing import address_options
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option, print_document, say
from canario.model.address import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from canario.model.deployment import PastRollout


@click.command(
    "history", cls=Documented, examples=["canario history fraud", "canario history fraud --on kubernetes -n models"]
)
@running_argument
@output_option
@address_options
def command(*, model: str, output: Output, address: Address) -> None:
    """List the rollouts that have ended, newest first."""
    from canario.cli.platforms import platform_of

    platform = platform_of(address, model)
    status = platform.status()
    past = status.past[::-1]
    if past or output == "json":
        print_document(output, past, lambda: _table(past))
    if status.rollout:
        say(f"{status.rollout.state.rollout} is under way: `{platform.address.command(f'status {status.model}')}`")
    elif not past:
        say(
            f"{status.model} has had no rollout yet; `{platform.address.command(f'rollout {status.model}:TAG')}` begins one"
        )


def _table(past: Sequence[PastRollout]) -> Table:
    from canario.cli.figures import duration, local_time
    from canario.cli.printing import table

    drawn = table("rollout", "strategy", "stable", "candidate", "ended", "began", "took", "why")
    for each in past:
        drawn.add_row(
            each.rollout,
            each.strategy,
            each.stable,
            each.candidate,
            each.phase,
            local_time(each.started_at_seconds),
            duration(each.ended_at_seconds - each.started_at_seconds),
            each.reason,
        )
    return drawn
