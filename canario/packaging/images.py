"""Make an image of a Bento, through `bentoml containerize` and canario's own image.dockerfile; engines.py knows the builders.

The machine's own certificates and package index reach the build as secrets, which no layer keeps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from canario.adapters.homes import bentoml_home
from canario.adapters.versions import read_version
from canario.errors import CanarioError, Conflict
from canario.model.version import VersionName
from canario.packaging.bentos import PackedBento
from canario.packaging.engines import Engine, KeptImage, find_image, working_engine

DIGEST_LABEL = "dev.canario.digest"
BASE_LABEL = "org.opencontainers.image.base.name"
DEFAULT_BASE = "python:3.11-slim"
TEMPLATE = Path("env", "docker", "Dockerfile.template")
_INDEX_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelImage:
    """An image that serves one version, in the store of the engine that made it."""

    name: str
    version: VersionName
    digest: str
    size_bytes: int
    """Of all its layers, unpacked."""
    base: str
    """The image that it is made on."""
    backend: Engine
    """The engine."""


def build_image(
    bento: PackedBento, *, base: str = DEFAULT_BASE, prefix: str = "", backend: Engine | None = None
) -> ModelImage:
    """Make the image of a Bento; one that is there already, of the same version on the same base, is returned as it is.

    Raises UsageError or Unavailable when no engine works, Conflict when the name belongs to another image or the Bento
    was packed without image.dockerfile, CanarioError with the engine's own words when the build fails.
    """
    engine = working_engine(backend)
    name = f"{prefix}{bento.name}"
    digest = read_version(bento.version_folder).record.digest
    found = _found(engine, name, digest, base)
    if found is None:
        if not (bento.folder / TEMPLATE).is_file():
            raise Conflict(
                f"the Bento {bento.name} was packed without instructions for an image",
                at=str(bento.folder),
                hint=f"`bentoml delete {bento.name}`, then build again",
            )
        said = _containerize(bento, engine, name, base)
        found = _found(engine, name, digest, base)
        if found is None:  # BentoML reports a failed build in words and ends well
            raise CanarioError(
                f"{engine} did not build {name}: {said[-1] if said else 'it says nothing'}", hint="\n".join(said[-15:])
            )
    return ModelImage(
        name=name, version=bento.name, digest=digest, size_bytes=found.size_bytes, base=base, backend=engine
    )


def build_secrets(folder: Path, environment: Mapping[str, str]) -> dict[str, Path]:
    """What a build needs to know of this machine, as files by the name of the secret; empty on an ordinary one.

    `certificates`: the bundle that SSL_CERT_FILE names. `pip`: a configuration with the package index of PIP_INDEX_URL,
    PIP_EXTRA_INDEX_URL and PIP_TRUSTED_HOST, written into the folder.
    """
    secrets: dict[str, Path] = {}
    bundle = Path(environment.get("SSL_CERT_FILE") or "/")
    if bundle.is_file():
        secrets["certificates"] = bundle.absolute()
    settings = [
        f"{setting.removeprefix('PIP_').lower().replace('_', '-')} = {environment[setting]}\n"
        for setting in _INDEX_SETTINGS
        if environment.get(setting)
    ]
    if settings:
        secrets["pip"] = folder / "pip.conf"
        secrets["pip"].write_text("[global]\n" + "".join(settings), encoding="utf-8")
    return secrets


def _found(engine: Engine, name: str, digest: str, base: str) -> KeptImage | None:
    image = find_image(engine, name)
    if image is None:
        return None
    held, made_on = image.labels.get(DIGEST_LABEL, ""), image.labels.get(BASE_LABEL, "")
    if held != digest or made_on != base:
        what = (
            f"holds {held[:19] or 'something else'}, not {digest[:19]}"
            if held != digest
            else f"is made on {made_on or 'something else'}"
        )
        raise Conflict(
            f"there is an image {name} already, and it {what}",
            at=f"the store of {engine}",
            hint=f"`{engine} rmi {name}` removes it; --image-prefix makes another name",
        )
    return image


def _containerize(bento: PackedBento, engine: Engine, name: str, base: str) -> list[str]:
    # BentoML reads its copy of the template only below the folder that it runs in.
    with tempfile.TemporaryDirectory(prefix="canario-image-") as folder:
        options = [f"build-arg=BASE_IMAGE={base}"]
        secrets = build_secrets(Path(folder), os.environ)
        options += [f"secret=id={secret},src={path}" for secret, path in secrets.items()]
        if engine is Engine.BUILDAH:
            options.append("layers")  # the others keep them for the next build anyway
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bentoml", "containerize", str(bento.name)),
                *("--backend", engine.value, "--image-tag", name),
                *(word for option in options for word in ("--opt", option)),
            ],
            cwd=folder,
            env={**os.environ, "BENTOML_HOME": str(bentoml_home()), "BENTOML_DO_NOT_TRACK": "True", "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
