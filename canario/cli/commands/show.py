"""`canario show`: everything that is known of one version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.printing import Output, output_option, print_document

if TYPE_CHECKING:
    from rich.console import RenderableType

    from canario.model.card import Card
    from canario.model.version import VersionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVersion:
    """One version as `canario show --output json` gives it."""

    record: VersionRecord
    card: Card
    folder: str
    bento: str
    """The folder of its Bento; empty when it is not packed."""
    runs: str
    """What it is where it runs now; empty when it runs nowhere."""


@click.command("show", cls=Documented, examples=["canario show fraud", "canario show fraud:v2 --output json"])
@version_argument
@output_option
def command(version: str, output: Output) -> None:
    """Show everything about a version."""
    from canario.adapters.versions import find_version
    from canario.cli.platforms import where_versions_run
    from canario.packaging.bentos import packed

    stored = find_version(version)
    bento = packed(stored)
    shown = ShownVersion(
        record=stored.record,
        card=stored.card(),
        folder=str(stored.folder),
        bento=str(bento.folder) if bento else "",
        runs=where_versions_run().get(str(stored.record.name), ""),
    )
    print_document(output, shown, lambda: _page(shown))


def _page(shown: ShownVersion) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from canario.cli.version_view import card_words, columns, scores, summary, words

    record = shown.record
    where = {
        "code": record.code_commit,
        "folder": shown.folder,
        "bento": shown.bento or f"not packed; `canario build {record.name}` packs it",
        "runs": shown.runs or "nowhere",
    }
    sections = {
        "scores, with their 95 % intervals": scores(record),
        "card": card_words(shown.card),
        "columns": columns(shown.card),
        "training": words({**record.training, "data": record.data_digest}),
        "libraries": words(record.libraries),
    }
    parts: list[RenderableType] = [words(summary(record) | where)]
    for heading, content in sections.items():
        parts += [Text(f"\n{heading.upper()}", style="bold"), Padding(content, (0, 0, 0, 2), expand=False)]
    return Group(*parts)
