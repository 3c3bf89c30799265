"""What a Bento must install: the libraries that serving imports, and theirs, pinned to the versions that are installed here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from canario.model.version import KernelKind

SERVING = (
    "bentoml",
    "grpcio",
    "grpcio-health-checking",
    "grpcio-reflection",
    "httptools",
    "jinja2",
    "msgspec",
    "numpy",
    "onnx",
    "onnxruntime",
    "prometheus-client",
    "protobuf",
    "pydantic",
    "pyyaml",
    "starlette",
    "uvicorn",
    "uvloop",
)
UNCOMPILED = ("joblib", "pandas", "scikit-learn", "threadpoolctl")
"""In addition, for a version that scikit-learn serves."""


def requirements_of(kernel: KernelKind) -> list[str]:
    """`name==version` lines in alphabetical order, of everything that serving such a version needs.

    BentoML itself is left out, because it adds itself, pinned.
    """
    pinned: dict[str, str] = {}
    waiting = [Requirement(name) for name in (*SERVING, *(UNCOMPILED if kernel is KernelKind.SKLEARN else ()))]
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
    return [f"{name}=={version}" for name, version in sorted(pinned.items()) if name != "bentoml"]
