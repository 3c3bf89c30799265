"""`canario report preflight`: what stable and candidates answered to the same files before their rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canario.cli.documented import Documented
from canario.cli.naming import model_argument
from canario.cli.printing import Output, output_option, print_document, say
from canario.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from canario.model.preflight import Preflight


@click.command(
    "preflight", cls=Documented, examples=["canario report preflight fraud", "canario report preflight fraud -o json"]
)
@model_argument
@output_option
def command(model: str, output: Output) -> None:
    """Show the preflights that this machine has made of a model.

    The newest in full, the others a line each; as JSON all of them, newest first.
    """
    from canario.batch.preflights import kept

    if not model:
        raise UsageError("which model?", hint="name it, such as `canario report preflight fraud`")
    found = kept(model)
    if found or output == "json":
        print_document(output, found, lambda: _page(found))
    if not found:
        say(f"no preflight of {model} was made here; `canario rollout {model}:TAG --preflight FILE` makes one")


def _page(found: Sequence[Preflight]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from canario.cli.figures import count, local_time
    from canario.cli.preflight import drawn
    from canario.cli.printing import table

    newest, *others = found
    parts: list[RenderableType] = [drawn(newest)]
    if others:
        earlier = table("when", "stable", "candidate", "rows", "answer", "began", "why", numbers=("rows",))
        for each in others:
            rows, verdict = count(each.comparison.rows), each.verdict
            earlier.add_row(
                local_time(each.at_seconds),
                each.stable,
                each.candidate,
                rows,
                verdict.answer,
                each.rollout,
                verdict.reason,
            )
        parts += [Text("\nEARLIER", style="bold"), earlier]
    return Group(*parts)
