"""Real Envoy in front of real servers: what the router's tests start, and how they ask."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from canario.model.evidence import Counts
from canario.model.split import Backend, Endpoint, RouterPlan, Split
from canario.router.evidence import Seen
from canario.router.folder import Router

ECHO_SERVER = Path(__file__).with_name("echo_server.py")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for a condition; the seconds that it took. Fails when it does not come true."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not come true in time"
        time.sleep(0.005)
    return time.monotonic() - start


class EchoServer:
    """One server process of a version."""

    def __init__(self, version: str, endpoint: Endpoint | None = None) -> None:
        self.version = version
        self.endpoint = endpoint or Endpoint(host="127.0.0.1", http_port=free_port(), grpc_port=free_port())
        self.start()

    def start(self) -> None:
        """Start it, or start it again on its ports."""
        ports = [str(self.endpoint.http_port), str(self.endpoint.grpc_port)]
        self.process = subprocess.Popen([sys.executable, str(ECHO_SERVER), self.version, *ports, self.endpoint.host])

    def is_up(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(self.url("/readyz")).status_code == 200
        return False

    def url(self, path: str) -> str:
        """Where it answers without the router."""
        return f"http://{self.endpoint.host}:{self.endpoint.http_port}{path}"

    def seen(self) -> list[dict[str, str]]:
        """What it was asked, oldest first."""
        return list(httpx.get(self.url("/seen")).json())

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - the one thing that is set
        """Have its health checks say that it is ready, or not."""
        httpx.get(self.url("/health/up" if ready else "/health/down")).raise_for_status()

    def kill(self) -> None:
        """As a crash would: no goodbye."""
        self.process.kill()
        self.process.wait()


@dataclass
class Answer:
    """What a client saw of one request."""

    status: str
    """An HTTP status or the name of a gRPC code."""
    version: str
    """Who answered; empty if the router itself did."""
    content: dict[str, Any]
    headers: dict[str, str]


class Front:
    """A running router, and clients of it."""

    def __init__(self, folder: Path, plan: RouterPlan) -> None:
        self.folder = folder
        self.plan = plan
        self.router = Router(folder, plan.admin_port)
        assert self.router.write(plan)
        self.start()

    def start(self) -> None:
        """Start Envoy, or start it again."""
        self.process = subprocess.Popen(self.router.command())
        eventually(self.router.is_ready)
        self.connect(self.plan.port)

    def connect(self, port: int) -> None:
        """Begin with clients that keep their connections."""
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self._call = self.channel.unary_unary("/echo.Echo/Predict", _as_it_is, _as_it_is)

    def disconnect(self) -> None:
        """End the clients."""
        self._http.close()
        self.channel.close()

    def stop(self) -> None:
        """End Envoy and the clients."""
        self.disconnect()
        self.process.kill()
        self.process.wait()

    def change(self, split: Split | None = None, backends: tuple[Backend, ...] | None = None) -> None:
        """Have another split or other servers; returns when Envoy runs it."""
        self.plan = replace(self.plan, split=split or self.plan.split, backends=backends or self.plan.backends)
        eventually(lambda: self.router.write(self.plan))
        eventually(lambda: self.router.split() == self.plan.split)

    def rest(self, content: bytes = b"{}", /, **headers: str) -> Answer:
        """One REST request; underscores in the names of headers become dashes."""
        response = self._http.post("/predict", content=content, headers=_names(headers))
        version = response.headers.get("x-canario-version", "") if response.is_success else ""
        return Answer(str(response.status_code), version, response.json(), dict(response.headers))

    def grpc(self, content: bytes = b"{}", /, **metadata: str) -> Answer:
        """One gRPC request."""
        try:
            answer, call = self._call.with_call(content, timeout=30, metadata=tuple(_names(metadata).items()))
        except grpc.RpcError as error:
            failed: Any = error  # it is a Call too, which the stubs do not know
            return Answer(failed.code().name, "", {"error": failed.details()}, {})
        told = json.loads(answer)
        return Answer("OK", told["version"], told, {key: str(value) for key, value in call.initial_metadata()})

    def dealt(self, header: str, values: Iterable[str]) -> list[str]:
        """The version that answers each value of a header; over one bare connection, for thousands of them."""
        versions = []
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.plan.port, timeout=30)) as connection:
            for value in values:
                connection.request("POST", "/predict", b"{}", {header: value})
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                versions.append(str(response.getheader("x-canario-version")))
        return versions

    def tally(self, protocol: str, requests: int, **headers: str) -> Counter[tuple[str, str]]:
        """How often each (status, version) came, of so many requests."""
        ask = self.rest if protocol == "rest" else self.grpc
        answers = [ask(**headers) for _ in range(requests)]
        return Counter((answer.status, answer.version) for answer in answers)

    def seen(self) -> Seen:
        """The evidence, once Envoy has closed the books on what was just answered."""
        time.sleep(0.05)
        seen = self.router.seen()
        assert seen is not None
        return seen

    def counts(self, version: str) -> Counts:
        """What the split's requests show of a version."""
        return self.seen().split.get(version, Counts())


def _as_it_is(message: bytes) -> bytes:
    return message


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Clients:
    """Steady REST and gRPC clients while the block runs; it gives what they saw, by status."""

    def __init__(self, front: Front, **headers: str) -> None:
        self._statuses: Counter[str] = Counter()
        self._go_on = True
        self._threads = [threading.Thread(target=self._run, args=(ask, headers)) for ask in (front.rest, front.grpc)]

    def _run(self, ask: Callable[..., object], headers: dict[str, str]) -> None:
        while self._go_on:
            self._statuses[str(getattr(ask(**headers), "status", ""))] += 1
            time.sleep(0.002)

    def __enter__(self) -> Counter[str]:
        for thread in self._threads:
            thread.start()
        return self._statuses

    def __exit__(self, *_: object) -> None:
        self._go_on = False
        for thread in self._threads:
            thread.join()


StartServer = Callable[..., EchoServer]
StartFront = Callable[..., Front]


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, EchoServer]]:
    """One server each of v1 and v2, shared: tests that harm servers start their own."""
    started = {version: EchoServer(version) for version in ("v1", "v2")}
    for server in started.values():
        eventually(server.is_up)
    yield started
    for server in started.values():
        server.kill()


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start servers that end with the test."""
    started: list[EchoServer] = []

    def start(version: str, endpoint: Endpoint | None = None) -> EchoServer:
        started.append(EchoServer(version, endpoint))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def plan_for(backends: tuple[Backend, ...], weight_percent: float = 50.0, **options: Any) -> RouterPlan:
    """A plan that splits between v1 and v2, on free ports."""
    plan = RouterPlan(
        model="fraud",
        port=free_port(),
        admin_port=free_port(),
        split=Split(stable="v1", candidate="v2", weight_percent=weight_percent),
        backends=backends,
        latency_milliseconds=100.0,
    )
    return replace(plan, **options)


@pytest.fixture(scope="module")
def shared_front(tmp_path_factory: pytest.TempPathFactory, servers: dict[str, EchoServer]) -> Iterator[Front]:
    """One router of a module's tests in front of the shared servers, half and half."""
    front = Front(tmp_path_factory.mktemp("router"), plan_for(tuple(backend(server) for server in servers.values())))
    yield front
    front.stop()


@pytest.fixture
def front(shared_front: Front) -> Iterator[Front]:
    """The module's router, as it was before the test when the next one gets it."""
    plan = shared_front.plan
    yield shared_front
    shared_front.change(plan.split, plan.backends)


@pytest.fixture
def start_front(tmp_path: Path, servers: dict[str, EchoServer]) -> Iterator[StartFront]:
    """Start a router that ends with the test; `backends` names other servers than the shared ones."""
    started: list[Front] = []

    def start(weight_percent: float = 50.0, backends: tuple[Backend, ...] = (), **options: Any) -> Front:
        shared = tuple(backend(server) for server in servers.values())
        started.append(
            Front(tmp_path / f"router-{len(started)}", plan_for(backends or shared, weight_percent, **options))
        )
        return started[-1]

    yield start
    for front in started:
        front.stop()


def backend(*servers: EchoServer) -> Backend:
    """Servers of one version."""
    return Backend(version=servers[0].version, endpoints=tuple(server.endpoint for server in servers))


def all_up(*servers: EchoServer) -> None:
    """Wait until all servers answer."""
    for server in servers:
        eventually(server.is_up)
