"""Copies images from buildah's store into the node, under the names by which pods ask for them."""

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
KUBERNETES_REGISTRY = "docker.io/"
"""What Kubernetes puts before a name that names no registry; before one without a slash, `library/` too."""


def names_in_node(image: str) -> tuple[str, ...]:
    """Every name that an image must have in the node, so that a pod may write its name as people do.

    Buildah calls the image `fraud:v2` `localhost/fraud:v2`. A pod's `image: localhost/fraud:v2` means just that, but
    `image: fraud:v2` means `library/fraud:v2` of Kubernetes' default registry. So a name without a registry needs both.
    """
    if "@" not in image and ":" not in image.rpartition("/")[2]:
        image += ":latest"
    short = image.removeprefix(BUILDAH_PREFIX)
    first, slash, _ = short.partition("/")
    if short == image and slash and ("." in first or ":" in first):
        return (image,)
    return (f"{BUILDAH_PREFIX}{short}", f"{KUBERNETES_REGISTRY}{'' if slash else 'library/'}{short}")


def load_image(settings: Settings, image: str) -> bool:
    """Have an image of buildah's store in the node; False when this very image was there already.

    A pod needs `imagePullPolicy: IfNotPresent` or `Never`; with the tag `latest` IfNotPresent must be written down.
    """
    names = names_in_node(image)
    identity = _identity(names[0])
    present = labels_in_node(settings)
    if all(present.get(name, {}).get(SOURCE_LABEL) == identity for name in names):
        return False
    with tempfile.TemporaryDirectory(dir=settings.state, prefix="load-") as folder:
        archive = Path(folder) / "image.tar"
        # This kind of archive is not compressed, which takes a third of the time.
        target = f"docker-archive:{archive}:{names[0]}"
        run("buildah", "push", "--quiet", names[0], target, environment=environment())
        import_archive(settings, archive)
    for name in names[1:]:
        _containerd(settings, "images", "tag", "--force", names[0], name)
    for name in names:
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
