"""`canario build`: a version packed as a Bento, with the code that serves it; on request also as an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.printing import Output, output_option, print_document

if TYPE_CHECKING:
    from rich.table import Table

    from canario.packaging.images import ModelImage


@click.command(
    "build",
    cls=Documented,
    examples=[
        "canario build fraud:v2",
        "canario build --image fraud:v2",
        "canario build --image fraud:v2 --image-prefix registry.example/models/ --output json",
    ],
)
@version_argument
@click.option("--image", "makes_image", is_flag=True, help="Make an image of the Bento too.")
@click.option("--base-image", metavar="NAME", help="The image to make it on; Python's official slim one otherwise.")
@click.option("--image-prefix", metavar="TEXT", help="What stands before the image's name, such as a registry's.")
@click.option(
    "--backend",
    type=click.Choice(["docker", "podman", "buildah"]),
    help="What builds the image; the first that works otherwise.",
)
@output_option
def command(
    version: str,
    makes_image: bool,  # noqa: FBT001 - click passes flags by name
    base_image: str | None,
    image_prefix: str | None,
    backend: str | None,
    output: Output,
) -> None:
    """Pack a version, and what serves it, into a Bento."""
    from canario.adapters.versions import find_version
    from canario.cli.progress import working
    from canario.packaging.bentos import build

    if not makes_image and (base_image or image_prefix or backend):
        raise click.UsageError("--base-image, --image-prefix and --backend need --image")
    stored = find_version(version)
    with working(f"packing {stored.record.name}"):
        bento = build(stored)
    if not makes_image:
        print_document(output, bento, lambda: f"{bento.name} is packed in {bento.folder}")
        return

    from canario.packaging.engines import Engine
    from canario.packaging.images import DEFAULT_BASE, build_image

    with working(f"making an image of {stored.record.name}"):
        image = build_image(
            bento,
            base=base_image or DEFAULT_BASE,
            prefix=image_prefix or "",
            backend=Engine(backend) if backend else None,
        )
    print_document(output, image, lambda: _drawn(image))


def _drawn(image: ModelImage) -> Table:
    from canario.cli.printing import pairs

    drawn = pairs()
    drawn.add_row("image", image.name)
    drawn.add_row("size", f"{image.size_bytes / 1e6:.0f} MB")
    drawn.add_row("base", image.base)
    drawn.add_row("backend", str(image.backend))
    drawn.add_row("digest", image.digest)
    return drawn
