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


def sources_of(url: str, settings: ScoreSettings) -> list[Source]:
    """The files of an input, by name; of these, the settings' share. Raises NotFound, UsageError or InputError."""
    found = sorted(_files(url, settings), key=lambda source: source.name)
    if not found:
        raise NotFound(
            f"there is no file to score in {url}",
            at=url,
            hint="files whose names begin with _ or . are passed over; a pattern such as 'data/*.csv' takes others",
        )
    if settings.partition is not None:
        found = found[settings.partition :: settings.partitions]
    for source in found:
        if not source.size_bytes and source.place.is_local:
            raise InputError(
                f"{source.name} is empty, without even a heading", at=source.place.url, hint="take it away, or mend it"
            )
    return found


def _files(url: str, settings: ScoreSettings) -> Iterator[Source]:
    place = place_of(url, settings.storage)
    if any(sign in url for sign in PATTERN):
        fixed = url[: min(url.find(sign) for sign in PATTERN if sign in url)].rpartition("/")[0]
        root = place_of(fixed or ".", settings.storage)
        with reaching(place):
            place.system.invalidate_cache()
            matches = place.system.glob(place.path, detail=True)
        for path, info in matches.items():
            if info["type"] == "file":
                yield _source(root, path.removeprefix(f"{root.path.rstrip('/')}/"), info["size"] or 0, settings)
        return
    with reaching(place):
        place.system.invalidate_cache()
        info = place.system.info(place.path)
    if info["type"] != "directory":
        yield _named(place, PurePosixPath(url).name, info["size"] or 0, settings)
        return
    for name, size in place.files().items():
        if not any(part.startswith(HIDDEN) for part in name.split("/")):
            yield _source(place, name, size, settings)


def _source(root: Place, name: str, size: int, settings: ScoreSettings) -> Source:
    return _named(root.below(name), name, size, settings)


def _named(place: Place, name: str, size: int, settings: ScoreSettings) -> Source:
    kind = settings.input_kind or format_of(name)
    if kind is None:
        raise UsageError(
            f"the name {name} does not say what the file holds",
            at=place.url,
            hint="--input-format says it for all files; a pattern such as 'data/*.parquet' leaves this one out",
        )
    folders = dict(part.split("=", 1) for part in name.split("/")[:-1] if "=" in part)
    return Source(name=name, place=place, kind=kind, size_bytes=size, folders=folders)
