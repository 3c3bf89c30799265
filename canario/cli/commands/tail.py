"""`canario tail`: the answers, or the dead messages, of a model."""

from __future__ import annotations

import click

from canario.cli.addressing import broker_option
from canario.cli.documented import Documented
from canario.cli.naming import room_argument
from canario.cli.printing import Output, output_option


@click.command(
    "tail",
    cls=Documented,
    examples=[
        "canario tail fraud",
        "canario tail fraud --follow",
        "canario tail fraud --dead --output json",
        "canario tail fraud --take --number 1000 --output json > answers.jsonl",
    ],
)
@room_argument
@click.option("--dead", is_flag=True, help="The messages that cannot be answered, and why, in place of answers.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--number", type=click.IntRange(1), default=10, show_default=True, help="How many, the oldest first.")
@click.option("--take", is_flag=True, help="Take them out of the queue; otherwise they stay.")
@broker_option
@output_option
def command(
    *, model: str, dead: bool, follow: bool, number: int, take: bool, broker: str | None, output: Output
) -> None:
    """Print what waits in the queue of MODEL's answers, each message once, a line each.

    While it looks, nobody else sees these messages; what is not taken goes back to its place when it ends.
    """
    import asyncio
    import contextlib

    import msgspec

    from canario.cli.messages import shown, words_of
    from canario.cli.queues import look, refuse_unknown
    from canario.model.stream import ANSWERS, DEAD, Message, queue_name
    from canario.stream.opening import open_broker

    queue = queue_name(model, DEAD if dead else ANSWERS)

    def tell(message: Message) -> None:
        found = shown(message, queue)
        click.echo(msgspec.json.encode(found) if output == "json" else f"{found.id}  {words_of(found)}")

    async def work() -> None:
        opened = open_broker(model, broker)
        await refuse_unknown(opened, model)
        await look(opened, queue, number, follow=follow, take=take, tell=tell)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(work())
