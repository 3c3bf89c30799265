"""A model server and its rollouts for scikit-learn models; here are the release and the door for notebooks, the rooms hold the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from canario.batch.loading import LoadedVersion

__version__ = "0.1.0"


def load(version: str = "", *, folder: Path | None = None, archive: str = "") -> LoadedVersion:
    """Load a version into this process: `canario.load("fraud").predict(frame)` answers without a server.

    `version` is `fraud` (the newest that is stored here) or `fraud:v2`; a folder, or an archive that `canario export` made,
    takes its place. Raises canario.errors.CanarioError, saying what is wrong and what to do.
    """
    from canario.batch.loading import load_version

    return load_version(version, folder=folder, archive=archive)
