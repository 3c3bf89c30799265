"""What a Bento must install: the libraries that serving imports, and theirs, pinned to the versions that are installed here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from canario.model.version import KernelKind

SERVING = (
    "grpcio",
    "grpcio-health-checking",
    "grpcio-reflection",
    "httptools",
    "httpx",
    "jinja2",
    "msgspec",
    "numpy",
    "onnx",
    "onnxruntime",
    "prometheus-client",
    "protobuf",
    "psycopg[binary]",
    "pydantic",
    "pyyaml",
    "uvicorn",
    "uvloop",
)
"""What `python -m canario.serving` imports."""
UNCOMPILED = ("joblib", "pandas", "scikit-learn", "threadpoolctl")
"""In addition, for a version that scikit-learn serves."""
SERVICE = ("bentoml",)
"""In addition, for `bentoml serve`."""


def requirements_of(kernel: KernelKind) -> list[str]:
    """`name==version` lines in alphabetical order, of everything that `bentoml serve` needs for such a version.

    BentoML itself is left out, because it adds itself, pinned.
    """
    return [line for line in _pinned((*SERVICE, *_imported(kernel))) if not line.startswith("bentoml==")]


def lean_requirements_of(kernel: KernelKind) -> list[str]:
    """The same of everything that `python -m canario.serving` needs, which is all that an image has."""
    return _pinned(_imported(kernel))


def _imported(kernel: KernelKind) -> tuple[str, ...]:
    return (*SERVING, *(UNCOMPILED if kernel is KernelKind.SKLEARN else ()))


def _pinned(names: tuple[str, ...]) -> list[str]:
    pinned: dict[str, str] = {}
    waiting = [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in pinned and not wanted.extras:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # a requirement for another platform or Python
        pinned[name] = found.version
        environments = [{"extra": extra} for extra in wanted.extras or {""}]
        needs = [Requirement(text) for text in found.requires or ()]
        waiting += [
            need
            for need in needs
            if canonicalize_name(need.name) not in pinned
            and (need.marker is None or any(need.marker.evaluate(environment) for environment in environments))
        ]
    return [f"{name}=={version}" for name, version in sorted(pinned.items())]
