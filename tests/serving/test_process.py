"""A server process from its start to its end: what it refuses to serve, what it loads, and how it leaves."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from canario.serving import open_inference_pb2 as pb
from tests.serving import sample_requests as samples
from tests.serving import server_processes
from tests.serving.server_processes import Server

pytestmark = pytest.mark.real

SLOW = {"seconds": 0.8, "mood": "fine"}


def refused(folder: Path, home: Path, *options: str) -> tuple[int, str]:
    """The exit code of a server that does not start, and what it says."""
    process = server_processes.start(folder, home, "--http-port", "0", "--grpc-port", "0", *options)
    return process.wait(90), (home / "log").read_text()


def test_changed_bytes_are_never_served(shop_folder: Path, tmp_path: Path) -> None:
    """A version whose files are not what was packed is refused before it is loaded, and the file is named."""
    folder = shutil.copytree(shop_folder, tmp_path / "v1")
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    code, said = refused(folder, tmp_path / "home")
    assert code == 1
    assert "model.onnx of shop:v1 is not what was packed" in said
    assert "Traceback" not in said


def test_a_folder_without_a_version_is_refused(tmp_path: Path) -> None:
    """A folder that is none of canario's is refused in words."""
    code, said = refused(tmp_path, tmp_path / "home")
    assert code == 1
    assert "version.json" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("option", ["--http-port", "--grpc-port"])
def test_a_port_that_is_taken_is_named(rent_folder: Path, tmp_path: Path, option: str) -> None:
    """A port that another process has is named, with the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = refused(rent_folder, tmp_path / "home", option, port)
    assert code == 1
    assert port in said
    assert option in said
    assert "Traceback" not in said


def test_sigterm_finishes_what_is_in_flight(moody_folder: Path, tmp_path: Path) -> None:
    """After SIGTERM readiness is false at once, requests in flight and those that still come are answered, then it exits."""
    options = ("--linger-seconds", "1.5")
    with (
        server_processes.running(moody_folder, tmp_path, *options) as server,
        server.client() as client,
        ThreadPoolExecutor(4) as pool,
    ):
        rest = pool.submit(client.post, "/predict", json=SLOW)
        grpc_call = pool.submit(samples.infer, server.grpc, slow_message())
        time.sleep(0.4)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        late_grpc = pool.submit(samples.infer, server.grpc, slow_message())
        late_rest = pool.submit(client.post, "/predict", json=SLOW)
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").headers["connection"] == "close"
        assert grpc_health(server) == health_pb2.HealthCheckResponse.NOT_SERVING
        assert rest.result().status_code == 200
        assert late_rest.result().status_code == 200
        assert len(grpc_call.result().outputs) == len(late_grpc.result().outputs) == 2
        assert server.process.wait(30) == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_grpc_requests_outlive_rest(moody_folder: Path, tmp_path: Path, sent: signal.Signals) -> None:
    """When no REST request is open, gRPC requests that wait for the model are answered after SIGTERM or Ctrl-C, then it exits."""
    with (
        server_processes.running(moody_folder, tmp_path, "--linger-seconds", "0") as server,
        ThreadPoolExecutor(4) as pool,
    ):
        calls = [pool.submit(samples.infer, server.grpc, slow_message()) for _ in range(4)]
        time.sleep(0.6)
        started = time.monotonic()
        server.process.send_signal(sent)
        assert [len(call.result(timeout=60).outputs) for call in calls] == [2] * 4
        assert server.process.wait(30) == 0
    assert time.monotonic() - started < 15.0, "the process waited for its limit"


def test_a_stop_has_its_limit(moody_folder: Path, tmp_path: Path) -> None:
    """A request that takes longer than the limit does not keep a process alive."""
    options = ("--longest-stop-seconds", "1")
    with server_processes.running(moody_folder, tmp_path, *options) as server, ThreadPoolExecutor(1) as pool:
        endless = pool.submit(httpx.post, f"{server.url}/predict", json=SLOW | {"seconds": 50.0}, timeout=60)
        time.sleep(1.0)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert isinstance(endless.exception(), httpx.HTTPError) or endless.result().status_code >= 500
    assert "left unanswered" in server.log.read_text()


def test_too_many_waiting_requests_are_refused_at_once(moody_folder: Path, tmp_path: Path) -> None:
    """Beyond the bound of waiting requests the answer is 503 with Retry-After, without a wait."""
    with (
        server_processes.running(moody_folder, tmp_path) as server,
        server.client() as client,
        ThreadPoolExecutor(80) as pool,
    ):
        slow = pool.submit(client.post, "/predict", json=SLOW | {"seconds": 3.0})
        time.sleep(0.3)
        asked = [pool.submit(client.post, "/predict", json=SLOW | {"seconds": 0.0}) for _ in range(79)]
        answers = [future.result() for future in [slow, *asked]]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert 0 < len(refused) <= 16
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert all(answer.status_code == 200 for answer in answers if answer not in refused)


def test_every_answer_is_logged_before_it_leaves(moody_folder: Path, tmp_path: Path) -> None:
    """Each route that predicts logs its rows; shadow copies are marked, and warming up is not logged."""
    request = {"inputs": slow_inputs(0.0)}
    with server_processes.running(moody_folder, tmp_path) as server, server.client() as client:
        assert not (tmp_path / "predictions").exists()
        client.post("/predict", json={"rows": [SLOW | {"seconds": 0.0}] * 2}, headers={"x-request-id": "one"})
        client.post(
            "/v2/models/moody/infer", json=request, headers={"x-request-id": "two", "host": "model-shadow:8080"}
        )
        message = samples.message("moody", request).SerializeToString()
        samples.call(server.grpc, "ModelInfer", message, (("x-request-id", "three"), ("x-canario-shadow", "1")))
        client.post("/predict", json=SLOW | {"seconds": 99.0}, headers={"x-request-id": "refused"})
        server.process.kill()
    (log,) = (tmp_path / "predictions" / "moody").iterdir()
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["prediction"], row["shadow"]) for row in rows] == [
        ("v1.one.0", False),
        ("v1.one.1", False),
        ("v1.two.0", True),
        ("v1.three.0", True),
    ]
    assert rows[0]["values"] == {"seconds": 0.0, "mood": "fine"}
    assert (rows[0]["model"], rows[0]["version"], rows[0]["label"], rows[0]["score"]) == ("moody", "v1", "yes", 0.5)


def test_an_answer_survives_a_log_that_cannot_be_written(shop_folder: Path, tmp_path: Path) -> None:
    """When predictions cannot be logged, they are still answered."""
    tmp_path.joinpath("predictions").write_text("not a folder")
    with server_processes.running(shop_folder, tmp_path) as server, server.client() as client:
        assert client.post("/predict", json=samples.CUSTOMER).status_code == 200
    assert "without being logged" in server.log.read_text()


def grpc_health(server: Server) -> int:
    """What the health service says."""
    with grpc.insecure_channel(server.grpc) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=""), timeout=60)
        return int(answer.status)


def slow_inputs(seconds: float) -> list[dict[str, object]]:
    """The moody model's tensors."""
    return [
        {"name": "seconds", "datatype": "FP64", "shape": [1], "data": [seconds]},
        {"name": "mood", "datatype": "BYTES", "shape": [1], "data": ["fine"]},
    ]


def slow_message() -> pb.ModelInferRequest:
    """A slow request over gRPC."""
    return samples.message("moody", {"inputs": slow_inputs(SLOW["seconds"])})  # type: ignore[arg-type]  # a number
