"""The folder of a scoring's output: parts and what proves them, found again after a kill; what is in them is for others.

    part-00000.parquet                the answers to a range of an input file's rows
    _rejects/rejects-00000.parquet    the refused ones of these rows, where there are some
    _progress/job.json                while it is not done: what is being scored, by what, how
    _progress/00000.json              while it is not done: that part 00000 and its rejects are whole
    _manifest.json                    the Manifest
    _SUCCESS                          empty; last

Readers of folders of tables pass over names that begin with `_`, so the folder is one table.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec

from canario.adapters.files import STAGING_PREFIX
from canario.batch.places import Place, reaching
from canario.batch.settings import FileFormat
from canario.errors import Conflict, IntegrityError, NotFound, Unavailable
from canario.model.batch import Manifest, Part

REJECTS_FOLDER = "_rejects"
PROGRESS_FOLDER = "_progress"
JOB_FILE = f"{PROGRESS_FOLDER}/job.json"
MANIFEST_FILE = "_manifest.json"
SUCCESS_FILE = "_SUCCESS"
READ_AT_ONCE = 8
"""Parts that are proved side by side."""
OUR_PART = re.compile(rf"part-[0-9]{{5,}}\.({'|'.join(FileFormat)})")
RESTART = "--restart throws that away and begins anew; or name another folder"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What decides every byte of an output but the inputs' contents."""

    model: str
    version: str
    digest: str
    """The version's digest."""
    canario: str
    inputs: tuple[str, ...]
    """The names of the input files, in their order."""
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A range of rows that is answered and written."""

    input: str
    input_digest: str
    first_row: int
    last_row: int
    """The place after the last one."""
    ends_input: bool
    """Whether the file has no rows after these."""
    parts: tuple[Part, ...]
    """The answers, and the rejects if there are some."""

    @property
    def answered(self) -> int:
        return self.parts[0].rows

    @property
    def rejected(self) -> int:
        return self.last_row - self.first_row - self.answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A range of rows as it will be written; empty rejects are not."""

    input: str
    input_digest: str
    first_row: int
    last_row: int
    ends_input: bool
    answered: int
    answers: memoryview
    rejects: memoryview | None


class OutputFolder:
    """One output; only one process at a time writes it."""

    def __init__(self, place: Place, kind: FileFormat) -> None:
        self.place = place
        self._kind = kind

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep others on this machine from writing here until the block ends; an object store has no such lock."""
        if not self.place.is_local:
            yield
            return
        with reaching(self.place):
            Path(self.place.path).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.place.path, os.O_RDONLY)
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                "another run writes into this folder",
                at=self.place.url,
                hint="wait for its end, or name another folder",
            ) from None

    def begin(self, job: Job, *, restart: bool) -> tuple[Manifest | None, list[Done]]:
        """What an earlier run of the same job has left that is proved: its manifest if it had ended, the parts in a row if not.

        Raises Conflict when the folder holds anything else.
        """
        names = self.place.files()
        if restart and (JOB_FILE in names or MANIFEST_FILE in names):
            names = self._cleared(names)
        if SUCCESS_FILE in names and MANIFEST_FILE in names:  # Spark, too, writes a _SUCCESS
            return self._finished(job), []
        if JOB_FILE not in names:
            self._refuse_strangers(names)
            self.place.below(JOB_FILE).write(_json(job))
            return None, []
        found = self._job()
        if found != job:
            raise Conflict(
                f"the folder holds a part of another scoring: {_difference(found, job)}",
                at=self.place.url,
                hint=RESTART,
            )
        return None, self._proved(names)

    def write(self, number: int, chunk: Chunk) -> Done:
        """Put a chunk there: rejects, answers, and last of all the word that they are whole."""
        parts = [self._write_part(f"part-{number:05d}.{self._kind}", chunk, chunk.answers, is_rejects=False)]
        if chunk.rejects is not None:
            name = f"{REJECTS_FOLDER}/rejects-{number:05d}.{self._kind}"
            parts.append(self._write_part(name, chunk, chunk.rejects, is_rejects=True))
        done = Done(
            input=chunk.input,
            input_digest=chunk.input_digest,
            first_row=chunk.first_row,
            last_row=chunk.last_row,
            ends_input=chunk.ends_input,
            parts=tuple(parts),
        )
        self.place.below(_record_name(number)).write(_json(done))
        return done

    def finish(self, manifest: Manifest) -> None:
        """Put the manifest there, then the word that all is done; then take away what was only for going on."""
        listed = {part.path for part in manifest.parts}
        for name in self.place.files():
            if (
                _is_ours(name)
                and name not in listed
                and not name.startswith((PROGRESS_FOLDER, "_manifest", "_SUCCESS"))
            ):
                self.place.below(name).remove()
        self.place.below(MANIFEST_FILE).write(_json(manifest))
        self.place.below(SUCCESS_FILE).write(b"")
        self.place.below(PROGRESS_FOLDER).remove()

    def _write_part(self, name: str, chunk: Chunk, content: memoryview, *, is_rejects: bool) -> Part:
        self.place.below(name).write(content)
        rows = chunk.last_row - chunk.first_row
        return Part(
            path=name,
            digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
            rows=rows - chunk.answered if is_rejects else chunk.answered,
            input=chunk.input,
            first_row=chunk.first_row,
            last_row=chunk.last_row,
            is_rejects=is_rejects,
        )

    def _finished(self, job: Job) -> Manifest:
        """The manifest of the job, which had ended. Raises Conflict when it was another one, or parts were changed since."""
        manifest = _read(Manifest, self.place.below(MANIFEST_FILE))
        found = Job(
            model=manifest.model,
            version=manifest.version,
            digest=manifest.digest,
            canario=manifest.canario,
            inputs=tuple(each.path for each in manifest.inputs),
            settings=manifest.settings,
        )
        if found != job:
            raise Conflict(
                f"the folder holds another scoring, which is done: {_difference(found, job)}",
                at=self.place.url,
                hint=RESTART,
            )
        with ThreadPoolExecutor(READ_AT_ONCE) as readers:
            for part, is_whole in zip(manifest.parts, readers.map(self._is_whole, manifest.parts), strict=True):
                if not is_whole:
                    raise Conflict(
                        f"{part.path} is not what was written: it was changed or removed since",
                        at=self.place.below(part.path).url,
                        hint=RESTART,
                    )
        self.place.below(PROGRESS_FOLDER).remove()
        return manifest

    def _job(self) -> Job:
        return _read(Job, self.place.below(JOB_FILE))

    def _proved(self, names: Mapping[str, int]) -> list[Done]:
        """The chunks from the first on whose files are what their records say; what comes after a gap is made again."""
        in_a_row = itertools.takewhile(names.__contains__, map(_record_name, itertools.count()))
        done: list[Done] = []
        with ThreadPoolExecutor(READ_AT_ONCE) as readers:
            for found in readers.map(self._proved_record, in_a_row):
                if found is None:
                    break
                done.append(found)
        return done

    def _proved_record(self, name: str) -> Done | None:
        try:
            done = _read(Done, self.place.below(name))
        except IntegrityError:  # the record did not outlive a power cut
            return None
        return done if all(self._is_whole(part) for part in done.parts) else None

    def _is_whole(self, part: Part) -> bool:
        try:
            return self.place.below(part.path).digest() == part.digest
        except NotFound:
            return False

    def _refuse_strangers(self, names: Mapping[str, int]) -> None:
        """Raise Conflict when files lie here that a reader of the output would take for parts."""
        strange = sorted(name for name in names if not PurePosixPath(name).name.startswith(STAGING_PREFIX))
        if strange:
            raise Conflict(
                f"the folder is not empty, and what is in it is no scoring: {', '.join(strange[:5])}",
                at=self.place.url,
                hint="name an empty folder, or one that is not there yet",
            )

    def _cleared(self, names: Mapping[str, int]) -> dict[str, int]:
        """Take away what a scoring wrote: the word that it is done first, last what says that it was one; the rest stays."""
        last = (JOB_FILE, MANIFEST_FILE)
        for name in sorted(filter(_is_ours, names), key=lambda name: (name != SUCCESS_FILE, name in last, name)):
            self.place.below(name).remove()
        return {name: size for name, size in names.items() if not _is_ours(name)}


def _is_ours(name: str) -> bool:
    path = PurePosixPath(name)
    top = path.parts[0]
    return (
        top in (REJECTS_FOLDER, PROGRESS_FOLDER, MANIFEST_FILE, SUCCESS_FILE)
        or path.name.startswith(STAGING_PREFIX)
        or OUR_PART.fullmatch(name) is not None
    )


def _record_name(number: int) -> str:
    return f"{PROGRESS_FOLDER}/{number:05d}.json"


def _json(noun: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(noun), indent=2) + b"\n"


def _read(kind: type[T], place: Place) -> T:
    try:
        return msgspec.json.decode(place.read(), type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as broken:
        raise IntegrityError(f"it is not what was written: {broken}", at=place.url, hint=RESTART) from broken


def _difference(found: Job, wanted: Job) -> str:
    """The first thing in which two jobs differ, in words."""
    for name, what in (("version", "version"), ("digest", "version's digest"), ("canario", "release of canario")):
        there, here = getattr(found, name), getattr(wanted, name)
        if there != here:
            return f"its {what} is {there}, and this one's {here}"
    for name in sorted({*found.settings, *wanted.settings}):
        there, here = found.settings.get(name, "-"), wanted.settings.get(name, "-")
        if there != here:
            return f"its {name} is {there}, and this one's {here}"
    strange = sorted({*found.inputs} ^ {*wanted.inputs})
    return f"its input files are others: {', '.join(strange[:3])}" if strange else f"its model is {found.model}"
