"""A version brought into this very process: found, proved, loaded, and asked by frames and rows; files are for others in this room."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from canario.adapters.versions import StoredVersion, find_version, prove, read_version
from canario.errors import Conflict, InputError, UsageError
from canario.kernel.kernel import Columns, Kernel
from canario.kernel.limits import Limits
from canario.kernel.load import load_kernel
from canario.kernel.predictions import Predictions
from canario.kernel.rows import RowsCodec
from canario.model.card import Card
from canario.model.version import VersionName, VersionRecord

if TYPE_CHECKING:
    import pandas as pd

STALE_SECONDS = 3600.0
"""What another process began to unpack longer ago than this is left over."""


class LoadedVersion:
    """One version, ready to answer here; its answers are bit for bit those of a server of it."""

    def __init__(self, version: StoredVersion) -> None:
        """Prove a version's bytes and load its kernel. Raises CanarioError, saying why, when it cannot be."""
        prove(version)
        self.record: VersionRecord = version.record
        self.name: VersionName = version.record.name
        self.digest: str = version.record.digest
        self.card: Card = version.card()
        self.kernel: Kernel = load_kernel(version)

    def __repr__(self) -> str:
        return f"<{self.name} {self.digest[:19]}>"

    @cached_property
    def rows(self) -> RowsCodec:
        """Reads rows of this version as `POST /predict` does, however many."""
        return RowsCodec(self.card, Limits(most_rows=sys.maxsize, longest_body_bytes=sys.maxsize))

    def answer(self, columns: Columns) -> Predictions:
        """Answer columns that fit the card. Raises KernelError when the model itself fails."""
        return self.kernel.predict(columns)

    def predict(self, rows: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """Answer the rows of a frame, one row, or a list of rows: a frame with `label` and `score`, and the frame's index.

        A frame may have more columns than the card. Raises InputError, naming the first row and column that do not fit.
        """
        import pandas as pd

        from canario.batch.frames import columns_of_frame

        if isinstance(rows, pd.DataFrame):
            index, columns = rows.index, columns_of_frame(self.card, rows)
        else:
            listed = _listed(rows)
            index, columns = pd.RangeIndex(len(listed)), self.rows.columns_of(listed)
        answers = self.answer(columns)
        frame = pd.DataFrame({"label": answers.labels, "score": answers.scores}, index=index)
        frame.attrs["version"] = str(self.name)
        return frame


def _listed(rows: object) -> list[Mapping[str, Any]]:
    """One row, or several, as a list. Raises InputError for anything else."""
    listed = [rows] if isinstance(rows, Mapping) else list(rows) if isinstance(rows, Iterable) else None
    if listed is None or isinstance(rows, str | bytes) or not all(isinstance(row, Mapping) for row in listed):
        raise InputError(
            f"these are no rows, but {type(rows).__module__}.{type(rows).__qualname__}",
            hint="rows come as a frame, as one mapping of names to values, or as a list of such mappings",
        )
    return listed


def load_version(text: str = "", *, folder: Path | None = None, archive: str = "") -> LoadedVersion:
    """Load the version that is stored as `fraud` (the newest) or `fraud:v2`, lies in a folder, or comes as an archive.

    With a folder or an archive (a path or an http(s) address) the text may be left out; if it is given, the version must
    be that one. Raises NotFound, UsageError, Conflict, IntegrityError or KernelError, saying what is wrong.
    """
    if folder is not None and archive:
        raise UsageError("a version comes from a folder or from an archive, not from both", hint="leave one out")
    if folder is not None:
        return LoadedVersion(_that(text, read_version(folder)))
    if archive:
        from canario.adapters.unpacking import unpacked

        return LoadedVersion(_that(text, read_version(unpacked(archive, stale_seconds=STALE_SECONDS))))
    if not text:
        raise UsageError("which version?", hint="name it, such as fraud or fraud:v2; `canario list` shows all")
    return LoadedVersion(find_version(text))


def _that(text: str, version: StoredVersion) -> StoredVersion:
    """The version, if it is the one that a text names."""
    model, _, tag = text.partition(":")
    found = version.record.name
    if model not in ("", found.model) or tag not in ("", "latest", found.tag):
        raise Conflict(
            f"{text} was asked for, and this is {found}", at=str(version.folder), hint=f"name {found}, or no version"
        )
    return version
