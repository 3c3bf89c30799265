"""`score`: the files of an input answered part by part, each part whole before the next; what a kill left is gone on with.

Which rows become which part depends on the files and the settings alone. So a run that begins in the middle, after a kill,
writes what an undisturbed one would have written, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from canario import __version__
from canario.batch.answering import Answered, Answerer
from canario.batch.dealing import Note, close, dealt, folder_of, is_dealt
from canario.batch.inputs import Source, refuse_output_inside, sources_of
from canario.batch.loading import LoadedVersion
from canario.batch.parts import REJECTS_FOLDER, Chunk, Done, Job, OutputFolder
from canario.batch.places import place_of
from canario.batch.reading import Piece, Wanted, pieces_of
from canario.batch.settings import FileFormat, ScoreSettings
from canario.batch.writing import bytes_of, check_writable
from canario.errors import Conflict, TooManyRejects
from canario.model.batch import InputFile, Manifest

IDENTITY = "id"
"""The column that is kept when nobody says which, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a scoring is."""

    rows: int
    """All rows that were read, those that an earlier run answered included."""
    rejected: int
    new_rows: int
    """Those that this run has read."""
    done_bytes: int
    """Of the input, about."""
    total_bytes: int


Tell = Callable[[Progress], None]


def score(
    loaded: LoadedVersion,
    source: str,
    output: str,
    settings: ScoreSettings,
    tell: Tell = lambda _: None,
    note: Note = lambda _: None,
) -> Manifest:
    """Answer every row of `source` (a file, a folder or a pattern, here or in an object store) into the folder `output`.

    `note` is told, once, of what a person should know and no error is. Goes on where an earlier run of the same was ended, and does nothing where it is done. Raises InputError for what
    cannot be read, Conflict for an output that holds something else, TooManyRejects, Unavailable for what is out of reach
    or full; in each case what was written stays, whole.
    """
    settings.check()
    whole = place_of(output, settings.storage)
    place = whole if settings.partition is None else folder_of(whole, settings.partition)
    refuse_output_inside(source, place, settings)
    sources = dealt(source, whole, settings, note) if is_dealt(settings) else sources_of(source, settings)
    kind = settings.kind or (sources[0].kind if sources else FileFormat.PARQUET)
    keep = settings.keep if settings.keep is not None else _identity(sources)
    folder = OutputFolder(place, kind)
    answerer = Answerer(loaded, keep, is_asked=settings.keep is not None)
    job = _job(loaded, sources, settings, kind, keep)
    with folder.held():
        manifest, done = folder.begin(job, restart=settings.restart)
        if manifest is not None:
            _refuse_changes(manifest, sources)
        else:
            manifest = _Scoring(answerer, folder, kind, settings, sources, tell).run(job, done)
    if is_dealt(settings):
        close(whole, settings)
    return manifest


class _Scoring:
    """One run over the files."""

    def __init__(
        self,
        answerer: Answerer,
        folder: OutputFolder,
        kind: FileFormat,
        settings: ScoreSettings,
        sources: list[Source],
        tell: Tell,
    ) -> None:
        self._answerer = answerer
        self._folder = folder
        self._kind = kind
        self._settings = settings
        self._sources = sources
        self._tell = tell
        self._done: list[Done] = []
        self._rows = self._rejected = self._old_rows = 0
        self._rows_before = self._bytes_before = 0
        self._total_bytes = sum(source.size_bytes for source in sources)

    def run(self, job: Job, found: list[Done]) -> Manifest:
        """All files, from what was found on."""
        inputs = []
        with ThreadPoolExecutor(1) as writer:
            for source in self._sources:
                inputs.append(self._file(source, found, writer))
                self._bytes_before += source.size_bytes
                self._rows_before = self._rows
        if found:
            raise Conflict(
                f"the folder has parts of {found[0].input}, whose rows are others now",
                at=self._folder.place.url,
                hint="--restart throws them away and begins anew",
            )
        manifest = Manifest(
            model=job.model,
            version=job.version,
            digest=job.digest,
            canario=job.canario,
            inputs=tuple(inputs),
            parts=tuple(part for done in self._done for part in done.parts),
            rows=self._rows,
            answered=self._rows - self._rejected,
            rejected=self._rejected,
            settings=job.settings,
        )
        self._folder.finish(manifest)
        return manifest

    def _file(self, source: Source, found: list[Done], writer: ThreadPoolExecutor) -> InputFile:
        """One file: what was found of it, then the rest of it."""
        state = source.place.state()
        digest = source.place.digest()
        first_row, is_whole = 0, False
        while found and found[0].input == source.name:
            is_whole = self._take(found.pop(0), source, digest)
            first_row = self._done[-1].last_row
        if is_whole:
            return InputFile(path=source.name, digest=digest, rows=first_row)
        rows = first_row
        waiting: Future[Done] | None = None
        for chunk in self._chunks(source, digest, first_row):
            # The one before is written while this one is answered; two of them are in memory, never more.
            self._note(waiting)
            waiting = writer.submit(self._folder.write, len(self._done), chunk)
            rows = chunk.last_row
        self._note(waiting)
        if source.place.state() != state:
            raise Conflict(
                f"{source.name} was changed while it was read",
                at=source.place.url,
                hint="--restart begins anew with what it is now",
            )
        return InputFile(path=source.name, digest=digest, rows=rows)

    def _take(self, done: Done, source: Source, digest: str) -> bool:
        """Count a chunk that an earlier run has written; whether the file ends with it. Raises Conflict when it was another file."""
        if done.input_digest != digest:
            raise Conflict(
                f"{source.name} is not what it was when the scoring began: {digest[:19]}, not {done.input_digest[:19]}",
                at=source.place.url,
                hint="bring that file back, or begin anew with --restart",
            )
        self._old_rows += done.last_row - done.first_row
        self._count(done)
        return done.ends_input

    def _note(self, waiting: Future[Done] | None) -> None:
        """Wait until a chunk is written, and count it. Raises TooManyRejects when that is one too many."""
        if waiting is not None:
            self._count(waiting.result())

    def _count(self, done: Done) -> None:
        self._done.append(done)
        self._rows += done.last_row - done.first_row
        self._rejected += done.rejected
        limit = self._settings.most_rejects_percent
        if self._rejected * 100 > limit * self._rows:
            raise TooManyRejects(
                f"{self._rejected:,} of {self._rows:,} rows do not fit the card: {self._rejected * 100 / self._rows:.3g} %,"
                f" and at most {limit:g} % may",
                at=self._folder.place.below(REJECTS_FOLDER).url,
                hint="the rejects say why; mend the input, or go on from here with a higher --most-rejects-percent",
            )

    def _chunks(self, source: Source, digest: str, first_row: int) -> Iterator[Chunk]:
        """The rows of a file from one on, answered, in chunks; the last one is known as the last."""
        answered: list[Answered] = []
        begins = first_row
        for piece in _ahead(pieces_of(source, self._answerer.wanted, first_row)):
            if not len(piece.batch):
                self._answerer.check_columns(piece.batch.schema, source.name)
                check_writable(piece.batch.schema, self._kind, source.name)
            rest = piece
            while len(rest.batch):
                end = begins + self._settings.rows_a_part
                if rest.first_row >= end:
                    yield self._chunk(source, digest, (begins, end), answered)
                    answered, begins = [], end
                    continue
                answered.append(self._answerer.answer(rest.part(begins, end), source.name))
                rest = rest.part(end, rest.end)
            self._show(source, piece)
        if answered:
            rows = sum(each.rows for each in answered)
            yield self._chunk(source, digest, (begins, begins + rows), answered, ends_input=True)

    def _chunk(
        self,
        source: Source,
        digest: str,
        rows: tuple[int, int],
        answered: list[Answered],
        *,
        ends_input: bool = False,
    ) -> Chunk:
        rejects = [each.rejects for each in answered if each.rejects is not None]
        return Chunk(
            input=source.name,
            input_digest=digest,
            first_row=rows[0],
            last_row=rows[1],
            ends_input=ends_input,
            answered=sum(len(each.answers) for each in answered),
            answers=bytes_of([each.answers for each in answered], self._kind),
            rejects=bytes_of(rejects, self._kind) if rejects else None,
        )

    def _show(self, source: Source, piece: Piece) -> None:
        """Tell how far it is."""
        rows = self._rows_before + piece.end
        self._tell(
            Progress(
                rows=rows,
                rejected=self._rejected,
                new_rows=rows - self._old_rows,
                done_bytes=self._bytes_before + int(piece.share * source.size_bytes),
                total_bytes=self._total_bytes,
            )
        )


def _ahead(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces, each read while the one before it is answered: pyarrow and the kernel leave each other a core."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = reader.submit(next, pieces, None)
            yield piece


def _identity(sources: list[Source]) -> tuple[str, ...]:
    """The columns that are kept when nobody says which."""
    if not sources:
        return ()
    first = next(pieces_of(sources[0], Wanted(names=(IDENTITY,))))
    return (IDENTITY,) if IDENTITY in first.batch.schema.names else ()


def _job(
    loaded: LoadedVersion, sources: list[Source], settings: ScoreSettings, kind: FileFormat, keep: tuple[str, ...]
) -> Job:
    """All that decides the output. The limit of rejects is not among it: with another one the same output is gone on with."""
    shaping = {
        "format": str(kind),
        "rows_a_part": str(settings.rows_a_part),
        "keep": ",".join(keep),
        "pyarrow": pa.__version__,
    }
    if settings.partition is not None:
        shaping |= {"index": str(settings.partition), "indexes": str(settings.partitions)}
    return Job(
        model=loaded.name.model,
        version=loaded.name.tag,
        digest=loaded.digest,
        canario=__version__,
        inputs=tuple(source.name for source in sources),
        settings=shaping,
    )


def _refuse_changes(manifest: Manifest, sources: list[Source]) -> None:
    """Raise Conflict when what is done was made of other files than are there now."""
    for source, made_of in zip(sources, manifest.inputs, strict=True):
        if source.place.digest() != made_of.digest:
            raise Conflict(
                f"the scoring of {source.name} is done, and the file is another now",
                at=source.place.url,
                hint="name another output for the new file, or begin anew with --restart",
            )
