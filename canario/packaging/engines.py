"""The programs that build images and keep them: which of them works on this machine, and what they know of an image."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from canario.errors import Unavailable, UsageError


class Engine(StrEnum):
    """A builder of images; the order is the one in which they are tried."""

    DOCKER = "docker"
    PODMAN = "podman"
    BUILDAH = "buildah"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptImage:
    """What an engine knows of an image in its store."""

    labels: Mapping[str, str]
    size_bytes: int
    """Of all its layers, unpacked."""


_PROBES = {
    Engine.DOCKER: ("docker", "version", "--format", "{{.Server.Version}}"),
    Engine.PODMAN: ("podman", "info", "--format", "{{.Host.Arch}}"),
    Engine.BUILDAH: ("buildah", "images", "--quiet", "--noheading"),
}
"""Commands that only succeed when images can be built."""
_PROBE_SECONDS = 30.0


def working_engine(asked: Engine | None = None) -> Engine:
    """The engine that was asked for, or the first that works here. Raises UsageError or Unavailable when none does."""
    complaints = {engine: _complaint(engine) for engine in ([asked] if asked else Engine)}
    for engine, complaint in complaints.items():
        if not complaint:
            return engine
    if asked:
        raise Unavailable(
            f"{asked} cannot build images here: {complaints[asked]}", hint="choose another with --backend"
        )
    raise UsageError(
        "nothing on this machine can build images",
        hint="install docker, podman or buildah. "
        + "; ".join(f"{engine}: {why}" for engine, why in complaints.items()),
    )


def find_image(engine: Engine, name: str) -> KeptImage | None:
    """What an engine's own store has under a name; nothing is asked of any registry."""
    if engine is Engine.BUILDAH:
        return _find_with_buildah(name)
    done = _run(engine.value, "image", "inspect", name)
    if done.returncode != 0:
        return None
    found = msgspec.json.decode(done.stdout, type=list[_Inspected])[0]
    return KeptImage(labels=found.Config.Labels or {}, size_bytes=found.Size)


class _Settings(msgspec.Struct):
    Labels: dict[str, str] | None = None  # the engine's own names


class _Inspected(msgspec.Struct):
    Size: int
    Config: _Settings


class _Layer(msgspec.Struct):
    size: int


class _Manifest(msgspec.Struct):
    layers: list[_Layer]


class _OpenImage(msgspec.Struct):
    config: _Settings


class _InspectedByBuildah(msgspec.Struct):
    Manifest: str
    OCIv1: _OpenImage


def _find_with_buildah(name: str) -> KeptImage | None:
    done = _run("buildah", "inspect", "--type", "image", name)
    if done.returncode != 0:
        return None
    found = msgspec.json.decode(done.stdout, type=_InspectedByBuildah)
    layers = msgspec.json.decode(found.Manifest, type=_Manifest).layers
    return KeptImage(labels=found.OCIv1.config.Labels or {}, size_bytes=sum(layer.size for layer in layers))


def _complaint(engine: Engine) -> str:
    if shutil.which(engine.value) is None:
        return "not installed"
    try:
        done = _run(*_PROBES[engine])
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_SECONDS:.0f} s"
    words = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (words[-1] if words else "it fails without a word")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS)
