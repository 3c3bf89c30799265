"""Sizes and build times of a version's image, against BentoML's own template on the same base and the same Bento.

    python -m benchmarks.images

Needs root, buildah and debootstrap. Cold means that no layer is in the store, warm that only the version is new. BentoML's
template is built cold only: it puts the version below the libraries' cache, so for it every version is much the same.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bentoml
from bentoml._internal.container import construct_containerfile

from benchmarks.machine import versions_line
from canario.packaging.bentos import PackedBento, build
from canario.packaging.engines import Engine, find_image
from canario.packaging.images import build_image
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from tests.cluster.base_image import base_image, buildah, environment

PREFIX = "localhost/canario-benchmark/"
DEFAULT_IMAGE = "localhost/canario-benchmark-default/fraud:v1"
READY = "localhost/canario-benchmark-default/base:1"
FIRST_DAY, LAST_DAY = dt.date(2026, 6, 1), dt.date(2026, 6, 14)


def main() -> None:
    """Print the figures."""
    os.environ.update(environment())
    base = base_image()
    with tempfile.TemporaryDirectory(prefix="canario-benchmark-") as folder:
        os.environ["BENTOML_HOME"] = folder
        first, second, plain = _bento("v1", "", 0), _bento("v2", "", 1), _bento("v3", "broken-slow", 0)
        print(f"# {versions_line()}; base {base}, {_megabytes(base):.0f} MB")
        print("image                                    size MB   seconds")
        with _removed(f"{PREFIX}fraud:v1", f"{PREFIX}fraud:v2", f"{PREFIX}fraud:v3", DEFAULT_IMAGE, READY):
            _forget_layers(first, second, plain)
            _line("compiled model, cold", f"{PREFIX}fraud:v1", lambda: _ours(first, base))
            _line("compiled model, next version", f"{PREFIX}fraud:v2", lambda: _ours(second, base))
            _line("scikit-learn model, cold", f"{PREFIX}fraud:v3", lambda: _ours(plain, base))
            _line("BentoML's template, cold", DEFAULT_IMAGE, lambda: _default(first, base))


def _bento(tag: str, estimator: str, seed: int) -> PackedBento:
    request = TrainingRequest(estimator=estimator, first_day=FIRST_DAY, last_day=LAST_DAY, seed=seed, tag=tag)
    return build(train(load_room("fraud"), request))


def _line(what: str, name: str, work: Callable[[], None]) -> None:
    started = time.perf_counter()
    work()
    print(f"{what:38} {_megabytes(name):9.0f} {time.perf_counter() - started:9.1f}", flush=True)


def _megabytes(name: str) -> float:
    found = find_image(Engine.BUILDAH, name)
    assert found, f"there is no image {name}"
    return found.size_bytes / 1e6


def _ours(bento: PackedBento, base: str) -> None:
    build_image(bento, base=base, prefix=PREFIX, backend=Engine.BUILDAH)


def _default(bento: PackedBento, base: str) -> None:
    """The same Bento, described as one that was built without a template of its own, by BentoML's for Debian."""
    described = bento.folder / "bento.yaml"
    described.write_text(described.read_text().replace(": image.dockerfile", ": null"))
    with (
        tempfile.TemporaryDirectory(prefix="canario-benchmark-") as folder,
        construct_containerfile(bentoml.get(str(bento.name)), enable_buildkit=False) as (context, file),
    ):
        ready = _ready_for_bentoml(Path(folder), base)
        containerfile = Path(file)
        containerfile.write_text(containerfile.read_text().replace("FROM python:3.11-slim", f"FROM {ready}"))
        buildah("build", "--quiet", "--tag", DEFAULT_IMAGE, "--file", file, context)


def _ready_for_bentoml(folder: Path, base: str) -> str:
    """The base with what BentoML's template takes for granted: `pip` and `groupadd` on the path, and this machine's authorities."""
    shutil.copy(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt", folder / "authorities.pem")
    (folder / "pip").write_text('#!/bin/sh\nexec python3 -m pip --cert /authorities.pem "$@"\n')
    (folder / "pip").chmod(0o755)
    (folder / "Containerfile").write_text(
        f"FROM {base}\nCOPY authorities.pem /\nCOPY pip /usr/local/bin/\n"
        "RUN rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED\n"
        "ENV SSL_CERT_FILE=/authorities.pem UV_SYSTEM_CERTS=1 PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
    buildah("build", "--quiet", "--tag", READY, str(folder))
    return READY


def _forget_layers(*bentos: PackedBento) -> None:
    """No layer of libraries in the store fits: each list of libraries gets the same new comment."""
    comment = f"\n# {time.time()}\n"
    for bento in bentos:
        with (bento.source_folder / "serving.txt").open("a") as stream:
            stream.write(comment)


@contextlib.contextmanager
def _removed(*names: str) -> Iterator[None]:
    try:
        yield
    finally:
        for name in names:
            with contextlib.suppress(RuntimeError):
                buildah("rmi", "--force", name)


if __name__ == "__main__":
    main()
