"""Which files an input is: one, a folder's, a pattern's; in one order on every machine. What is in them is for reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from canario.batch.patterns import ANYWHERE, Named, files_below, is_hidden, named, refuse_lost_link
from canario.batch.places import Place, place_of, reaching
from canario.batch.settings import FileFormat, ScoreSettings, format_of
from canario.errors import InputError, NotFound, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input file."""

    name: str
    """As it was named, or below the folder that was named."""
    place: Place
    kind: FileFormat
    size_bytes: int
    """0 where the store does not say."""
    folders: Mapping[str, str]
    """What the names of its folders say, such as `day=2026-06-30`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file of an input, before anything is said about what it holds."""

    name: str
    place: Place
    size_bytes: int


def sources_of(url: str, settings: ScoreSettings) -> list[Source]:
    """The files of an input, by name. Raises NotFound, UsageError or InputError."""
    return readable(found_in(url, settings), settings)


def found_in(url: str, settings: ScoreSettings) -> list[Found]:
    """What an input is now, by name. Raises NotFound when it is nothing."""
    found = sorted(_files(url, settings), key=lambda each: each.name)
    if not found:
        raise NotFound(
            f"there is no file to score in {url}",
            at=url,
            hint="files whose names begin with _ or . are passed over; a pattern such as 'data/*.csv' takes others",
        )
    return found


def readable(found: list[Found], settings: ScoreSettings) -> list[Source]:
    """These files as what their names say. Raises UsageError when one says nothing, InputError when one is empty."""
    sources = [source_of(each, settings) for each in found]
    for source in sources:
        if not source.size_bytes and source.place.is_local:
            raise InputError(
                f"{source.name} is empty, without even a heading", at=source.place.url, hint="take it away, or mend it"
            )
    return sources


def source_of(found: Found, settings: ScoreSettings) -> Source:
    """A file as what its name says. Raises UsageError when it says nothing."""
    kind = settings.input_kind or format_of(found.name)
    if kind is None:
        raise UsageError(
            f"the name {found.name} does not say what the file holds",
            at=found.place.url,
            hint="--input-format says it for all files; a pattern such as 'data/*.parquet' leaves this one out",
        )
    folders = dict(part.split("=", 1) for part in found.name.split("/")[:-1] if "=" in part)
    return Source(name=found.name, place=found.place, kind=kind, size_bytes=found.size_bytes, folders=folders)


def refuse_output_inside(url: str, output: Place, settings: ScoreSettings) -> None:
    """Raise UsageError for an output that the next run would take for input."""
    if named(place_of(url, settings.storage)).may_take(output):
        raise UsageError(
            "the output lies inside the input: what is written would be read", at=output.url, hint="name another folder"
        )


def _files(url: str, settings: ScoreSettings) -> Iterator[Found]:
    place = place_of(url, settings.storage)
    given = named(place)
    if given.is_pattern:
        for name, size in _matches(given, place):
            if not is_hidden(name):
                yield _found(given.root.below(name), name, size)
        return
    refuse_lost_link(place, PurePosixPath(url).name)
    with reaching(place):
        place.system.invalidate_cache()
        info = place.system.info(place.path)
    if info["type"] != "directory":
        yield _found(place, PurePosixPath(url).name, info["size"] or 0)
        return
    with reaching(place):
        names = dict(files_below(Path(place.path))) if place.is_local else place.files()
    for name, size in names.items():
        if not is_hidden(name):
            yield _found(place.below(name), name, size)


def _found(place: Place, name: str, size: int) -> Found:
    refuse_lost_link(place, name)
    return Found(name=name, place=place, size_bytes=size)


def _matches(given: Named, place: Place) -> list[tuple[str, int]]:
    fits = given.fits()
    root = given.root
    with reaching(place):
        if root.is_local:
            if not Path(root.path).is_dir():
                return []
            deepest = None if ANYWHERE in given.below else len(given.below)
            return [each for each in files_below(Path(root.path), deepest) if fits.match(each[0])]
        place.system.invalidate_cache()
        matches = place.system.glob(place.path, detail=True)
        prefix = f"{root.path.rstrip('/')}/"
        return [
            (path.removeprefix(prefix), info["size"] or 0)
            for path, info in matches.items()
            if info["type"] != "directory"
        ]
