"""The door of a Bento: one BentoML Service for every packed model; what it serves lies beside it, in `version/`.

`bentoml serve fraud:v2` answers REST. A Bento also starts without BentoML, answering REST and gRPC, by
`python -m canario.serving --version-folder version` in its `src` folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import bentoml

from canario.adapters.versions import find_version
from canario.errors import UsageError
from canario.serving.app import build_app


def version_folder() -> Path:
    """The version packed with this file; outside of a Bento, the stored one that CANARIO_VERSION names."""
    packed = Path(__file__).parent / "version"
    if packed.is_dir():
        return packed
    name = os.environ.get("CANARIO_VERSION", "")
    if not name:
        raise UsageError(
            "no version is packed beside service.py",
            hint="`canario build fraud:v2` packs one, then `bentoml serve fraud:v2`; CANARIO_VERSION=fraud:v2 names one",
        )
    return find_version(name).folder


application = build_app(version_folder())


# BentoML's own metrics and access log would cost more than most answers; the application counts by itself.
@bentoml.asgi_app(application)
@bentoml.service(metrics={"enabled": False}, logging={"access": {"enabled": False}})
class ModelServer:
    """One model version over REST."""

    def __init__(self) -> None:
        """Load and warm up before BentoML says that it is ready."""
        self.served = application.served

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]  # BentoML leaves it untyped
    def close(self) -> None:
        """Let go of the version's files and threads."""
        self.served.close()
