"""Builds the images that the end-to-end tests run, in buildah's store; quick when nothing that is in them has changed.

`python -m tests.cluster.model_images` builds all and prints their names. Other processes may ask at the same time: the
first one builds, the others wait for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from canario.packaging.images import build_secrets
from tests.cluster.base_image import base_image, buildah, cache, environment, label_of

ROOT = Path(__file__).parents[2]
MODEL = "fraud"
VERSIONS: dict[str, tuple[str, ...]] = {
    "v1": ("--last-day", "2026-06-30"),
    "v2": ("--last-day", "2026-09-30"),
    "v3": ("--last-day", "2026-09-30", "--estimator", "broken-5-percent"),
    "v4": ("--last-day", "2026-09-30", "--estimator", "broken-always"),
    "v5": ("--last-day", "2026-06-30", "--estimator", "broken-half-percent"),
    "v6": ("--last-day", "2026-09-30", "--estimator", "broken-half-percent"),
}
"""How each version is trained: two good ones, a bad one, a useless one, and two that fail equally often."""
PREFIX = "localhost/"
CANARIO_IMAGE = f"{PREFIX}canario:e2e"
TRAINER_IMAGE = f"{PREFIX}canario-trainer:e2e"
KEY_LABEL = "dev.canario.sources"
_TRAINING = (
    "bentos/fraud",
    "canario/adapters/versions.py",
    "canario/kernel",
    "canario/model/card.py",
    "canario/model/version.py",
    "canario/packaging",
    "requirements/runtime.txt",
)
"""A change in these trains the versions again."""
_SERVING = ("canario", "service.py", "bentofile.yaml", "requirements/runtime.txt")
"""A change in these makes new images of them."""
_NOT_IMPORTED = tuple(
    f"canario/{room}/" for room in ("batch", "cli", "drift", "platforms", "ports", "rollout", "router", "stream")
)
"""Except in these: they are in the image, and no server imports them."""


def e2e_images(versions: Iterable[str] = tuple(VERSIONS)) -> dict[str, str]:
    """The names of the model's images, by version; made when they are missing or their sources have changed."""
    with alone():
        home = _home(trained=_key(*_TRAINING), packed=_key(*_SERVING, without=_NOT_IMPORTED))
        base = base_image()
        names = {version: f"{PREFIX}{MODEL}:{version}" for version in versions}
        for version, name in names.items():
            if not _is_built(home, version, name):
                _build_model(home, version, name, base)
        return names


def canario_image() -> str:
    """The name of the image of controller, router and smoke test; made when its sources have changed."""
    return _build(CANARIO_IMAGE, "canario", "image", "requirements/controller.txt")


def trainer_image() -> str:
    """The name of the image that retrains models; made when its sources have changed."""
    return _build(
        TRAINER_IMAGE, "canario", "bentos", "image", "requirements/trainer.txt", target=("--target", "trainer")
    )


def _build(image: str, *sources: str, target: tuple[str, ...] = ()) -> str:
    with alone():
        key = _key(*sources)
        base = base_image()
        if label_of(image, KEY_LABEL) != key:
            secrets = build_secrets(cache(), os.environ)
            buildah(
                *("build", "--quiet", "--layers", "--tag", image, "--label", f"{KEY_LABEL}={key}", *target),
                *("--build-arg", f"BASE_IMAGE={base}", "--file", str(ROOT / "image" / "Containerfile")),
                *(word for name, path in secrets.items() for word in ("--secret", f"id={name},src={path}")),
                str(ROOT),
            )
        return image


def _build_model(home: Path, version: str, name: str, base: str) -> None:
    with contextlib.suppress(RuntimeError):  # there is none
        buildah("rmi", "--force", name)
    if not (home / "models" / MODEL / version).is_dir():
        _canario(home, "train", MODEL, "--tag", version, *VERSIONS[version])
    _canario(
        home,
        *("build", "--image", f"{MODEL}:{version}", "--image-prefix", PREFIX),
        *("--base-image", base, "--backend", "buildah"),
    )
    (home / f"{version}.image").write_text(_identity(name))


def _is_built(home: Path, version: str, name: str) -> bool:
    """Whether the image in the store is the one that was built in this home."""
    known = home / f"{version}.image"
    return known.is_file() and known.read_text() == _identity(name)


def _identity(name: str) -> str:
    with contextlib.suppress(RuntimeError):
        return buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", name)
    return "no such image"


def _canario(home: Path, *words: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("canario")), *words],
        cwd=ROOT,
        env={
            **environment(),
            "BENTOML_HOME": str(home),
            "CANARIO_HOME": str(home / "canario"),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"canario {' '.join(words)}: {done.stderr[-2000:]}")


def _home(trained: str, packed: str) -> Path:
    """The folder of these sources' versions; what was made of other sources goes, its images have the same names."""
    home = cache() / "e2e" / trained
    for other in home.parent.iterdir() if home.parent.is_dir() else ():
        if other != home:
            shutil.rmtree(other)
    home.mkdir(parents=True, exist_ok=True)
    known = home / "packed"
    if not known.is_file() or known.read_text() != packed:
        shutil.rmtree(home / "bentos", ignore_errors=True)
        for built in home.glob("*.image"):
            built.unlink()
        known.write_text(packed)
    return home


def _key(*sources: str, without: tuple[str, ...] = ()) -> str:
    """Changes when a file of the sources does."""
    hashed = hashlib.sha256()
    for source in sources:
        path = ROOT / source
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = str(file.relative_to(ROOT))
            if not file.is_file() or "__pycache__" in file.parts or name.startswith(without):
                continue
            hashed.update(f"{name}\n{file.stat().st_size}\n".encode())
            hashed.update(file.read_bytes())
    return hashed.hexdigest()[:16]


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process makes images."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}\n" for name in (canario_image(), *e2e_images().values())))
