"""TEMPORARY."""

from __future__ import annotations

import sys
from collections.abc import Callable

from canario.adapters.versions import StoredVersion
from canario.model.deployment import ServedVersion


def served_version(version: StoredVersion, progress: Callable[[str], None]) -> ServedVersion:
    """How servers of this version are started: always from its Bento, so that what runs is what was packed."""
    return ServedVersion(
        version=version.record.name.tag,
        digest=version.record.digest,
        folder=str(version.folder),
        command=(sys.executable, "-m", "canario.serving", "--version-folder", str(version.folder)),
    )
