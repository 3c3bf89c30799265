"""A router that goes away: its clients come back over another router, and not one request is lost."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from canario.adapters.envoy_admin import EnvoyAdmin
from canario.adapters.envoy_drain import DrainingEnvoy
from canario.router.changes import look
from tests.router.conftest import Clients, Front, StartFront, eventually, free_port

pytestmark = pytest.mark.real


class Service:
    """What a Service is to clients: one address, each new connection to one of the routers that are ready."""

    def __init__(self, routers: Sequence[Front]) -> None:
        self.port = free_port()
        self.connections = dict.fromkeys((router.plan.port for router in routers), 0)
        self._routers = routers
        self._ready = [router.plan.port for router in routers]
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", self.port), self._loop).result()
        self._ends = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()

    def close(self) -> None:
        """End it."""
        self._ends.set()
        self._watch.join()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _look(self) -> None:
        """Endpoints follow readiness, as late as they do in a cluster."""
        while not self._ends.wait(0.2):
            ready = [each.plan.port for each in self._routers if EnvoyAdmin(each.plan.operator_port).is_ready()]
            self._ready = ready or self._ready

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        port = self._ready[self._turn % len(self._ready)]
        self.connections[port] += 1
        there, to_there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass_on(reader, to_there), _pass_on(there, writer))


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while content := await source.read(65_536):
            sink.write(content)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()


class Through(Front):
    """Clients of a Service, without a router of their own."""

    def __init__(self, service: Service) -> None:
        self.connect(service.port)

    def close(self) -> None:
        """Leave."""
        self.disconnect()


def drain(front: Front, *options: str) -> str:
    """What a pod runs before its end; what it says."""
    command = [sys.executable, "-m", "canario.router.drain", "--admin-port", str(front.plan.admin_port), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def start_service() -> Iterator[Callable[[Sequence[Front]], Service]]:
    """Start a Service that ends with the test."""
    started: list[Service] = []

    def start(routers: Sequence[Front]) -> Service:
        started.append(Service(routers))
        return started[-1]

    yield start
    for service in started:
        service.close()


def test_a_router_goes_away_and_nobody_notices(
    start_front: StartFront, start_service: Callable[[Sequence[Front]], Service]
) -> None:
    """With keep-alive clients over REST and gRPC on both routers, one drains and ends: no failure, and no count is lost."""
    one, other = (start_front(operator_port=free_port()) for _ in range(2))
    service = start_service([one, other])
    several = [Through(service) for _ in range(4)]
    told = []
    with Clients(several[0]) as s0, Clients(several[1]) as s1, Clients(several[2]) as s2, Clients(several[3]) as s3:
        time.sleep(0.5)
        assert min(service.connections.values()) >= 2
        told.append(drain(one, "--notice-seconds", "1"))
        final = look(EnvoyAdmin(one.plan.operator_port))[1]
        one.process.terminate()
        one.process.wait()
        before = service.connections[one.plan.port]
        time.sleep(0.5)
    statuses = [s0, s1, s2, s3]
    for client in several:
        client.close()
    assert told[0].startswith("every client has left")
    assert {status for each in statuses for status in each} == {"200", "OK"}
    assert service.connections[one.plan.port] == before
    time.sleep(0.05)
    both = [final, look(EnvoyAdmin(other.plan.operator_port))[1]]
    counted = sum(counts.requests for seen in both for counts in seen.split.values())
    assert counted == sum(each.total() for each in statuses)


def test_a_long_request_is_answered_before_the_router_ends(start_front: StartFront) -> None:
    """Draining takes as long as the last request does."""
    front = start_front(operator_port=free_port())
    answers: list[str] = []
    faults = {"x_fault_v1": "delay=2", "x_fault_v2": "delay=2"}
    threads = [
        threading.Thread(target=lambda ask=ask: answers.append(ask(**faults).status))
        for ask in (front.rest, front.grpc)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: DrainingEnvoy(front.plan.admin_port).clients().requests == 2)
    start = time.monotonic()
    drain(front, "--notice-seconds", "0", "--quiet-seconds", "4")
    assert time.monotonic() - start > 1.5
    assert DrainingEnvoy(front.plan.admin_port).clients().requests == 0
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["200", "OK"]


def test_clients_that_stay_do_not_hold_it_up_for_ever(start_front: StartFront) -> None:
    """A connection that stays open without a request costs the quiet seconds, and then the router may end."""
    front = start_front(operator_port=free_port())
    front.rest()
    told = drain(front, "--notice-seconds", "0", "--quiet-seconds", "1")
    assert re.match(r"some clients stayed after 1\.\d s", told)


def test_without_clients_it_ends_at_once(start_front: StartFront) -> None:
    """A router that nobody is connected to needs the notice and half a second; the command itself starts in no time."""
    front = start_front(operator_port=free_port())
    start = time.monotonic()
    assert drain(front, "--notice-seconds", "0.2").startswith("every client has left")
    assert time.monotonic() - start < 3.0


def test_the_command_needs_only_the_standard_library() -> None:
    """What a pod runs at its end loads no library of ours: it begins at once, also on a busy machine."""
    program = "import sys, canario.router.drain; print(*{name.partition('.')[0] for name in sys.modules})"
    told = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split()) - set(sys.stdlib_module_names)
    assert loaded <= {"canario", "__main__"}


def test_a_router_that_is_gone_is_said_plainly() -> None:
    """Without a router to drain the command fails with one line that names the port."""
    port = free_port()
    command = [sys.executable, "-m", "canario.router.drain", "--admin-port", str(port)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in told.stderr
