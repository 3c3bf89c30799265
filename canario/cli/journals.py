"""Journals: read from a file, and told apart by what is worth telling; explaining and replaying is for canario.rollout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from canario.errors import IntegrityError, NotFound
from canario.model.journal import JournalEntry


def read_journal(path: Path) -> Iterator[JournalEntry]:
    """The decisions in a journal's file, or in all files of its folder. Raises NotFound or IntegrityError, naming the line."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise NotFound(f"there is no journal in {path}", at=str(path), hint="give a .jsonl file, or a folder of them")
    for file in files:
        for number, line in enumerate(file.read_bytes().splitlines(), start=1):
            try:
                yield msgspec.json.decode(line, type=JournalEntry)
            except msgspec.DecodeError as broken:
                raise IntegrityError(
                    f"this is no decision: {broken}",
                    at=f"{file}:{number}",
                    hint="a journal is what lies in CANARIO_HOME/local/MODEL/journal",
                ) from broken


def is_turning_point(decision: JournalEntry) -> bool:
    """Whether the rollout went somewhere, or a person said something: what is worth telling of a long journal."""
    before, after = decision.state, decision.after
    return (before.phase, before.step_index, before.last_command, before.passed) != (
        after.phase,
        after.step_index,
        after.last_command,
        after.passed,
    )
