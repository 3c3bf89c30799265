"""`canario schema`: JSON Schemas of the documents that people write, so that editors complete and check them."""

from __future__ import annotations

import click

from canario.cli.documented import Documented


@click.command(
    "schema",
    cls=Documented,
    examples=[
        "canario schema model > schemas/model.schema.json",
        "canario schema rollout > schemas/rollout.schema.json",
    ],
)
@click.argument("document", type=click.Choice(["model", "rollout"]))
def command(document: str) -> None:
    """Print the JSON Schema of model.yaml or rollout.yaml."""
    from canario.adapters.schemas import json_schema
    from canario.model.card import Card
    from canario.model.rollout import RolloutSpec

    click.echo(json_schema(Card if document == "model" else RolloutSpec), nl=False)
