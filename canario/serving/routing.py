"""Which function answers which method of which path; a process serves one version, so every path is fixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from canario.serving.http import Request, Response


class Work(Enum):
    """What answering takes."""

    LIGHT = auto()
    MODEL = auto()
    DISK = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    name: str
    """What metrics call it."""
    handler: Callable[[Request], Response]
    work: Work = Work.LIGHT


Routes = Mapping[str, Mapping[str, Route]]
"""By path, then by method."""
