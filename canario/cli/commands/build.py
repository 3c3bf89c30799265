"""`canario build`: a version packed as a Bento, with the code that serves it."""

from __future__ import annotations

import click

from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.printing import Output, output_option, print_document


@click.command("build", cls=Documented, examples=["canario build fraud:v2", "canario build fraud --output json"])
@version_argument
@output_option
def command(version: str, output: Output) -> None:
    """Pack a version, and what serves it, into a Bento."""
    from canario.adapters.versions import find_version
    from canario.cli.progress import working
    from canario.packaging.bentos import build

    stored = find_version(version)
    with working(f"packing {stored.record.name}"):
        bento = build(stored)
    print_document(output, bento, lambda: f"{bento.name} is packed in {bento.folder}")
