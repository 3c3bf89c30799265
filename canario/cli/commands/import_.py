"""`canario import`: a version from a file, proved before it is stored."""

from __future__ import annotations

from pathlib import Path

import click

from canario.cli.documented import Documented
from canario.cli.printing import Output, output_option


@click.command(
    "import",
    cls=Documented,
    examples=["canario import fraud-v2.canario", "canario import churn-v1.canario --trust-pickle"],
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Accept a version that only runs by unpickling its estimator. That runs the code inside: know who made it.",
)
@output_option
def command(*, file: Path, trust_pickle: bool, output: Output) -> None:
    """Store the version that a file holds, once proved.

    Refused when its digest, a library's major version or its columns do not fit.
    """
    from canario.cli.progress import working
    from canario.cli.version_view import print_new_version
    from canario.packaging.archives import import_version

    with working(f"importing {file.name}"):
        stored = import_version(file, trust_pickle=trust_pickle)
    print_new_version(output, stored)
