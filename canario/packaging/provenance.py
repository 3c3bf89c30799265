"""Where a version comes from: the rows, the code and the libraries it was made with, in words that can be compared."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import pandas as pd  # whoever lists or starts versions reads this module too, and has no rows

LIBRARIES = ("scikit-learn", "numpy", "pandas", "onnxruntime", "skl2onnx", "joblib")
"""What a version's answers depend on, beside Python."""


def libraries() -> dict[str, str]:
    """The installed versions by name, `python` included."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def data_digest(frame: pd.DataFrame) -> str:
    """`sha256:` of rows in a form that no library version changes.

    One column after the other: its name, then numbers and booleans as little-endian float64, times as whole nanoseconds
    since 1970, everything else as JSON texts.
    """
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(msgspec.json.encode([str(name), len(frame)]))
        digest.update(_canonical(frame[name]))
    return "sha256:" + digest.hexdigest()


def _canonical(values: pd.Series[Any]) -> bytes:
    if values.dtype.kind == "M":
        return values.to_numpy(dtype="datetime64[ns]").astype("<i8").tobytes()
    if values.dtype.kind in "biuf":
        return values.to_numpy(dtype="float64").astype("<f8").tobytes()
    return msgspec.json.encode(
        ["" if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)]
    )


def code_commit(folder: Path) -> str:
    """The commit that a folder's repository stands at, `+changes` if files differ from it; empty outside of git."""
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD").strip()
        changes = _git(folder, "status", "--porcelain").strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+changes" if changes else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout
