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
        "canario schema modeldeployment > schemas/modeldeployment.schema.json",
        "canario schema message > schemas/message.schema.json",
    ],
    short_help="Print the JSON Schema of a document that people write, or of a message.",
)
@click.argument("document", type=click.Choice(["model", "rollout", "modeldeployment", "message", "answer"]))
def command(document: str) -> None:
    """Print the JSON Schema of model.yaml, rollout.yaml, the resource ModelDeployment, a message or its answer."""
    click.echo(_schema(document), nl=False)


def _schema(document: str) -> str:
    if document == "modeldeployment":
        from canario.platforms.kubernetes.editing import json_schema as resource_schema

        return resource_schema()
    if document in ("message", "answer"):
        from canario.stream.schemas import answer_schema, message_schema

        return message_schema() if document == "message" else answer_schema()
    from canario.adapters.schemas import json_schema
    from canario.model.card import Card
    from canario.model.rollout import RolloutSpec

    return json_schema(Card if document == "model" else RolloutSpec)
