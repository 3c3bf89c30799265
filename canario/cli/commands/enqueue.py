"""`canario enqueue`: the rows of a file as messages, by hand."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from canario.cli.addressing import broker_option
from canario.cli.documented import Documented
from canario.cli.naming import room_argument
from canario.cli.printing import Output, output_option, print_document, say
from canario.errors import CanarioError, Unavailable

if TYPE_CHECKING:
    from canario.cli.messages import Shown
    from canario.model.stream import Message

EXAMPLES = [
    "canario enqueue fraud payments.jsonl",
    "canario enqueue fraud row.json --priority urgent --wait",
    "canario enqueue fraud payments.csv --arrow --priority bulk",
    "head -5 payments.jsonl | canario enqueue fraud -",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What was sent, as `--output json` gives it."""

    queue: str
    messages: int
    first_id: str
    last_id: str
    answers: list[Shown]
    """With --wait, in the order in which they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flags:
    """What the command line says."""

    model: str
    file: BinaryIO
    priority: str
    arrow: bool
    rows_a_message: int
    wait: bool
    timeout: float
    prefix: str
    headers: tuple[str, ...]
    broker: str | None
    output: Output


@click.command("enqueue", cls=Documented, examples=EXAMPLES)
@room_argument
@click.argument("file", type=click.File("rb"))
@click.option(
    "--priority", type=click.Choice(["urgent", "normal", "bulk"]), default="normal", show_default=True, help="How soon."
)
@click.option("--arrow", is_flag=True, help="Many rows in a message, as Arrow, in place of one row in each.")
@click.option(
    "--rows-a-message", type=click.IntRange(1), default=10_000, show_default=True, help="With --arrow: how many."
)
@click.option("--wait", is_flag=True, help="Wait for the answers and print them; exit code 1 when some are missing.")
@click.option("--timeout", type=click.FloatRange(0), default=60.0, show_default=True, help="How long, in seconds.")
@click.option(
    "--id",
    "prefix",
    default="",
    metavar="PREFIX",
    help="What the messages' ids begin with; random otherwise. The same file with the same one is answered once.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME=VALUE",
    help="A header, such as x-user-id=7; x-... reach the router.",
)
@broker_option
@output_option
def command(**given: Any) -> None:
    """Send the rows of FILE to the queue of MODEL, each row a message.

    FILE is JSON (one row, {"rows": [...]}, a list), lines of JSON, CSV with a line of names, or an Arrow stream; - reads from a pipe.
    """
    from canario.model.stream import Priority, queue_name

    flags = _Flags(**given)
    prefix = _checked(flags.prefix or secrets.token_hex(6))
    messages = _messages(flags, prefix)
    queue = queue_name(flags.model, Priority(flags.priority))
    answers: list[Shown] = []
    sent = Enqueued(
        queue=queue, messages=len(messages), first_id=messages[0].id, last_id=messages[-1].id, answers=answers
    )
    try:
        _send(flags, sent, messages, prefix)
    except BaseException:
        # What was taken from the broker is nowhere else; lines of a table are told as they come.
        if answers and flags.output == "json":
            print_document(flags.output, sent, str)
        raise
    if flags.output == "json" or not answers:
        print_document(flags.output, sent, lambda: _ids(sent))
    if flags.wait and len(answers) < len(messages):
        before = "; an id that was answered before is not answered again" if flags.prefix else ""
        raise Unavailable(
            f"{len(messages) - len(answers)} of {len(messages)} answers did not come within {flags.timeout:g} s",
            hint=f"is a worker running? `canario worker {flags.model}` starts one; the messages stay where they are{before}",
        )


def _messages(flags: _Flags, prefix: str) -> list[Message]:
    from canario.cli.messages import bodies_of
    from canario.cli.queues import REPLIES
    from canario.model.stream import Message, queue_name

    headers = dict(_header(each) for each in flags.headers)
    bodies = bodies_of(flags.file.read(), flags.model, as_arrow=flags.arrow, rows_a_message=flags.rows_a_message)
    return [
        Message(
            id=f"{prefix}-{number}",
            body=body,
            content_type=kind,
            headers=headers,
            sent_at_seconds=time.time(),
            reply_to=queue_name(flags.model, REPLIES) if flags.wait else "",
        )
        for number, (body, kind) in enumerate(bodies, 1)
    ]


def _send(flags: _Flags, sent: Enqueued, messages: list[Message], prefix: str) -> None:
    """Send all, and wait for the answers: each is told, or kept to be, before the broker forgets it."""
    import asyncio

    from canario.cli.messages import shown, words_of
    from canario.cli.queues import answers_to, problem_of, put, refuse_unknown
    from canario.stream.opening import open_broker

    model = flags.model
    arrived = [0]

    def tell(where: str, message: Message) -> None:
        answer = shown(message, where)
        sent.answers.append(answer)
        if flags.output != "json":
            click.echo(f"{answer.id}  {words_of(answer)}")

    async def work() -> None:
        broker = open_broker(model, flags.broker)
        await refuse_unknown(broker, model)
        try:
            await put(broker, model, sent.queue, messages, lambda done: arrived.__setitem__(0, done))
        except CanarioError as failed:
            raise problem_of(failed, arrived[0], prefix) from failed
        say(f"{len(messages)} message{'s' if len(messages) > 1 else ''} sent to {sent.queue}")
        if flags.wait:
            say(f"waiting for the answer{'s' if len(messages) > 1 else ''} to {_ids(sent)}")
            await answers_to(broker, model, [message.id for message in messages], flags.timeout, tell)

    asyncio.run(work())


def _ids(sent: Enqueued) -> str:
    return f"{sent.first_id} to {sent.last_id}" if sent.messages > 1 else sent.first_id


def _checked(prefix: str) -> str:
    import re

    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,50}", prefix):
        raise click.BadParameter("use 1 to 50 letters, digits, dots, hyphens and underscores", param_hint="--id")
    return prefix


def _header(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--header")
    if not text.isprintable():
        # Bytes that are no UTF-8 come as half characters, which no broker and no ledger can keep.
        raise click.BadParameter("it holds what is no text", param_hint="--header")
    return name.lower(), value
