"""The preflights of this machine, kept as files, so that a person sees later why a candidate was, or was not, put on trial."""

from __future__ import annotations

from pathlib import Path

import msgspec

from canario.adapters.documents import read_record
from canario.adapters.files import write_atomically
from canario.adapters.homes import preflights_folder
from canario.model.preflight import Preflight

MOST_KEPT = 100


def keep(preflight: Preflight) -> Path:
    """Write it down, in place of what was kept of the same one; older ones than the last hundred go. Returns the file."""
    folder = preflights_folder(preflight.model)
    path = folder / f"{round(1000 * preflight.at_seconds):015d}-{preflight.candidate}.json"
    write_atomically(path, msgspec.json.format(msgspec.json.encode(preflight), indent=2) + b"\n")
    for old in sorted(folder.glob("*.json"))[:-MOST_KEPT]:
        old.unlink(missing_ok=True)
    return path


def kept(model: str) -> list[Preflight]:
    """All that are kept of a model, newest first. Raises IntegrityError, naming the file, at one that is not what was written."""
    return [read_record(Preflight, path) for path in sorted(preflights_folder(model).glob("*.json"), reverse=True)]
