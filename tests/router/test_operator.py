"""What the router tells its operator from outside: what it counts and runs; and that nobody can command it from there."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from canario.adapters.envoy_admin import EnvoyAdmin
from canario.adapters.envoy_drain import DrainingEnvoy
from canario.errors import EvidenceLost, Unavailable
from canario.model.evidence import Counts
from canario.router.changes import look, read_router
from tests.router.conftest import EchoServer, Front, StartFront, backend, eventually, free_port, plan_for

pytestmark = pytest.mark.real

REFUSED = [
    *((method, path, 405) for method in ("POST", "PUT", "DELETE", "HEAD") for path in ("/ready", "/clusters")),
    ("POST", "/stats/prometheus", 405),
    ("POST", "/config_dump", 405),
    ("POST", "/config_dump?resource=dynamic_route_configs", 405),
    ("GET", "/config_dump?resource=dynamic_active_secrets", 404),
    ("GET", "/config_dump?resource=static_secrets", 404),
    ("GET", "/config_dump?mask=x&resource=dynamic_warming_secrets", 404),
    ("GET", "/config_dump?resource=dynamic_active%5fsecrets", 404),
    ("GET", "/config_dump?resourc%65=dynamic_active_secrets", 404),
    ("GET", "/config_dump?resource=dynamic_route_configs&resourc%65=dynamic_active_secrets", 404),
    *(
        (method, path, 404)
        for method in ("GET", "POST")
        for path in (
            "/",
            "/quitquitquit",
            "/drain_listeners",
            "/drain_listeners?graceful",
            "/healthcheck/fail",
            "/healthcheck/ok",
            "/logging?level=debug",
            "/runtime_modify?canario.slow_milliseconds=1",
            "/runtime",
            "/reset_counters",
            "/cpuprofiler?enable=y",
            "/heap_dump",
            "/certs",
            "/init_dump",
            "/listeners",
            "/memory",
            "/stats",
            "/stats/",
            "/stats/recentlookups/clear",
            "/ready/",
            "/readyz",
            "/predict",
            "//quitquitquit",
            "/clusters/../quitquitquit",
            "/stats/prometheus/../../quitquitquit",
        )
    ),
    ("POST", "/clusters/..%2fquitquitquit", 400),
    ("POST", "/clusters%2f..%2fquitquitquit", 400),
]


@pytest.fixture(scope="module")
def read_front(tmp_path_factory: pytest.TempPathFactory, servers: dict[str, EchoServer]) -> Iterator[Front]:
    """A router that lets itself be read."""
    backends = tuple(backend(server) for server in servers.values())
    front = Front(tmp_path_factory.mktemp("router"), plan_for(backends, operator_port=free_port()))
    yield front
    front.stop()


def ask(port: int, method: str, path: str) -> tuple[int, bytes]:
    """One request as it is written: nothing is tidied on the way."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.parametrize("path", ["/ready", "/stats/prometheus", "/config_dump", "/clusters", "/server_info"])
def test_what_may_be_read_is_read(path: str, read_front: Front) -> None:
    """Readiness, counts, configuration, servers and the program's version are there for GET, with parameters too."""
    assert ask(read_front.plan.operator_port, "GET", path)[0] == 200
    assert ask(read_front.plan.operator_port, "GET", f"{path}?format=json")[0] == 200


@pytest.mark.parametrize(("method", "path", "status"), REFUSED)
def test_nothing_else_is_answered(method: str, path: str, status: int, read_front: Front) -> None:
    """No other path and no other method gets through to what could change or stop the router."""
    assert ask(read_front.plan.operator_port, method, path)[0] == status
    assert read_front.router.is_ready()


def test_reading_from_outside_shows_the_same_as_from_inside(read_front: Front) -> None:
    """What a router runs and has counted is the same through either port."""
    inside, outside = (EnvoyAdmin(port) for port in (read_front.plan.admin_port, read_front.plan.operator_port))
    read_front.tally("rest", 10)
    read_front.tally("grpc", 10)
    eventually(lambda: sum(counts.requests for counts in look(inside)[1].split.values()) >= 20)
    assert read_router(outside) == read_router(inside)
    assert read_router(outside).split == read_front.plan.split
    assert look(outside)[1] == look(inside)[1]
    assert look(outside)[0].startswith(f"127.0.0.1:{read_front.plan.operator_port} ")
    assert outside.healthy_servers()["v2/rest/trial"] == 2
    assert outside.healthy_servers()["v1/grpc/direct"] == 1


def test_reading_is_no_traffic(read_front: Front) -> None:
    """However often the operator looks, no request and no connection of a client is counted for it."""
    operator = EnvoyAdmin(read_front.plan.operator_port)
    read_front.rest()
    read_front.seen()
    before, clients = look(operator)[1], DrainingEnvoy(read_front.plan.admin_port).clients()
    for _ in range(20):
        read_router(operator)
        ask(read_front.plan.operator_port, "GET", "/ready")
        ask(read_front.plan.operator_port, "POST", "/quitquitquit")
    assert look(operator)[1] == before
    assert DrainingEnvoy(read_front.plan.admin_port).clients() == clients


def test_what_cannot_be_read_is_named() -> None:
    """The error says which of the routers it was, by host and port."""
    port = free_port()
    with pytest.raises(EvidenceLost, match=rf"127\.0\.0\.9:{port}") as lost:
        read_router(EnvoyAdmin(port, host="127.0.0.9"))
    assert lost.value.at == f"127.0.0.9:{port}"
    with pytest.raises(Unavailable, match=f":{port}"):
        DrainingEnvoy(port).fail_readiness()


def test_a_router_that_drains_is_not_ready_and_can_still_be_read(start_front: StartFront) -> None:
    """From the first word of the end on, readiness fails; the last counts are read until the process is gone."""
    front = start_front(operator_port=free_port())
    operator = EnvoyAdmin(front.plan.operator_port)
    assert operator.is_ready()
    envoy = DrainingEnvoy(front.plan.admin_port)
    envoy.fail_readiness()
    assert not operator.is_ready()
    assert front.rest().headers.get("connection") is None  # those who are here stay until they are sent away
    envoy.send_clients_away()
    assert eventually(lambda: front.rest().headers.get("connection") == "close") < 10.0
    front.tally("rest", 10)
    eventually(lambda: not operator.is_ready())
    requests = sum(counts.requests for counts in front.seen().split.values())
    assert requests >= 12
    assert sum(counts.requests for counts in look(operator)[1].split.values()) == requests


def test_the_admin_port_stays_on_loopback(tmp_path: Path, servers: dict[str, EchoServer]) -> None:
    """Clients and operators come in from everywhere, commands only from inside."""
    plan = plan_for((backend(servers["v1"]),), listen_host="0.0.0.0", operator_port=free_port())  # noqa: S104 - tested
    front = Front(tmp_path, plan)
    try:
        assert EnvoyAdmin(plan.operator_port, host="127.0.0.2").is_ready()
        assert not EnvoyAdmin(plan.admin_port, host="127.0.0.2").is_ready()
        assert Counts(requests=1) == (front.rest(x_canario_version="v1"), front.seen().named["v1"])[1]
    finally:
        front.stop()
