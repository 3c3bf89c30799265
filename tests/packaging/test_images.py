"""What `canario build --image` promises: a lean image that answers anywhere, and a next version that costs little."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from canario.errors import CanarioError, Conflict, Unavailable, UsageError
from canario.packaging.bentos import PackedBento, build
from canario.packaging.engines import Engine, working_engine
from canario.packaging.images import ModelImage, build_image, build_secrets
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from canario.serving.smoke import ask
from tests.cluster.base_image import base_image, buildah, environment
from tests.cluster.model_images import canario_image
from tests.packaging import containers
from tests.parts import missing

if TYPE_CHECKING:
    from tests.packaging.conftest import Small, Trained

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

PARTS = ("buildah", "debootstrap", "runc")
SMALL_BYTES = 10_000_000
COMPILERS = ("cc", "gcc", "c++", "g++", "clang", "ld", "make")
NEEDLESS = ("bentoml", "opentelemetry", "sklearn", "pandas", "scipy", "pip", "uv")
SECOND = TrainingRequest(first_day=dt.date(2026, 6, 1), last_day=dt.date(2026, 6, 14), tag="v2", seed=7)
KEPT = "localhost/canario-tests/kept:latest"
"""Keeps the layers of libraries in the store, so that the next run of the tests finds them."""


@dataclass(frozen=True)
class Images:
    """Two versions' images, and the Bentos that they are made of."""

    first: ModelImage
    second: ModelImage
    bento: PackedBento
    prefix: str
    base: str


@pytest.fixture(scope="session")
def base() -> str:
    """The base image; where it cannot be made, the tests are skipped, or fail with CI=true."""
    absent = [part for part in PARTS if shutil.which(part, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if os.geteuid() != 0:
        missing("images are built and run as root")
    if absent:
        missing(f"images are built with {', '.join(absent)}: apt-get install {' '.join(absent)}")
    return base_image()


@pytest.fixture(autouse=True)
def _buildah_without_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def images(base: str, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """fraud:v1 and a fraud:v2 that was trained with another seed, as images."""
    prefix = f"localhost/canario-tests/{uuid.uuid4().hex[:8]}/"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment().items():
            patch.setenv(name, value)
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("images")))
        patch.setenv("CANARIO_ROOMS", str(Path(__file__).parents[2] / "bentos"))
        bento = build(trained.fraud)
        other = build(train(load_room("fraud"), SECOND))
        first, second = (build_image(each, base=base, prefix=prefix, backend=Engine.BUILDAH) for each in (bento, other))
        yield Images(first, second, bento, prefix, base)
        buildah("tag", first.name, KEPT)
        buildah("rmi", first.name, second.name)


def test_an_image_answers_as_nobody_on_a_read_only_root(images: Images, tmp_path: Path) -> None:
    """It serves REST, gRPC and operators as a numeric user, writing only where it may, and ends in order."""
    ports = ("--host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0", "--operator-port", "0")
    options = (*ports, "--linger-seconds", "0")
    with (
        containers.mounted(images.first.name) as image,
        containers.running(image, tmp_path / "bundle", *options) as container,
    ):
        rest, grpc = container.wait_for(r"answers REST on http://(\S+) and gRPC on (\S+)").groups()
        operator = container.wait_for(r"operators are answered on (http://\S+)")[1]
        over_rest, over_grpc = ask(rest, "fraud", 60, grpc)
        assert over_rest.version == over_grpc.version == "v1"
        (file,) = httpx.get(f"{operator}/log", timeout=30).json()["files"]
        assert file["size"] > 0
        assert container.stop() == 0
        assert "ERROR" not in container.said()


def test_an_image_needs_no_arguments(images: Images) -> None:
    """Its entrypoint serves on all addresses at the three ports, without a shell; more arguments may follow."""
    with containers.mounted(images.first.name) as image:
        assert image.user == "65532:65532"
        assert "sh" not in [Path(word).name for word in image.entrypoint]
        words = " ".join(image.entrypoint)
        assert "--host 0.0.0.0 --http-port 3000 --grpc-port 3001 --operator-port 3002" in words


def test_an_image_says_what_is_inside(images: Images) -> None:
    """Labels carry the digest and the name of the version, and the base that it is made on."""
    with containers.mounted(images.second.name) as image:
        assert image.labels["dev.canario.digest"] == images.second.digest
        assert image.labels["dev.canario.version"] == "fraud:v2"
        assert image.labels["org.opencontainers.image.base.name"] == images.base


def test_any_user_may_keep_what_it_must(images: Images) -> None:
    """A cluster that gives containers a user of its own choice needs no other image."""
    with containers.mounted(images.first.name) as image:
        assert (image.root / "var/lib/canario").stat().st_mode & 0o7777 == 0o1777
        assert (image.root / "var/lib").stat().st_mode & 0o7777 == 0o755


def test_an_image_has_only_what_serving_needs(images: Images) -> None:
    """No compiler, no BentoML and, for a compiled version, no scikit-learn; all code is compiled to byte code."""
    with containers.mounted(images.first.name) as image:
        programs = {
            file.name for folder in ("bin", "usr/bin", "usr/local/bin") for file in image.root.glob(f"{folder}/*")
        }
        assert not programs.intersection(COMPILERS)
        (packages,) = image.root.glob("opt/canario/lib/*/site-packages")
        assert not [name for name in NEEDLESS if (packages / name).exists()]
        code = [*packages.rglob("*.py"), *(image.root / "srv/model/canario").rglob("*.py")]
        uncompiled = [file for file in code if not list((file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"))]
        assert len(uncompiled) < len(code) / 100, uncompiled


def test_a_next_version_is_a_thin_layer(images: Images) -> None:
    """The second version of a model shares every large layer with the first."""
    with containers.mounted(images.first.name) as first, containers.mounted(images.second.name) as second:
        own = {digest: size for digest, size in second.layers.items() if digest not in first.layers}
        assert sum(own.values()) < SMALL_BYTES < sum(second.layers.values())


def test_no_layer_keeps_the_machines_secrets(images: Images) -> None:
    """Neither the authorities that the build trusted nor the index that it used are in the image or its history."""
    with containers.mounted(images.first.name) as image:
        secrets = image.root / "run/secrets"
        assert not secrets.exists() or not [
            file for file in secrets.rglob("*") if file.is_file() and file.stat().st_size
        ]
        assert "SSL_CERT_FILE" not in image.history
        assert not [word for word in image.environment if "CERT" in word or "PIP" in word]


def test_an_image_of_the_same_version_is_found_again(images: Images) -> None:
    """Building again makes nothing new, and says the same."""
    again = build_image(images.bento, base=images.base, prefix=images.prefix, backend=Engine.BUILDAH)
    assert again == images.first


def test_another_versions_name_is_not_taken(images: Images, home: Path, small: Small) -> None:
    """A version with the same name but other bytes is refused, with the way to remove the image."""
    other = build(train(load_room("fraud"), small(tag="v1", seed=5)))
    with pytest.raises(Conflict, match=images.first.digest[:19]) as refused:
        build_image(other, base=images.base, prefix=images.prefix, backend=Engine.BUILDAH)
    assert f"buildah rmi {images.first.name}" in refused.value.hint


def test_another_base_is_not_passed_over(images: Images) -> None:
    """An image that is there, but on another base than was asked for, is not given out as the right one."""
    with pytest.raises(Conflict, match="is made on"):
        build_image(images.bento, base="localhost/other:1", prefix=images.prefix, backend=Engine.BUILDAH)


def test_a_build_that_fails_gives_the_engines_words(images: Images) -> None:
    """BentoML ends well after a failed build; here it is an error that names the reason."""
    scratch = "localhost/canario-tests/empty:1"
    buildah("commit", "--quiet", "--rm", buildah("from", "scratch"), scratch)
    with pytest.raises(CanarioError, match="did not build") as failed:
        build_image(images.bento, base=scratch, prefix="localhost/canario-tests/failed/", backend=Engine.BUILDAH)
    assert "python3" in failed.value.hint or "sh" in failed.value.hint
    buildah("rmi", scratch)


def test_a_bento_without_instructions_is_refused(base: str, stored: Trained) -> None:
    """A Bento that something else packed is not containerized in BentoML's way without a word."""
    bento = build(stored.fraud)
    (bento.folder / "env/docker/Dockerfile.template").unlink()
    with pytest.raises(Conflict, match="without instructions") as refused:
        build_image(bento, base=base, prefix=f"localhost/{uuid.uuid4().hex[:8]}/", backend=Engine.BUILDAH)
    assert "bentoml delete fraud:v1" in refused.value.hint


def test_without_an_engine_the_hint_names_three(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing can build images, the error says what to install; an engine that was asked for is not replaced."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as none:
        working_engine()
    assert "docker, podman or buildah" in none.value.hint
    with pytest.raises(Unavailable, match="podman cannot build images here: not installed"):
        working_engine(Engine.PODMAN)


def test_a_build_learns_of_the_machine_only_what_is_set(tmp_path: Path) -> None:
    """Certificates and package index are passed on when the environment names them, and nothing otherwise."""
    bundle = tmp_path / "authorities.pem"
    bundle.write_text("certificates")
    assert build_secrets(tmp_path, {}) == {}
    found = build_secrets(tmp_path, {"SSL_CERT_FILE": str(bundle), "PIP_INDEX_URL": "http://index.example/simple"})
    assert found["certificates"] == bundle
    assert found["pip"].read_text() == "[global]\nindex-url = http://index.example/simple\n"


def test_options_of_images_need_an_image() -> None:
    """`canario build --base-image` without `--image` is wrong usage, not silence."""
    program = str(Path(sys.executable).with_name("canario"))
    done = subprocess.run(
        [program, "build", "fraud:v1", "--base-image", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--image" in done.stderr


def test_the_canario_image_runs_controller_router_and_smoke_test(base: str, tmp_path: Path) -> None:
    """Envoy and Python are on its path, its user is a number, and it starts all three on a read-only root."""
    commands = {
        "envoy": ["envoy", "--version"],
        "smoke": ["python", "-m", "canario.serving.smoke", "--help"],
        "controller": ["python", "-m", "canario.platforms.kubernetes", "--help"],
    }
    with containers.mounted(canario_image()) as image:
        assert image.user == "65532:65532"
        for name, command in commands.items():
            with containers.running(image, tmp_path / name, command=command) as container:
                assert container.process.wait(60) == 0, container.said()
                assert "Traceback" not in container.said()
        (packages,) = image.root.glob("opt/canario/lib/*/site-packages")
        assert not [name for name in (*NEEDLESS, "onnx", "numpy") if (packages / name).exists()]
