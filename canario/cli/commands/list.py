"""`canario list`: the stored versions, newest first, and where each one runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from canario.cli.documented import Documented
from canario.cli.naming import model_argument
from canario.cli.printing import Output, output_option, print_document, say

if TYPE_CHECKING:
    from rich.table import Table

    from canario.model.version import VersionRecord

SCORES_SHOWN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVersion:
    """One stored version as `canario list --output json` gives it."""

    record: VersionRecord
    packed: bool
    """Whether it is packed as a Bento."""
    runs: str
    """What it is where it runs now, such as `stable on http://127.0.0.1:8080`; empty when it runs nowhere."""


@click.command("list", cls=Documented, examples=["canario list", "canario list fraud --output json"])
@model_argument
@output_option
def command(model: str, output: Output) -> None:
    """List the stored versions, newest first."""
    from canario.adapters.versions import stored_versions
    from canario.cli.platforms import where_versions_run
    from canario.packaging.bentos import packed

    runs = where_versions_run()
    listed = [
        ListedVersion(
            record=version.record, packed=packed(version) is not None, runs=runs.get(str(version.record.name), "")
        )
        for version in stored_versions(model)
    ]
    if listed or output == "json":
        print_document(output, listed, lambda: _table(listed))
    if not listed:
        say(f"no versions{' of ' + model if model else ''} yet; `canario train {model or 'MODEL'}` makes one")


def _table(listed: list[ListedVersion]) -> Table:
    from canario.cli.figures import age, local_time, score, short_digest
    from canario.cli.printing import table

    drawn = table("version", "created", "age", "kernel", "estimator", "scores", "digest", "packed", "runs")
    for version in listed:
        record = version.record
        drawn.add_row(
            str(record.name),
            local_time(record.created_at_seconds),
            age(record.created_at_seconds),
            record.kernel.kind,
            record.estimator or "-",
            ", ".join(score(each) for each in record.scores[:SCORES_SHOWN]) or "-",
            short_digest(record.digest),
            "yes" if version.packed else "no",
            version.runs or "-",
        )
    return drawn
