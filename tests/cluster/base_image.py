"""Makes a base image for machines that cannot pull `python:3.11-slim`: Debian's own packages and pip, and nothing else.

It is like the official image in what builds rely on: `python3` with pip, a C library, no compiler. Running this module
prints the image's name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "localhost/python:3.11-slim"
RELEASE = "bookworm"
PACKAGES = ("python3.11",)
PIP = "pip==25.3"
NEEDLESS = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log",
)
_CONTAINERFILE = """FROM scratch
ADD root.tar /
ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
LABEL dev.canario.recipe={recipe}
CMD ["python3"]
"""


def buildah(*arguments: str) -> str:
    """What buildah says. Isolation by chroot and the overlay store need no daemon; set in the environment, others hold."""
    done = subprocess.run(["buildah", *arguments], env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"buildah {' '.join(arguments)}: {done.stderr[-2000:]}")
    return done.stdout.strip()


def environment() -> dict[str, str]:
    """The environment in which buildah works without a daemon."""
    return {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "overlay", **os.environ}


def cache() -> Path:
    """Where what takes long to make is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "canario"


def base_image() -> str:
    """The name of the base image in buildah's store; made when this recipe has not been followed yet."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    if label_of(NAME, "dev.canario.recipe") == recipe:
        return NAME
    tar = cache() / "base" / f"{recipe}.tar"
    if not tar.is_file():
        _make_root(tar)
    with tempfile.TemporaryDirectory(prefix="canario-base-") as folder:
        context = Path(folder)
        os.link(tar, context / "root.tar") if tar.stat().st_dev == context.stat().st_dev else shutil.copy(
            tar, context / "root.tar"
        )
        (context / "Containerfile").write_text(_CONTAINERFILE.format(recipe=recipe))
        buildah("build", "--quiet", "--tag", NAME, str(context))
    return NAME


def label_of(image: str, label: str) -> str:
    """A label of an image in buildah's store; empty when there is neither."""
    done = subprocess.run(
        ["buildah", "inspect", "--type", "image", "--format", f'{{{{index .OCIv1.Config.Labels "{label}"}}}}', image],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _make_root(tar: Path) -> None:
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="canario-root-") as folder:
        root = Path(folder) / "root"
        _run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, str(root))
        local = root / "usr/local"
        for name in ("python3", "python"):
            (local / "bin" / name).symlink_to("/usr/bin/python3.11")
        packages = local / "lib/python3.11/dist-packages"
        _run(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(packages), PIP)
        for needless in NEEDLESS:
            shutil.rmtree(root / needless, ignore_errors=True)
            (root / needless).mkdir(parents=True, exist_ok=True)
        for compiled in root.rglob("__pycache__"):
            shutil.rmtree(compiled)
        part = tar.with_suffix(".part")
        _run("tar", "--create", "--file", str(part), "--directory", str(root), "--numeric-owner", ".")
        part.rename(tar)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {(done.stderr or done.stdout)[-2000:]}")


if __name__ == "__main__":
    sys.stdout.write(base_image() + "\n")
