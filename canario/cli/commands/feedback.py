"""`canario feedback`: late truths from a file, however many and however often."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import click

from canario.cli.documented import Documented
from canario.cli.printing import Output, output_option, print_document, say
from canario.feedback.settings import URL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

    from canario.cli.truth_senders import Sender
    from canario.feedback.incoming import Refusal

PIECE_TRUTHS = 5000
"""What is sent at once: one transaction."""
SHOWN_REFUSALS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a file, as `--output json` gives it."""

    new: int
    repeated: int
    changed: int
    refused: int
    unknown: int | None
    """The model's truths whose prediction is not known, those of earlier files included; None: a server does not say."""


@click.command(
    "feedback",
    cls=Documented,
    examples=[
        "canario feedback labels.csv --model fraud",
        "canario feedback labels.jsonl --url http://127.0.0.1:8080",
        "zcat labels.csv.gz | canario feedback - --model fraud --rejects refused.jsonl",
    ],
)
@click.argument("file", type=click.File("rb"))
@click.option("--model", default="", help="Whose truths these are; the only model that is up here when it is left out.")
@click.option("--url", default="", help="Send them to this server or router, in place of this machine's own store.")
@click.option(
    "--database",
    default="",
    metavar="URL",
    help="Write them into this database; CANARIO_FEEDBACK_URL when it is left out.",
)
@click.option("--rejects", type=click.File("wb", lazy=True), help="Write the refused lines here, as lines of JSON.")
@output_option
def command(*, file: BinaryIO, model: str, url: str, database: str, rejects: BinaryIO | None, output: Output) -> int:
    """Tell what turned out to be true, from a file.

    FILE is a CSV with the columns prediction_id and truth, or lines of JSON with these two fields, or a JSON list of them;
    - reads from a pipe. The same file may be sent any number of times. Exit code 1: some lines were refused.
    """
    from collections import Counter

    from canario.cli.truth_files import members
    from canario.feedback.incoming import in_pieces

    if url and (database or model):
        raise click.UsageError(
            "--url leads to a server, which knows its model and database: leave --model and --database out"
        )
    sender, truths_are_numbers, ends = _receiver(model, url, database)
    counted: Counter[str] = Counter()
    refusals: list[Refusal] = []
    try:
        with _counting(file) as show:
            for piece in in_pieces(members(file, truths_are_numbers=truths_are_numbers), PIECE_TRUTHS):
                added, refused = sender.send(piece)
                counted.update(added)
                _keep(refusals, refused, rejects)
                show(len(piece))
        unknown = ends()
    finally:
        if rejects is not None:
            rejects.close()
    told = Told(**{name: counted[name] for name in ("new", "repeated", "changed", "refused")}, unknown=unknown)
    print_document(output, told, lambda: _table(told))
    _tell(refusals, told, rejects)
    return 1 if told.refused else 0


def _receiver(model: str, url: str, database: str) -> tuple[Sender, bool, Callable[[], int | None]]:
    """Who takes the truths, whether these are numbers, and how it ends: with the number of unknown ids, if that is known."""
    from canario.cli.truth_senders import ServerSender, StoreSender

    if url:
        server = ServerSender(url)
        return server, server.truths_are_numbers(), server.close

    from canario.adapters.versions import find_version
    from canario.cli.platforms import local_platform
    from canario.feedback.opening import open_history, open_truths
    from canario.model.card import Task

    if database:
        os.environ[URL_VARIABLE] = database
    model = model or local_platform("").model
    label = find_version(model).card().label
    truths = open_truths(model)

    def ends() -> int:
        truths.close()
        history = open_history(model, label)
        try:
            history.catch_up()
            return history.unmatched().truths
        finally:
            history.close()

    return StoreSender(truths, label), label.task is Task.REGRESSION, ends


@contextlib.contextmanager
def _counting(file: BinaryIO) -> Iterator[Callable[[int], None]]:
    """Show how far the file is; the given function takes how many truths went."""
    from canario.cli.figures import count
    from canario.cli.progress import measured

    total = os.fstat(file.fileno()).st_size if file.seekable() else None
    sent = 0
    with measured("sending truths", total) as show:

        def more(truths: int) -> None:
            nonlocal sent
            sent += truths
            show(file.tell() if total else 0, f"{count(sent)} truths")

        yield more


def _keep(refusals: list[Refusal], refused: Sequence[Refusal], rejects: BinaryIO | None) -> None:
    """Remember the first of the refused lines, and write all of them down where that is wanted."""
    import msgspec

    refusals.extend(refused[: SHOWN_REFUSALS - len(refusals)])
    if rejects is not None and refused:
        rejects.write(b"".join(msgspec.json.encode(refusal) + b"\n" for refusal in refused))


def _tell(refusals: Sequence[Refusal], told: Told, rejects: BinaryIO | None) -> None:
    for refusal in refusals:
        place = f" (at {refusal.at})" if refusal.at else ""
        hint = f"; {refusal.hint}" if refusal.hint else ""
        say(f"line {refusal.line}: {refusal.error}{place}{hint}")
    if told.refused > len(refusals):
        more = told.refused - len(refusals)
        rest = "1 more line was refused" if more == 1 else f"{more:,} more lines were refused"
        say(rest if rejects is not None else f"{rest}; --rejects FILE writes them all down")
    if told.unknown == 1:
        say("1 truth of this model waits for a prediction that is not known here; it counts as soon as it is")
    elif told.unknown:
        say(
            f"{told.unknown:,} truths of this model wait for a prediction that is not known here;"
            " they count as soon as it is"
        )


def _table(told: Told) -> Table:
    from canario.cli.figures import count
    from canario.cli.printing import pairs

    drawn = pairs()
    for name in ("new", "repeated", "changed", "refused"):
        drawn.add_row(name, count(getattr(told, name)))
    return drawn
