"""`canario replay`: every recorded decision taken again, offline, from its own evidence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from canario.cli.addressing import address_options
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import Output, output_option, print_document
from canario.model.address import Address

if TYPE_CHECKING:
    from rich.console import RenderableType

    from canario.rollout.replay import Mismatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What `canario replay --output json` gives."""

    decisions: int
    """How many were taken again."""
    rollouts: tuple[str, ...]
    mismatches: tuple[Mismatch, ...]
    """Where a decision came out differently; empty when all are the same."""


@click.command(
    "replay",
    cls=Documented,
    examples=["canario replay fraud --on kubernetes -n models", "canario replay ./0000000001.jsonl"],
)
@running_argument
@output_option
@address_options
def command(*, model: str, output: Output, address: Address) -> None:
    """Take every recorded decision again, offline.

    Says that each comes out the same; exit code 1 if one differs. MODEL is a model's name, or the path of a journal's file or folder.
    """
    from canario.cli.journals import read_journal
    from canario.cli.platforms import platform_of
    from canario.errors import IntegrityError
    from canario.rollout.replay import replay

    is_path = "/" in model or model.endswith(".jsonl")
    recorded = list(read_journal(Path(model)) if is_path else platform_of(address, model).journal())
    again = Replayed(
        decisions=len(recorded),
        rollouts=tuple(dict.fromkeys(decision.state.rollout for decision in recorded)),
        mismatches=replay(recorded),
    )
    print_document(output, again, lambda: _page(again))
    if again.mismatches:
        differing = len({mismatch.number for mismatch in again.mismatches})
        raise IntegrityError(
            f"{differing} of {again.decisions} decisions came out differently",
            hint="another release of canario took them, or the journal was changed",
        )


def _page(again: Replayed) -> RenderableType:
    from canario.cli.printing import table

    if not again.mismatches:
        return f"{again.decisions} decisions of {len(again.rollouts)} rollouts taken again: every one came out the same"
    drawn = table("decision", "field", "recorded", "taken again")
    for mismatch in again.mismatches:
        drawn.add_row(str(mismatch.number), mismatch.at, mismatch.recorded, mismatch.taken_again)
    return drawn
