"""Files and folders on this machine or in an object store, by fsspec: read, listed, and written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # it ships no types
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

from canario.adapters.files import STAGING_PREFIX, make_durable
from canario.errors import CanarioError, Conflict, NotFound, Unavailable, UsageError

READ_BYTES = 8 * 1024 * 1024
"""What is asked of an object store at once."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a system says when no more can be written: the disk, somebody's share of it, or the largest allowed file."""
KNOWS_NO_SUCH = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
"""What a system says to what it cannot do at all."""
AGAIN = "the parts that are done stay: the same command goes on from there"


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder, wherever it is."""

    system: AbstractFileSystem
    path: str
    """As the file system names it."""
    url: str
    """As a person would name it."""

    @property
    def is_local(self) -> bool:
        """Whether it lies on a disk of this machine."""
        return isinstance(self.system, LocalFileSystem)

    def below(self, name: str) -> Place:
        """A file or folder in this folder."""
        return Place(self.system, f"{self.path.rstrip('/')}/{name}", f"{self.url.rstrip('/')}/{name}")

    def open(self) -> BinaryIO:
        """For reading, from its beginning; whoever reads tells errors by `reaching`."""
        if self.is_local:
            return Path(self.path).open("rb")
        return cast("BinaryIO", self.system.open(self.path, "rb", block_size=READ_BYTES))

    def read(self) -> bytes:
        """All bytes. Raises NotFound or Unavailable."""
        with reaching(self):
            return Path(self.path).read_bytes() if self.is_local else bytes(self.system.cat_file(self.path))

    def write(self, content: memoryview | bytes) -> None:
        """Put a whole file there, in place of any other; a reader sees the old one or the new one, also after a power cut.

        Raises Unavailable when there is no room or the store is away.
        """
        with reaching(self):
            if self.is_local:
                _write_here(Path(self.path), content)
            else:
                self.system.pipe_file(self.path, bytes(content))

    def write_new(self, content: bytes) -> None:
        """Put a whole file there unless one is there already; who of several was first is read afterwards.

        A store that knows no such write gets the file when none is seen there.
        """
        with reaching(self):
            if self.is_local:
                _write_new_here(Path(self.path), content)
                return
            try:
                self.system.pipe_file(self.path, content, mode="create")
            except (OSError, TypeError, ValueError, NotImplementedError) as refused:
                # Each store says in its own words that there is one, or that it knows no such write.
                if self.exists():
                    return
                if isinstance(refused, OSError) and refused.errno not in KNOWS_NO_SUCH:
                    raise
                self.system.pipe_file(self.path, content)

    def write_with_others(self, content: bytes) -> None:
        """As `write`, where several processes may write the same at once."""
        with reaching(self):
            if self.is_local:
                _write_with_others_here(Path(self.path), content)
            else:
                self.system.pipe_file(self.path, content)

    def exists(self) -> bool:
        """Whether there is a file or a folder, or a link."""
        with reaching(self):
            if self.is_local:
                return os.path.lexists(self.path)
            self.system.invalidate_cache()
            return bool(self.system.exists(self.path))

    def remove_staging(self) -> None:
        """Take away what was killed in `write_new` and `write_with_others` of this file has left beside it."""
        if self.is_local:
            path = Path(self.path)
            for left in path.parent.glob(f"{STAGING_PREFIX}{path.name}-*"):
                left.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take a file, or a folder with all that is in it, away, if it is there."""
        with reaching(self), contextlib.suppress(FileNotFoundError):
            self.system.rm(self.path, recursive=True)
        self.system.invalidate_cache()

    def digest(self) -> str:
        """`sha256:` and the hex sha256 of all its bytes, read from its beginning to its end."""
        with reaching(self), self.open() as stream:
            if self.is_local:
                return f"sha256:{hashlib.file_digest(cast('BufferedReader', stream), 'sha256').hexdigest()}"
            found = hashlib.sha256()
            while piece := stream.read(READ_BYTES):
                found.update(piece)
            return f"sha256:{found.hexdigest()}"

    def state(self) -> str:
        """A word that changes when the file is written again."""
        with reaching(self):
            self.system.invalidate_cache(self.path)
            return str(self.system.ukey(self.path))

    def files(self) -> dict[str, int]:
        """The files in this folder and below, by their paths below it, with their bytes; none when it is not there."""
        with reaching(self):
            self.system.invalidate_cache()
            found = self.system.find(self.path, detail=True)
        root = f"{self.path.rstrip('/')}/"
        return {path.removeprefix(root): info["size"] or 0 for path, info in found.items() if path.startswith(root)}


def place_of(url: str, storage: Mapping[str, Any] | None = None) -> Place:
    """The place that a path (`scores`), or an address (`s3://bucket/scores`), names. Raises UsageError."""
    if "::" in url and os.path.lexists(url):  # fsspec would take it for an address in an address
        return Place(LocalFileSystem(), str(Path(url).absolute()), url)
    try:
        system, path = url_to_fs(url, **(storage or {}))
    except ImportError as missing:
        raise UsageError(
            f"{url.partition('://')[0]}:// needs a library that is not installed: {missing}",
            at=url,
            hint="install fsspec's library for it, such as s3fs, gcsfs or adlfs, beside canario",
        ) from missing
    except (ValueError, TypeError) as wrong:
        raise UsageError(f"this is no place that can be read or written: {wrong}", at=url) from wrong
    return Place(system, path, url)


@contextlib.contextmanager
def reaching(place: Place) -> Iterator[None]:
    """Raise what a file system says in canario's own words."""
    try:
        yield
    except CanarioError:
        raise
    except FileNotFoundError as missing:
        raise NotFound(f"there is no {place.url}", at=place.url, hint="`ls` it, or mend the address") from missing
    except (NotADirectoryError, FileExistsError) as taken:
        raise Conflict(
            f"a file lies where a folder should be: {_words(taken)}", at=place.url, hint="name another folder"
        ) from taken
    except PermissionError as refused:
        raise Unavailable(f"no right to use it: {_words(refused)}", at=place.url, hint=AGAIN) from refused
    except OSError as failed:
        if failed.errno in FULL:
            raise Unavailable(
                f"there is no room left: {_words(failed)}", at=place.url, hint=f"make room; {AGAIN}"
            ) from failed
        raise Unavailable(f"it can't be reached: {_words(failed)}", at=place.url, hint=AGAIN) from failed
    except Exception as failed:  # object stores have their own exceptions, each library others
        raise Unavailable(f"it can't be reached: {_words(failed)}", at=place.url, hint=AGAIN) from failed


def _words(failed: BaseException) -> str:
    return f"{type(failed).__name__}: {failed}".splitlines()[0][:300]


def _write_here(path: Path, content: memoryview | bytes) -> None:
    """As `write_atomically`, with the rights that the user's mask gives: others shall read it.

    The name beside it is always the same: what a killed writer left there the next one writes over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f"{STAGING_PREFIX}{path.name}")
    try:
        with staging.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staging.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            staging.unlink()
        raise
    make_durable(path.parent)


def _write_new_here(path: Path, content: bytes) -> None:
    """A link is made or refused at once, and shows the whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _staged_alone(path, content) as staging:
        try:
            path.hardlink_to(staging)
        except FileExistsError:
            pass
        except OSError as refused:
            if refused.errno not in KNOWS_NO_SUCH:
                raise
            if not path.exists():
                staging.replace(path)
    make_durable(path.parent)


def _write_with_others_here(path: Path, content: bytes) -> None:
    with _staged_alone(path, content) as staging, contextlib.suppress(FileNotFoundError):
        staging.replace(path)  # it has gone when another was faster and has cleaned up
    make_durable(path.parent)


@contextlib.contextmanager
def _staged_alone(path: Path, content: bytes) -> Iterator[Path]:
    """The content in a file beside, of a name that no other process writes to."""
    staging = path.with_name(f"{STAGING_PREFIX}{path.name}-{secrets.token_hex(8)}")
    try:
        with staging.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield staging
    finally:
        staging.unlink(missing_ok=True)
