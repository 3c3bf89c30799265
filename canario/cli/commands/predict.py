"""`canario predict`: the answers of a stored version to a few rows, at once and without a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import click

from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.printing import Output, output_option, print_document

if TYPE_CHECKING:
    from rich.table import Table

EXAMPLES = [
    "canario predict fraud row.json",
    "canario predict fraud:v2 payments.csv --output json",
    "head -3 payments.jsonl | canario predict fraud -",
    "canario predict fraud row.json --archive fraud-v2.canario",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one row."""

    label: str | float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All answers as `--output json` gives them, with the names that `POST /predict` uses."""

    model: str
    version: str
    digest: str
    predictions: tuple[Answer, ...]


@click.command("predict", cls=Documented, examples=EXAMPLES)
@version_argument
@click.argument("file", type=click.File("rb"))
@click.option(
    "--archive",
    default="",
    metavar="PLACE",
    help="Load the version from this file or http(s) address that `canario export` made; VERSION must be what it holds.",
)
@output_option
def command(version: str, file: BinaryIO, archive: str, output: Output) -> None:
    """Answer the rows of a file here and now, without a server.

    FILE is JSON, one row, a list or {"rows": [...]}, or lines of JSON, or CSV with a line of names; - reads from a pipe.
    The answers are bit for bit those of a server of the version. One row that does not fit, and none is answered;
    `canario score` is for many rows, and puts such rows aside.
    """
    from canario.batch.loading import load_version
    from canario.batch.row_files import columns_of_file
    from canario.errors import InputError

    loaded = load_version(version, archive=archive)
    try:
        columns = columns_of_file(loaded.card, loaded.rows, file.read())
    except InputError as misfit:
        place = ", ".join(part for part in (file.name if file.name != "<stdin>" else "", misfit.at) if part)
        raise InputError(misfit.message, at=place, hint=misfit.hint, column=misfit.column) from misfit
    found = loaded.answer(columns)
    pairs = zip(found.labels.tolist(), found.scores.tolist(), strict=True)
    answers = Answers(
        model=loaded.name.model,
        version=loaded.name.tag,
        digest=loaded.digest,
        predictions=tuple(Answer(label=label, score=score) for label, score in pairs),
    )
    print_document(output, answers, lambda: _drawn(answers))


def _drawn(answers: Answers) -> Table:
    from canario.cli.printing import table

    drawn = table("row", "label", "score", "version", numbers=("row", "score"))
    version = f"{answers.model}:{answers.version}"
    for number, answer in enumerate(answers.predictions, 1):
        label = answer.label if isinstance(answer.label, str) else f"{answer.label:.6g}"
        drawn.add_row(str(number), label, f"{answer.score:.6g}", version)
    return drawn
