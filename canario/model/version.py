"""A version: one immutable trained and packed model, and what is known of how it came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MODEL_PATTERN = r"[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?"
"""A model's name is part of Bento tags, of Kubernetes names and of URLs: what all of them allow."""
TAG_PATTERN = r"[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?"
"""What BentoML takes as a version."""


class KernelKind(StrEnum):
    """How a version computes its answers."""

    ONNX = "onnx"
    """Compiled, run by ONNX Runtime; serving it never unpickles."""
    SKLEARN = "sklearn"
    """The fitted estimator itself, run by scikit-learn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionName:
    """A Bento tag: `fraud:v2`."""

    model: str
    tag: str

    def __str__(self) -> str:
        return f"{self.model}:{self.tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One figure of quality with its interval, measured on rows that are later than the ones trained on."""

    name: str
    value: float
    low: float
    """The lower end of the 95 % interval."""
    high: float
    """The upper end of the 95 % interval."""
    rows: int
    """The rows that it was measured on."""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelChoice:
    """Which kernel a version has and why, in words that the metadata shows."""

    kind: KernelKind
    reason: str
    row_by_row: bool = False
    """Whether each row is computed alone, because in a batch its answer would change in the last bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """What `version.json` holds; written once, never changed."""

    name: VersionName
    digest: str
    """`sha256:` and the hex sha256 of what is served: of the sorted list of the files' own sha256."""
    files: Mapping[str, str]
    """The sha256 of each file that the digest covers, by its path in the version's folder."""
    created_at_seconds: float
    """When it was made, in seconds since 1970 (UTC)."""
    kernel: KernelChoice
    data_digest: str
    """`sha256:` of the rows trained on."""
    code_commit: str
    """The commit of the code that trained it, with `+changes` if the tree was not clean; empty if unknown."""
    libraries: Mapping[str, str]
    """The versions of the libraries that its answers depend on, by name, `python` included."""
    scores: tuple[Score, ...] = ()
    estimator: str = ""
    """The name of the estimator, such as `hist-gradient-boosting`."""
    training: Mapping[str, str] = field(default_factory=dict)
    """The arguments of the training, as words: seed, first and last day, rows."""
