"""The smoke test tells whether a running model answers, and says why when it does not."""

from __future__ import annotations

import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests.serving.server_processes import Server

pytestmark = pytest.mark.real


def smoke(target: str, model: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "canario.serving.smoke", "--target", target, "--model", model, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)


def of(server: Server) -> tuple[str, ...]:
    return urlsplit(server.url).netloc, "--grpc-target", server.grpc


@pytest.mark.parametrize("name", ["shop", "rent", "iris"])
def test_a_model_that_answers_passes(name: str, request: pytest.FixtureRequest) -> None:
    """Every kind of model is asked with its own example over both protocols, one line each, with the version."""
    target, *grpc_option = of(request.getfixturevalue(name))
    done = smoke(target, name, *grpc_option)
    assert done.returncode == 0, done.stderr
    rest, over_grpc = done.stdout.splitlines()
    assert rest.startswith(f"REST  {name}:v1 answers ")
    assert over_grpc.removeprefix("gRPC  ") == rest.removeprefix("REST  ")


def test_another_model_at_the_address_fails(shop: Server) -> None:
    """A target that serves another model is no success, and its model is named."""
    target, *grpc_option = of(shop)
    done = smoke(target, "rent", *grpc_option)
    assert done.returncode == 1
    assert "it has shop" in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_at_the_address_fails_in_time(shop: Server) -> None:
    """Where nobody listens the test fails after its time, and says over which protocol."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"127.0.0.1:{listener.getsockname()[1]}"
    rest = smoke(silent, "shop", "--timeout-seconds", "1")
    over_grpc = smoke(of(shop)[0], "shop", "--grpc-target", silent, "--timeout-seconds", "2")
    assert (rest.returncode, over_grpc.returncode) == (1, 1)
    assert "over REST" in rest.stderr
    assert "over gRPC" in over_grpc.stderr
    assert "Traceback" not in rest.stderr + over_grpc.stderr
