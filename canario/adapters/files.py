"""Files that are whole or absent: written beside their place, made durable, then moved; never edited where they lie."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

STAGING_PREFIX = ".staging-"
"""What is being written carries this prefix; readers never look at it and `remove_stale_staging` clears it."""


def make_durable(path: Path) -> None:
    """Have the kernel write a file's content, or a folder's list of names, to the disk before this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by a whole new one; a reader sees the old or the new, also after a kill or a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, staging = tempfile.mkstemp(prefix=STAGING_PREFIX, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(staging).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(staging).unlink()
        raise
    make_durable(path.parent)


@contextlib.contextmanager
def new_folder(path: Path, staging_in: Path | None = None) -> Iterator[Path]:
    """Fill a folder out of sight; when the block ends well it appears at `path`, whole and durable, in one move.

    `staging_in` is another folder of the same file system to write in, for places whose other readers stumble over
    names that begin with a dot. Raises FileExistsError when `path` is there already: what has been published is never
    overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=staging_in or path.parent))
    try:
        staging.chmod(0o755)
        yield staging
        for folder, _, names in os.walk(staging):
            for name in names:
                make_durable(Path(folder) / name)
            make_durable(Path(folder))
        if path.exists():
            raise FileExistsError(str(path))
        staging.rename(path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    make_durable(path.parent)


def remove_stale_staging(folder: Path, older_than_seconds: float, now_seconds: float) -> None:
    """Clear what killed writers left behind in a folder; what is younger may still be in someone's hands."""
    for leftover in folder.glob(f"{STAGING_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if now_seconds - leftover.stat().st_mtime > older_than_seconds:
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def sha256_of_file(path: Path) -> str:
    """The hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
