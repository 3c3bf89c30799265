"""What `canario build` promises: a real Bento that needs nothing but itself, whole or not there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from canario.adapters.versions import CARD_FILE, WARMUP_FILE, prove, read_version
from canario.errors import Conflict, DigestMismatch
from canario.packaging.bentos import PackedBento, build, packed

if TYPE_CHECKING:
    from tests.packaging.conftest import Trained


START_SECONDS = 90.0


@pytest.fixture(scope="session")
def bento(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> PackedBento:
    """fraud:v1, packed into a home that has no model store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("packed")))
        return build(trained.fraud)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: tuple[str, ...], environment: dict[str, str], cwd: Path, port: int) -> Iterator[str]:
    """A server process, once it is ready; it is ended afterwards, with all that it started."""
    log = cwd / f"server-{port}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **environment}, stdout=stream, stderr=stream, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def a_row(bento: PackedBento) -> dict[str, Any]:
    rows = msgspec.json.decode((bento.version_folder / WARMUP_FILE).read_bytes())
    return {name: values[0] for name, values in rows.items()}


def test_bento_carries_everything(bento: PackedBento, trained: Trained) -> None:
    """A Bento has its own copy of the code, of the version with all its files, and of what must be installed, pinned."""
    assert str(bento.name) == "fraud:v1"
    prove(read_version(bento.version_folder))
    assert (bento.source_folder / "service.py").is_file()
    assert (bento.source_folder / "canario" / "serving" / "__main__.py").is_file()
    assert not list(bento.source_folder.glob("**/__pycache__"))
    required = (bento.folder / "env" / "python" / "requirements.txt").read_text().split()
    assert all("==" in line for line in required)
    names = {line.partition("==")[0] for line in required}
    assert names >= {"bentoml", "uvicorn", "starlette", "onnxruntime", "grpcio", "numpy"}
    assert not names & {"scikit-learn", "pandas", "pytest"}
    assert trained.fraud.record.digest in (bento.folder / "README.md").read_text()


def test_bentoml_knows_the_bento(bento: PackedBento) -> None:
    """`bentoml list` shows it, and `bentoml get fraud:latest` finds it."""
    environment = {**os.environ, "BENTOML_HOME": str(bento.folder.parents[2]), "BENTOML_DO_NOT_TRACK": "True"}

    def bentoml(*words: str) -> Any:
        command = [sys.executable, "-m", "bentoml", *words, "-o", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        return msgspec.json.decode(done.stdout)

    assert [each["tag"] for each in bentoml("list")] == ["fraud:v1"]
    assert bentoml("get", "fraud:latest")["version"] == "v1"


@pytest.mark.real
def test_bentoml_serves_the_bento(bento: PackedBento, tmp_path: Path) -> None:
    """`bentoml serve fraud:v1` answers predictions, the protocol and its own metrics, from the Bento alone."""
    port = free_port()
    command = (sys.executable, "-m", "bentoml", "serve", "fraud:v1", "--host", "127.0.0.1", "--port", str(port))
    home = {"BENTOML_HOME": str(bento.folder.parents[2]), "BENTOML_DO_NOT_TRACK": "True"}
    with running(command, home, tmp_path, port) as address:
        answer = httpx.post(f"{address}/predict", json={"rows": [a_row(bento)]}, timeout=20)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["model"], answer.json()["version"]) == ("fraud", "v1")
        assert answer.json()["predictions"][0]["label"] in ("clean", "fraud")
        assert httpx.get(f"{address}/v2/models/fraud/versions/v1/ready").status_code == 200
        assert "canario_requests_total" in httpx.get(f"{address}/metrics").text
        assert httpx.post(f"{address}/predict", json={"rows": [{"amount": "much"}]}).status_code == 400


@pytest.mark.real
def test_bento_starts_lean_on_its_own_code(bento: PackedBento, tmp_path: Path) -> None:
    """A server process runs the code that the Bento was packed with, not what is installed, and without BentoML."""
    program = "import canario.serving.process, sys; print(canario.__file__, 'bentoml' in sys.modules, 'sklearn' in sys.modules)"
    done = subprocess.run(
        [bento.command[0], "-c", program],
        cwd=tmp_path,
        env={**os.environ, **bento.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(bento.source_folder / "canario" / "__init__.py"), "False", "False"]
    port = free_port()
    command = (*bento.command, "--http-port", str(port), "--grpc-port", "0")
    with running(command, bento.environment, tmp_path, port) as address:
        answer = httpx.post(f"{address}/predict", json={"rows": [a_row(bento)]})
        assert answer.status_code == 200, answer.text


def test_packing_again_changes_nothing(bento: PackedBento, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is packed already is found, in no time, and stays as it is."""
    monkeypatch.setenv("BENTOML_HOME", str(bento.folder.parents[2]))
    before = (bento.folder / "bento.yaml").stat().st_mtime_ns
    assert packed(trained.fraud) == bento
    assert build(trained.fraud) == bento
    assert (bento.folder / "bento.yaml").stat().st_mtime_ns == before


def test_what_is_not_packed_is_not_there(trained: Trained) -> None:
    """A version without a Bento has none, and that is no error."""
    assert packed(trained.loan) is None


def test_name_that_belongs_to_another_bento_is_a_conflict(home: Path, trained: Trained) -> None:
    """A Bento of the same name that canario did not make, or of another version, is never overwritten."""
    theirs = home / "bentos" / "loan" / "v1"
    theirs.mkdir(parents=True)
    (theirs / "bento.yaml").write_text("name: loan\n")
    with pytest.raises(Conflict, match="holds something else"):
        build(trained.loan)
    assert [path.name for path in theirs.iterdir()] == ["bento.yaml"]


def test_rotten_version_is_not_packed(home: Path, stored: Trained) -> None:
    """A version whose bytes have changed is refused, and nothing half-built stays behind."""
    path = stored.loan.folder / CARD_FILE
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DigestMismatch):
        build(stored.loan)
    assert not (home / "bentos").exists()
