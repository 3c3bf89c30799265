"""`canario explain`: why a rollout went as it did, in sentences with figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canario.cli.addressing import address_options
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option, print_document
from canario.model.address import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from canario.model.journal import JournalEntry


@click.command(
    "explain",
    cls=Documented,
    examples=["canario explain fraud fraud-0002", "canario explain fraud --on kubernetes -n models"],
)
@running_argument
@click.argument("rollout", default="")
@output_option
@address_options
def command(*, model: str, rollout: str, output: Output, address: Address) -> None:
    """Tell why a rollout went as it did.

    ROLLOUT is a name that `canario history` shows; the last one when it is left out.

    The table shows the decisions that changed something; JSON holds every decision in the journal.
    """
    from canario.cli.platforms import platform_of
    from canario.errors import NotFound

    platform = platform_of(address, model)
    every = list(platform.journal())
    names = list(dict.fromkeys(each.state.rollout for each in every))
    if not names:
        line = platform.address.command(f"rollout {platform.model}:TAG")
        raise NotFound(f"{platform.model} has had no rollout yet", hint=f"`{line}` begins one")
    name = rollout or names[-1]
    told = [each for each in every if each.state.rollout == name]
    if not told:
        raise NotFound(f"{platform.model} has no rollout {name!r}", hint=f"the last ones are: {', '.join(names[-5:])}")
    print_document(output, told, lambda: _story(told))


def _story(told: Sequence[JournalEntry]) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from canario.cli.figures import local_time
    from canario.cli.journals import is_turning_point
    from canario.rollout.explain import explain

    # The last decision is told even when it changed nothing: it says what is waited for.
    points = [each for each in told if is_turning_point(each) or each is told[-1]]
    parts: list[RenderableType] = []
    for point in points:
        parts.append(Text(f"{local_time(point.at_seconds)}  decision {point.number}", style="bold"))
        parts += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in explain(point)]
        parts.append(Text())
    parts.append(Text(f"{len(points)} of {len(told)} decisions told", style="dim"))
    return Group(*parts)
