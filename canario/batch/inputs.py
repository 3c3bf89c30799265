"""Which files an input is: one, a folder's, a pattern's; in one order on every machine. What is in them is for reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from canario.batch.places import Place, place_of, reaching
from canario.batch.settings import FileFormat, ScoreSettings, format_of
from canario.errors import InputError, NotFound, UsageError

HIDDEN = ("_", ".")
"""Names that begin so are no data, as Spark, Hive and pyarrow have it."""
PATTERN = "*?["


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


def _files(url: str, settings: ScoreSettings) -> Iterator[Found]:
    place = place_of(url, settings.storage)
    if any(sign in url for sign in PATTERN):
        fixed = url[: min(url.find(sign) for sign in PATTERN if sign in url)].rpartition("/")[0]
        root = place_of(fixed or ".", settings.storage)
        with reaching(place):
            place.system.invalidate_cache()
            matches = place.system.glob(place.path, detail=True)
        for path, info in matches.items():
            if info["type"] == "file":
                name = path.removeprefix(f"{root.path.rstrip('/')}/")
                yield Found(name=name, place=root.below(name), size_bytes=info["size"] or 0)
        return
    with reaching(place):
        place.system.invalidate_cache()
        info = place.system.info(place.path)
    if info["type"] != "directory":
        yield Found(name=PurePosixPath(url).name, place=place, size_bytes=info["size"] or 0)
        return
    for name, size in place.files().items():
        if not any(part.startswith(HIDDEN) for part in name.split("/")):
            yield Found(name=name, place=place.below(name), size_bytes=size)
