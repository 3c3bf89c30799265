"""From a stored version to what a platform can start: its Bento, packed if it is not, and the command of one server."""

from __future__ import annotations

from collections.abc import Callable

from canario.adapters.versions import StoredVersion
from canario.model.deployment import ServedVersion
from canario.packaging.bentos import build, packed


def served_version(version: StoredVersion, progress: Callable[[str], None]) -> ServedVersion:
    """How servers of this version are started: always from its Bento, so that what runs is what was packed.

    Raises what packing raises.
    """
    bento = packed(version)
    if bento is None:
        progress(f"packing {version.record.name}")
        bento = build(version)
    return ServedVersion(
        version=version.record.name.tag,
        digest=version.record.digest,
        folder=str(bento.version_folder),
        start_in=str(bento.source_folder),
        command=bento.command,
        environment=bento.environment,
    )
