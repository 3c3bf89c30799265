"""A version's archive, read: what comes from elsewhere is proved piece by piece before any of it is used; storing it is for others.

The file is a gzipped tar of `version.json` and the files that it lists, in the order of their names, without times or
owners: the same version always gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

import msgspec

from canario.adapters.versions import CARD_FILE, ESTIMATOR_FILE, ONNX_FILE, RECORD_FILE, WARMUP_FILE, digest_of
from canario.errors import DigestMismatch, LibraryMismatch, NotFound, UntrustedCode, UsageError
from canario.model.version import MODEL_PATTERN, TAG_PATTERN, KernelKind, VersionRecord

SUFFIX = ".canario"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A version's files lie flat in its folder: no separators, nothing hidden."""
MOST_FILES = 64
LONGEST_FILE_BYTES = 1 << 30
LONGEST_ARCHIVE_BYTES = 2 << 30
LONGEST_PAGE_BYTES = 1 << 20
"""Of the record and of the card, which people read too."""
YEAR_10000_SECONDS = 253_402_300_800
"""Calendars end there."""
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, *tarfile.GNU_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What an archive holds: every byte is what its record says."""

    record: VersionRecord
    contents: Mapping[str, bytes]
    """The version's files by name, without the record's own."""


def read_archive(path: Path) -> Archive:
    """The version in a file, after all of it has been proved.

    Raises NotFound; UsageError for what is no archive of a version or has an unsafe path; DigestMismatch, naming what differs.
    """
    contents = dict(_members(path))
    record = _record(contents.pop(RECORD_FILE, b""), path)
    _prove_contents(record, contents, path)
    return Archive(record=record, contents=contents)


def check_libraries(record: VersionRecord, path: Path, decisive: Iterable[str]) -> None:
    """Raise LibraryMismatch for the first of these libraries whose major version here is not the recorded one."""
    for name in decisive:
        there, here = record.libraries.get(name, ""), version(name)
        if not there:
            raise LibraryMismatch(f"{record.name} does not say which {name} it was made with", at=f"{path}: {name}")
        if _major(there) != _major(here):
            raise LibraryMismatch(
                f"{record.name} was made with {name} {there}, and {name} {here} is installed here",
                at=f"{path}: {name}",
                hint=f"install {name} {_major(there)}, or train the version again here",
            )


def refuse_pickles(record: VersionRecord, path: Path, hint: str) -> None:
    """Raise UntrustedCode for a version that runs by unpickling."""
    if record.kernel.kind is not KernelKind.ONNX:
        raise UntrustedCode(
            f"{record.name} is not compiled ({record.kernel.reason}): serving it runs code from its pickled estimator",
            at=f"{path}: {ESTIMATOR_FILE}",
            hint=hint,
        )


class _PlainHeader(tarfile.TarInfo):
    """A member's head that is refused when it extends another's: tarfile reads such content whole before anybody sees its size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENSIONS:
            raise tarfile.ReadError("it has a header that `canario export` never writes")
        return header


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files in an archive by name, read in order and never past the limits."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}", at=str(path), hint="`canario export MODEL:TAG` makes one")
    seen: set[str] = set()
    total_bytes = 0
    try:
        with (
            gzip.open(path, "rb") as unpacked,
            tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_PlainHeader) as tar,
        ):
            for member in tar:
                total_bytes += member.size
                _check_member(member, seen, total_bytes, path)
                seen.add(member.name)
                stream = tar.extractfile(member)
                yield member.name, stream.read() if stream else b""
            # What fills the last record up may be a record of its own. Reading to the end also has gzip compare its checksum.
            rest = unpacked.read(tarfile.RECORDSIZE + 1)
            if len(rest) > tarfile.RECORDSIZE or rest.strip(b"\0"):
                raise tarfile.ReadError("it goes on behind its end")
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError) as broken:
        raise UsageError(
            f"{path.name} is not a version's archive, or only a part of one: {broken}",
            at=str(path),
            hint="`canario export MODEL:TAG` makes one; copy it again if it came over a network",
        ) from broken


def _check_member(member: tarfile.TarInfo, seen: set[str], total_bytes: int, path: Path) -> None:
    problem = ""
    if not member.isreg() or member.issparse():
        problem = "is not a plain file"
    elif not FILE_NAME.fullmatch(member.name):
        problem = "does not lie flat in the archive"
    elif member.name in seen:
        problem = "is there twice"
    elif len(seen) >= MOST_FILES:
        problem = f"is one of more than {MOST_FILES} files"
    elif member.name in (RECORD_FILE, CARD_FILE) and member.size > LONGEST_PAGE_BYTES:
        problem = f"is longer than {LONGEST_PAGE_BYTES >> 20} MiB"
    elif member.size > LONGEST_FILE_BYTES or total_bytes > LONGEST_ARCHIVE_BYTES:
        problem = f"is too large: {LONGEST_FILE_BYTES >> 30} GiB a file, {LONGEST_ARCHIVE_BYTES >> 30} GiB altogether"
    if problem:
        raise UsageError(
            f"{path.name} holds something that no version has: {member.name[:100]!r} {problem}",
            at=f"{path}: {member.name[:100]}",
            hint="do not use this file; ask for one made by `canario export`",
        )


def _record(content: bytes, path: Path) -> VersionRecord:
    at = f"{path}: {RECORD_FILE}"
    if not content:
        raise UsageError(f"{path.name} is not a version's archive: it has no {RECORD_FILE}", at=at)
    try:
        record = msgspec.json.decode(content, type=VersionRecord)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as broken:
        raise UsageError(f"{path.name} has a record that cannot be read: {broken}", at=at) from broken
    if not 0 <= record.created_at_seconds < YEAR_10000_SECONDS:
        raise UsageError(f"{record.created_at_seconds:g} is no time at which a version was made", at=at)
    if not re.fullmatch(MODEL_PATTERN, record.name.model):
        raise UsageError(f"{record.name.model!r} is not a model's name", at=at)
    if not re.fullmatch(TAG_PATTERN, record.name.tag) or record.name.tag == "latest":
        raise UsageError(f"{record.name.tag!r} cannot be a version's tag", at=at)
    return record


def _prove_contents(record: VersionRecord, contents: Mapping[str, bytes], path: Path) -> None:
    for name in sorted(record.files.keys() | contents.keys()):
        found = hashlib.sha256(contents[name]).hexdigest() if name in contents else "missing"
        recorded = record.files.get(name, "not recorded")
        if found != recorded:
            raise DigestMismatch(
                f"{name} of {record.name} is not what was packed: sha256 {found}, recorded {recorded}",
                at=f"{path}: {name}",
                hint="copy the file again from where it was exported",
            )
    if digest_of(record.files) != record.digest:
        raise DigestMismatch(
            f"the record of {record.name} was changed: its files do not give its digest", at=f"{path}: {RECORD_FILE}"
        )
    kernel = ONNX_FILE if record.kernel.kind is KernelKind.ONNX else ESTIMATOR_FILE
    for needed in (CARD_FILE, kernel, WARMUP_FILE):
        if needed not in contents:
            raise UsageError(f"{path.name} cannot be served: it has no {needed}", at=f"{path}: {needed}")


def _major(version_text: str) -> str:
    return version_text.partition(".")[0]
