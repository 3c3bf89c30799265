"""Copies images from buildah's store into the node, under the names that they have there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from canario.errors import NotFound
from tests.cluster.base_image import environment
from tests.cluster.configuration import PAUSE_IMAGE
from tests.cluster.running import run, try_run
from tests.cluster.settings import Settings

SOURCE_LABEL = "dev.canario.source"
"""On an image in the node: the identity of the image in buildah's store that it was copied from."""
BUILDAH_PREFIX = "localhost/"


def name_in_node(image: str) -> str:
    """The name of an image in the node, and the one that a pod has to write: buildah's own.

    Buildah calls the image `fraud:v2` `localhost/fraud:v2`. In a pod `fraud:v2` would mean an image of Kubernetes' default
    registry, which nobody here has been asked for.
    """
    if "@" not in image and ":" not in image.rpartition("/")[2]:
        image += ":latest"
    short = image.removeprefix(BUILDAH_PREFIX)
    first, slash, _ = short.partition("/")
    names_a_registry = slash and ("." in first or ":" in first)
    return image if short == image and names_a_registry else f"{BUILDAH_PREFIX}{short}"


def load_image(settings: Settings, image: str) -> bool:
    """Have an image of buildah's store in the node; False when this very image was there already.

    A pod needs `imagePullPolicy: IfNotPresent` or `Never`; with the tag `latest` IfNotPresent must be written down.
    """
    name = name_in_node(image)
    identity = _identity(name)
    if labels_in_node(settings).get(name, {}).get(SOURCE_LABEL) == identity:
        return False
    with tempfile.TemporaryDirectory(dir=settings.state, prefix="load-") as folder:
        archive = Path(folder) / "image.tar"
        # This kind of archive is not compressed, which takes a third of the time.
        target = f"docker-archive:{archive}:{name}"
        run("buildah", "push", "--quiet", name, target, environment=environment())
        import_archive(settings, archive)
    _containerd(settings, "images", "label", name, f"{SOURCE_LABEL}={identity}")
    return True


def load_pause(settings: Settings) -> None:
    """Have the image that holds every pod's namespaces; it is packed once, beside the program."""
    archive = settings.programs / f"{PAUSE_IMAGE.rpartition('/')[2].replace(':', '-')}.tar"
    program = settings.programs / "pause"
    if not archive.exists() or archive.stat().st_mtime < program.stat().st_mtime:
        part = archive.with_suffix(".part")
        with tempfile.TemporaryDirectory(prefix="canario-pause-") as folder:
            recipe = Path(folder) / "Containerfile"
            recipe.write_text('FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n')
            built = ("--quiet", "--tag", PAUSE_IMAGE, "--file", recipe)
            run("buildah", "build", *built, settings.programs, environment=environment())
        part.unlink(missing_ok=True)
        run(
            "buildah", "push", "--quiet", PAUSE_IMAGE, f"docker-archive:{part}:{PAUSE_IMAGE}", environment=environment()
        )
        run("buildah", "rmi", PAUSE_IMAGE, environment=environment())
        part.replace(archive)
    import_archive(settings, archive)


def import_archive(settings: Settings, archive: Path) -> None:
    """Unpack an archive into the node."""
    _containerd(settings, "images", "import", str(archive))


def labels_in_node(settings: Settings) -> dict[str, dict[str, str]]:
    """The labels of every image in the node, by the image's name."""
    return read_labels(_containerd(settings, "images", "list"))


def read_labels(listing: str) -> dict[str, dict[str, str]]:
    """From containerd's table, whose last column holds the labels."""
    found: dict[str, dict[str, str]] = {}
    for line in listing.splitlines()[1:]:
        words = line.split()
        if words:
            pairs = [pair.partition("=") for pair in words[-1].split(",") if "=" in pair]
            found[words[0]] = {name: value for name, _, value in pairs}
    return found


def answers(settings: Settings) -> bool:
    """Whether containerd serves."""
    return try_run(*_client(settings), "version").returncode == 0


def _identity(image: str) -> str:
    command = ("buildah", "inspect", "--type", "image", "--format", "{{.FromImageID}}", image)
    done = try_run(*command, environment=environment())
    if done.returncode != 0:
        raise NotFound(f"buildah has no image {image}", hint="build it first, or look with `buildah images`")
    return done.stdout.strip()


def _containerd(settings: Settings, *arguments: str) -> str:
    return run(*_client(settings), *arguments)


def _client(settings: Settings) -> tuple[str, ...]:
    address = f"--address={settings.containerd_socket}"
    return (str(settings.programs / "ctr"), address, "--namespace=k8s.io")
