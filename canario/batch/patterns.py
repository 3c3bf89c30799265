"""Which names an input may have: a pattern as a fixed folder and what may lie below it, and the files of this machine there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from fsspec.utils import glob_translate  # type: ignore[import-untyped]  # it ships no types

from canario.batch.places import Place
from canario.errors import InputError, UsageError

HIDDEN = ("_", ".")
"""Names that begin so are no data, as Spark, Hive and pyarrow have it."""
SIGNS = "*?["
ANYWHERE = "**"


@dataclass(frozen=True, slots=True)
class Named:
    """What a person named as an input: a folder or file, or a folder and the names below it that fit."""

    root: Place
    below: tuple[str, ...] = ()
    """A pattern for each segment of a name below the root; empty: the root itself, with all that is in it."""

    @property
    def is_pattern(self) -> bool:
        """Whether names are looked for."""
        return bool(self.below)

    def fits(self) -> re.Pattern[str]:
        """What a name below the root must fit. Raises UsageError for a pattern that means nothing."""
        pattern = "/".join(self.below)
        try:
            return re.compile(glob_translate(pattern))
        except (ValueError, re.error) as wrong:
            raise UsageError(f"this is no pattern: {wrong}", at=pattern, hint="`**` is a whole segment") from wrong

    def may_take(self, place: Place) -> bool:
        """Whether a name below a folder, which need not be there yet, could be one of these."""
        if place.is_local is not self.root.is_local:
            return False
        folder, root = _real(place), _real(self.root)
        if folder != root and not folder.startswith(f"{root.rstrip('/')}/"):
            return False
        segments = [segment for segment in folder[len(root) :].split("/") if segment]
        return _leads_below(self.below or (ANYWHERE,), segments)


def named(place: Place) -> Named:
    """What an address means; a file or folder that is there is meant as it is called."""
    first = min((place.path.find(sign) for sign in SIGNS if sign in place.path), default=-1)
    if first < 0 or place.exists():
        return Named(place)
    folder, slash, _ = place.path[:first].rpartition("/")
    below = place.path[len(folder) + len(slash) :]
    return Named(Place(place.system, folder or slash, _folder_of(place.url)), tuple(below.split("/")))


def files_below(folder: Path, deepest: int | None = None) -> Iterator[tuple[str, int]]:
    """The files of this machine in a folder and in those below it, by name, with their bytes; links are followed.

    A link to nothing has -1 bytes.
    """
    yield from _walked(str(folder), "", deepest, (os.path.realpath(folder),))


def _walked(folder: str, prefix: str, deepest: int | None, above: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if not entry.is_dir():
                yield name, _size(entry)
            elif deepest is None or deepest > 1:
                real = os.path.realpath(entry.path)
                if real not in above:  # a link that leads back up would have no end
                    yield from _walked(entry.path, f"{name}/", deepest and deepest - 1, (*above, real))


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return -1


def refuse_lost_link(place: Place, name: str) -> None:
    """Raise InputError for a link of this machine that leads to nothing."""
    path = Path(place.path)
    if place.is_local and path.is_symlink() and not path.exists():
        raise InputError(
            f"{name} is a link to {path.readlink()}, which is not there",
            at=place.url,
            hint="bring back what it leads to, or take the link away",
        )


def is_hidden(name: str) -> bool:
    """Whether a name, or a folder in it, is no data."""
    return any(part.startswith(HIDDEN) for part in name.split("/"))


def _leads_below(patterns: Sequence[str], segments: Sequence[str]) -> bool:
    """Whether a name that fits the patterns may lie below the folder of these segments."""
    if not patterns or (segments and is_hidden(segments[0])):
        return False
    if ANYWHERE in patterns[0]:
        return not any(map(is_hidden, segments))
    if not segments:
        return True
    return fnmatchcase(segments[0], patterns[0]) and _leads_below(patterns[1:], segments[1:])


def _real(place: Place) -> str:
    return os.path.realpath(place.path) if place.is_local else place.path


def _folder_of(url: str) -> str:
    """The part of an address before its first segment with a sign."""
    first = min(url.find(sign) for sign in SIGNS if sign in url)
    folder, slash, _ = url[:first].rpartition("/")
    return folder or slash or "."
