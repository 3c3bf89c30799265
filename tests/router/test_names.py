"""Servers that are found by name: they come and go, and the router follows by itself."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from canario.adapters.envoy_admin import EnvoyAdmin
from canario.model.evidence import Counts
from canario.model.split import Backend, Endpoint, Split
from canario.router.configuration import standalone
from tests.router.conftest import (
    Clients,
    EchoServer,
    Front,
    StartFront,
    StartServer,
    all_up,
    eventually,
    free_port,
    plan_for,
)
from tests.router.name_server import NameServer

pytestmark = pytest.mark.real


def named(server: EchoServer, name: str = "localhost") -> Backend:
    """A version whose servers are found by a name."""
    return Backend(version=server.version, endpoints=(replace(server.endpoint, host=name),))


@pytest.fixture
def by_name(start_front: StartFront, servers: dict[str, EchoServer]) -> Front:
    """A router that finds both versions by a name."""
    return start_front(backends=tuple(named(server) for server in servers.values()), operator_port=free_port())


def test_four_files_are_the_whole_configuration(by_name: Front) -> None:
    """With names there is one bootstrap, one file of routes, one of clusters, one of runtime values, and no more."""
    wanted = {"bootstrap.json", "routes.json", "clusters.json", "runtime.json"}
    assert {path.name for path in by_name.folder.glob("*.json")} == wanted
    assert "endpoints." not in (by_name.folder / "clusters.json").read_text()


def test_envoy_has_no_complaint_about_names(by_name: Front, tmp_path: Path) -> None:
    """Nothing in the configuration is deprecated: Envoy reads it without one warning."""
    document = tmp_path / "standalone.json"
    document.write_text(json.dumps(standalone(by_name.plan)))
    command = [by_name.router.command()[0], "--mode", "validate", "--config-path", str(document)]
    told = subprocess.run([*command, "--log-level", "warning"], capture_output=True, text=True, check=True)
    assert "eprecated" not in told.stdout + told.stderr
    assert "eprecated" not in (by_name.folder / "envoy.log").read_text()


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_named_servers_get_their_share_and_are_rescued(protocol: str, by_name: Front) -> None:
    """The split, versions asked for, and the rescue by stable work as they do with addresses."""
    fine = "200" if protocol == "rest" else "OK"
    got = by_name.tally(protocol, 200)
    assert got.total() == 200
    assert 65 <= got[fine, "v2"] <= 135
    assert by_name.tally(protocol, 5, x_canario_version="v2") == {(fine, "v2"): 5}
    by_name.change(replace(by_name.plan.split, weight_percent=100.0))
    before = by_name.seen()
    assert by_name.tally(protocol, 20, x_fault_v2="status=500" if protocol == "rest" else "grpc=13") == {
        (fine, "v1"): 20
    }
    assert by_name.seen().split["v2"] - before.split["v2"] == Counts(requests=20, errors=20)


def test_a_killed_candidate_that_has_a_name_is_not_seen(start_front: StartFront, start_server: StartServer) -> None:
    """The candidate dies while clients ask: stable answers, and nobody sees a failure."""
    stable, candidate = start_server("v1"), start_server("v2")
    all_up(stable, candidate)
    front = start_front(50.0, backends=(named(stable), named(candidate)))
    with Clients(front) as statuses:
        time.sleep(0.3)
        candidate.kill()
        time.sleep(1.0)
    assert statuses.keys() == {"200", "OK"}
    assert front.counts("v2").errors > 0


def test_rollouts_by_name_cost_no_request(start_front: StartFront, start_server: StartServer) -> None:
    """New versions come, take over and go under traffic, each found by name, and no client sees a failure."""
    one, two = start_server("v1"), start_server("v2")
    all_up(one, two)
    front = start_front(backends=(named(one),), split=Split(stable="v1"))
    with Clients(front) as statuses:
        for old, new in ((one, two), (two, one)):
            both = (named(old), named(new))
            front.change(Split(stable=old.version, candidate=new.version, weight_percent=50.0), both)
            time.sleep(0.1)
            front.change(Split(stable=new.version), (named(new),))
            eventually(lambda: front.router.write(front.plan) and _clusters(front) == 2)
    assert statuses.keys() == {"200", "OK"}


def _clusters(front: Front) -> int:
    return len(json.loads((front.folder / "clusters.json").read_text())["resources"])


@pytest.fixture
def names() -> Iterator[NameServer]:
    """A name server of the test's own."""
    server = NameServer({})
    yield server
    server.close()


class FrontThatAsks(Front):
    """A router that asks the test's name server instead of the machine's; all else is as it was generated."""

    names: NameServer

    def start(self) -> None:
        """Name the name server, then start."""
        path = self.folder / "clusters.json"
        document = json.loads(path.read_text())
        for cluster in document["resources"]:
            resolver = cluster["cluster_type"]["typed_config"]["typed_dns_resolver_config"]["typed_config"]
            resolver["resolvers"] = [{"socket_address": {"address": "127.0.0.1", "port_value": self.names.port}}]
        path.write_text(json.dumps(document))
        super().start()


def test_servers_behind_a_name_come_and_go(tmp_path: Path, start_server: StartServer, names: NameServer) -> None:
    """A server that is added to a name is used, one that is taken off or killed is left alone, and no request fails.

    When a candidate's name has no address any more, stable takes its share; when it has one again, it gets it back.
    """
    rest, grpc = free_port(), free_port()
    one, two = (start_server("v1", Endpoint(host=host, http_port=rest, grpc_port=grpc)) for host in HOSTS[:2])
    candidate = start_server("v2", Endpoint(host=HOSTS[2], http_port=rest, grpc_port=grpc))
    all_up(one, two, candidate)
    names.names |= {"fraud-v1": [HOSTS[0]], "fraud-v2": [HOSTS[2]]}
    FrontThatAsks.names = names
    plan = plan_for((named(one, "fraud-v1"), named(candidate, "fraud-v2")), operator_port=free_port())
    front = FrontThatAsks(tmp_path / "router", plan)
    servers = EnvoyAdmin(plan.operator_port).healthy_servers
    try:
        with Clients(front) as statuses:
            assert servers()["v1/rest/direct"] == 1
            names.names["fraud-v1"] = HOSTS[:2]
            assert eventually(lambda: servers()["v1/rest/direct"] == 2 and servers()["v2/grpc/trial"] == 3) < 4.0
            eventually(lambda: bool(two.seen()))
            two.kill()
            eventually(lambda: servers()["v1/rest/direct"] == 1)
            names.names["fraud-v1"] = [HOSTS[0]]
            del names.names["fraud-v2"]
            assert eventually(lambda: servers()["v2/rest/trial"] == 1) < 4.0
            assert front.rest(x_canario_version="v2").status == "503"
            assert front.tally("rest", 20) == {("200", "v1"): 20}
            names.names["fraud-v2"] = [HOSTS[2]]
            eventually(lambda: front.rest().version == "v2" and front.grpc().version == "v2")
        assert statuses.keys() == {"200", "OK"}
    finally:
        front.stop()


HOSTS = ["127.0.0.11", "127.0.0.12", "127.0.0.13"]
