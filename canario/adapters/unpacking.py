"""The folder of a version that comes as an archive, a file or an address: fetched within bounds, proved, and unpacked once; serving it is for others."""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path

import httpx
import msgspec

from canario.adapters.archives import (
    LONGEST_ARCHIVE_BYTES,
    Archive,
    check_libraries,
    read_archive,
    refuse_pickles,
)
from canario.adapters.files import new_folder, remove_stale_staging, write_atomically
from canario.adapters.homes import unpacked_folder
from canario.adapters.versions import RECORD_FILE, prove, read_version
from canario.errors import CanarioError, DigestMismatch, IntegrityError, NotFound, Unavailable, UsageError

COMPUTING = ("numpy", "onnxruntime")
"""The libraries that compute a compiled version's answers; their next major version may compute others, or refuse."""
LONGEST_WAIT_SECONDS = 30.0
"""For the next bytes of an archive."""
MOST_REDIRECTS = 5


def unpacked(place: str, *, stale_seconds: float = 0.0) -> Path:
    """The folder of the version at a place: a path or an http(s) address, with `#sha256:...` behind it if only that digest will do.

    What an ended process left half unpacked longer ago than `stale_seconds` is cleared; a server is alone with its folder.
    What was unpacked here before is proved again and taken as it is, also when the place is out of reach. Raises NotFound,
    UsageError, DigestMismatch, LibraryMismatch or UntrustedCode, saying what is wrong with it; Unavailable for an address that
    does not answer.
    """
    where, _, digest = place.partition("#")
    known = _known(place, digest)
    if known is not None:
        return known
    unpacked_folder().mkdir(parents=True, exist_ok=True)
    remove_stale_staging(unpacked_folder(), older_than_seconds=stale_seconds, now_seconds=time.time() + 1.0)
    if where.startswith(("http://", "https://")):
        with tempfile.TemporaryDirectory(prefix="canario-archive-") as temporary:
            file = Path(temporary) / (httpx.URL(where).path.rpartition("/")[2][-100:] or "archive")
            _fetch(where, file)
            folder = _unpack(read_archive(file), file, digest)
    else:
        folder = _unpack(read_archive(Path(where)), Path(where), digest)
    if digest:
        write_atomically(_note(place), folder.name.encode())
    return folder


def _note(place: str) -> Path:
    """The file that says which folder a pinned place was unpacked to; two versions may have one digest, but no place."""
    return unpacked_folder() / f"{hashlib.sha256(place.encode()).hexdigest()}.place"


def _known(place: str, digest: str) -> Path | None:
    note = _note(place)
    if not digest or not note.is_file():
        return None
    folder = unpacked_folder() / note.read_text()
    if not folder.is_dir():
        return None
    version = read_version(folder)
    prove(version)
    return folder if version.record.digest == digest else None


def _unpack(archive: Archive, file: Path, digest: str) -> Path:
    record = archive.record
    if digest not in ("", record.digest):
        raise DigestMismatch(
            f"{file.name} holds {record.name} with the digest {record.digest}, and {digest} was asked for",
            at=str(file),
            hint="a version never changes: give the archive's new content a version of its own",
        )
    refuse_pickles(
        record, file, "an archive is never unpickled: `canario build --image` makes an image of such a version"
    )
    check_libraries(record, file, COMPUTING)
    written = msgspec.json.encode(record)
    # Versions of equal files have one digest, and other names and scores: the whole record says which is which.
    folder = unpacked_folder() / f"{record.name.model}-{record.name.tag}-{hashlib.sha256(written).hexdigest()}"
    if folder.is_dir():
        version = read_version(folder)
        prove(version)
        if version.record != record:
            raise DigestMismatch(
                f"the record of {record.name} was changed after it was unpacked",
                at=str(folder / RECORD_FILE),
                hint="remove this folder: the archive is unpacked again",
            )
        return folder
    with new_folder(folder) as staging:
        for name, content in archive.contents.items():
            (staging / name).write_bytes(content)
        (staging / RECORD_FILE).write_bytes(written)
    return folder


def _fetch(address: str, file: Path) -> None:
    """Bring the bytes at an address into a file, as long as they are no more than an archive may have."""
    try:
        with (
            httpx.Client(timeout=LONGEST_WAIT_SECONDS, follow_redirects=True, max_redirects=MOST_REDIRECTS) as client,
            client.stream("GET", address) as answer,
            file.open("wb") as stream,
        ):
            if answer.status_code != httpx.codes.OK:
                raise _refusal(address, answer.status_code)
            for piece in answer.iter_raw():
                if stream.tell() + len(piece) > LONGEST_ARCHIVE_BYTES:
                    raise UsageError(
                        f"the archive is longer than {LONGEST_ARCHIVE_BYTES >> 30} GiB, which none may be", at=address
                    )
                stream.write(piece)
    except (httpx.HTTPError, httpx.InvalidURL) as lost:
        raise Unavailable(
            f"the archive cannot be fetched: {str(lost) or type(lost).__name__}",
            at=address,
            hint="it is tried again when the server is started again",
        ) from lost


def _refusal(address: str, status: int) -> CanarioError:
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        return NotFound("there is no archive", at=address, hint="`canario export MODEL:TAG` makes one")
    if status >= 500:
        return Unavailable(f"the archive cannot be fetched: status {status}", at=address)
    return IntegrityError(f"the archive is refused: status {status}", at=address)
