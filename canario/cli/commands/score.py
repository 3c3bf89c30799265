"""`canario score`: every row of files answered by a stored version, into files; no server is needed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.printing import Output, output_option, print_document, say
from canario.cli.problems import print_problem
from canario.errors import Conflict, InputError, IntegrityError, KernelError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.table import Table

    from canario.batch.running import Progress
    from canario.batch.settings import ScoreSettings
    from canario.model.batch import Manifest

FORMATS = ("csv", "parquet", "arrow")
FINAL = 2
"""The exit code of what trying again does not mend."""
TERMINATED = 143
"""The exit code of a run that was told to end, as shells have it: 128 + SIGTERM."""
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""What Kubernetes tells each pod of an Indexed Job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flags:
    """What the command line says."""

    version: str
    source: str
    destination: str
    kind: str | None
    input_format: str | None
    keep: tuple[str, ...]
    rows_a_part: int
    most_rejects_percent: float
    index: int | None
    indexes: int | None
    version_folder: Path | None
    archive: str
    restart: bool
    output: Output

    def settings(self) -> ScoreSettings:
        """How it is scored. Raises UsageError for what cannot be meant."""
        from canario.batch.settings import FileFormat, ScoreSettings

        settings = ScoreSettings(
            kind=FileFormat(self.kind) if self.kind else None,
            input_kind=FileFormat(self.input_format) if self.input_format else None,
            rows_a_part=self.rows_a_part,
            most_rejects_percent=self.most_rejects_percent,
            partition=_index_of_pod() if self.index is None and self.indexes is not None else self.index,
            partitions=self.indexes,
            keep=self.keep or None,
            restart=self.restart,
        )
        settings.check()
        return settings


@click.command(
    "score",
    cls=Documented,
    examples=[
        "canario score fraud payments.parquet scores",
        "canario score fraud:v2 'payments/*.csv' scores --format parquet --keep payment",
        "canario score fraud s3://bank/payments s3://bank/scores --index 3 --indexes 8",
    ],
)
@version_argument
@click.argument("source", metavar="INPUT")
@click.argument("destination", metavar="OUTPUT")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Of the output; the input's when it is left out.")
@click.option("--input-format", type=click.Choice(FORMATS), help="Of the input, where the files' names do not say it.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Write this column beside the answers; `id` otherwise.")
@click.option(
    "--rows-a-part", type=int, default=100_000, show_default=True, help="Rows of a file that become one part."
)
@click.option(
    "--most-rejects-percent",
    type=float,
    default=1.0,
    show_default=True,
    help="Stop when more of the rows do not fit the card (exit code 3).",
)
@click.option(
    "--index",
    type=int,
    help=f"Answer only every N-th file, from this one on, into OUTPUT/index-I; {INDEX_VARIABLE} when it is left out.",
)
@click.option("--indexes", type=int, metavar="N", help="How many shares of the files there are.")
@click.option("--version-folder", type=click.Path(path_type=Path), help="Take the version from this folder.")
@click.option("--archive", default="", help="Take the version from this archive, a file or an http(s) address.")
@click.option("--restart", is_flag=True, help="Throw away what an earlier run left in OUTPUT.")
@output_option
def command(**given: Any) -> int:
    """Answer every row of files into files.

    INPUT is a CSV, Parquet or Arrow file, a folder of such files, or a pattern; here, or in an object store (s3://...).
    OUTPUT is a folder; the same command goes on there where an earlier run was ended. Rows that do not fit the card go to
    OUTPUT/_rejects, with the reason. Exit code 1: the same command may mend it later; 2: only another input, output or
    version does; 3: too many rejects.
    """
    flags = _Flags(**given)
    settings = flags.settings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # in a container nobody else would end it
    try:
        manifest = _score(flags, settings)
    except (InputError, NotFound, Conflict, IntegrityError, KernelError) as error:
        print_problem(error)
        return FINAL
    if not manifest.rows:
        say("there was no row in the input")
    print_document(flags.output, manifest, lambda: _table(manifest, flags.destination))
    return 0


def _score(flags: _Flags, settings: ScoreSettings) -> Manifest:
    from canario.batch.loading import load_version
    from canario.batch.running import score

    # What a folder or an archive holds may have been trained under another name than the one it is deployed by.
    named = "" if flags.version_folder or flags.archive else flags.version
    loaded = load_version(named, folder=flags.version_folder, archive=flags.archive)
    with _showing(f"scoring {flags.source} with {loaded.name}") as tell:
        return score(loaded, flags.source, flags.destination, settings, tell, say)


def _index_of_pod() -> int | None:
    """Which share Kubernetes gave to this pod; None outside of an Indexed Job."""
    told = os.environ.get(INDEX_VARIABLE, "")
    return int(told) if told.isdecimal() else None


@contextlib.contextmanager
def _showing(task: str) -> Iterator[Callable[[Progress], None]]:
    """Show how far it is: rows, rows a second, time left."""
    from canario.cli.figures import count, duration
    from canario.cli.progress import measured

    started = time.monotonic()
    begins_bytes: int | None = None
    with contextlib.ExitStack() as shown:
        show: Callable[[int, str], None] | None = None

        def tell(now: Progress) -> None:
            nonlocal show, begins_bytes
            if show is None or begins_bytes is None:
                show = shown.enter_context(measured(task, now.total_bytes or None))
                begins_bytes = now.done_bytes
            seconds = time.monotonic() - started
            words = f"{count(now.rows)} rows, {count(int(now.new_rows / max(seconds, 1e-9)))}/s"
            words += f", {count(now.rejected)} rejected" if now.rejected else ""
            read = now.done_bytes - begins_bytes
            if read > 0 and now.done_bytes < now.total_bytes:
                words += f", {duration(seconds * (now.total_bytes - now.done_bytes) / read)} left"
            show(now.done_bytes, words)

        yield tell


def _table(manifest: Manifest, destination: str) -> Table:
    from canario.cli.figures import count, short_digest
    from canario.cli.printing import pairs

    parts = [part for part in manifest.parts if not part.is_rejects]
    rejects = len(manifest.parts) - len(parts)
    drawn = pairs()
    drawn.add_row("version", f"{manifest.model}:{manifest.version}  {short_digest(manifest.digest)}")
    drawn.add_row("input", f"{count(len(manifest.inputs))} files, {count(manifest.rows)} rows")
    drawn.add_row("answered", f"{count(manifest.answered)}, {count(len(parts))} parts in {destination}")
    drawn.add_row(
        "rejected", count(manifest.rejected) + (f", in {count(rejects)} files with the reasons" if rejects else "")
    )
    return drawn
