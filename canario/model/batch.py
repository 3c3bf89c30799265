"""What a scoring of many rows read, wrote and refused; doing it is for the batch room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One file that was read whole."""

    path: str
    """As it was named, or below the folder that was named."""
    digest: str
    """`sha256:` and the hex sha256 of its bytes."""
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file that was written whole: the answers, or the refused rows, of a range of an input's rows."""

    path: str
    """Below the output's folder."""
    digest: str
    rows: int
    input: str
    """The input file whose rows these are."""
    first_row: int
    """The place, in that file, of the first row of the range, from 0."""
    last_row: int
    """The place after the last one."""
    is_rejects: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `manifest.json` beside the parts holds: everything that made them, so that the same again gives the same bytes."""

    model: str
    version: str
    digest: str
    """The version's digest."""
    canario: str
    """The release that scored."""
    inputs: tuple[InputFile, ...]
    parts: tuple[Part, ...]
    rows: int
    """All rows that were read."""
    answered: int
    rejected: int
    settings: Mapping[str, str] = field(default_factory=dict)
    """What else shapes the parts, such as their format and their rows."""
