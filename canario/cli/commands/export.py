"""`canario export`: a version as one file, to carry to another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.printing import Output, output_option, print_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What `canario export --output json` gives."""

    version: str
    digest: str
    file: str


@click.command(
    "export", cls=Documented, examples=["canario export fraud:v2", "canario export fraud:v2 /tmp/fraud-v2.canario"]
)
@version_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@output_option
def command(version: str, file: Path | None, output: Output) -> None:
    """Write a version into one file.

    Prints the file's path: FILE, or MODEL-TAG.canario here.
    """
    from canario.adapters.versions import find_version
    from canario.cli.progress import working
    from canario.packaging.archives import export_version

    stored = find_version(version)
    name = stored.record.name
    with working(f"exporting {name}"):
        written = export_version(stored, file or Path(f"{name.model}-{name.tag}.canario"))
    exported = Exported(version=str(name), digest=stored.record.digest, file=str(written))
    print_document(output, exported, lambda: exported.file)
