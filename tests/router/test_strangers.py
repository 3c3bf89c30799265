"""Somebody else at a router's admin port: whatever it says is told as unreadable, never a crash and never a router's word."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from canario.adapters.envoy_admin import EnvoyAdmin
from canario.adapters.envoy_drain import DrainingEnvoy
from canario.errors import EvidenceLost, Unavailable
from canario.model.split import Endpoint
from canario.router.changes import look, read_router
from canario.router.folder import Router

StartStranger = Callable[[bytes], int]

PAGE = b"<html>\nhello\n</html>"
REPLIES = (
    PAGE,
    b"\xff\xfe",
    b"",
    b"[]",
    b"{}",
    b'"word"',
    b'{"configs": null}',
    b'{"configs": [{}]}',
    b'{"configs": [1], "cluster_statuses": [1]}',
    b'{"configs": [{"route_config": {"metadata": 1}, "cluster": 1}], "cluster_statuses": [{"name": "x", "host_statuses": [{}]}]}',
    b'{"configs": [{"route_config": {"metadata": {"filter_metadata": {"canario.split": {"stable": 5}}}}}]}',
    b"envoy_canario_x 1\nenvoy_canario_first_attempts +Inf\n",
)


@pytest.fixture
def stranger() -> Iterator[StartStranger]:
    """Starts a program that has one answer, status 200, to everything; its port."""
    servers: list[ThreadingHTTPServer] = []

    def start(reply: bytes) -> int:
        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1].server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("reply", REPLIES)
def test_a_strangers_words_are_unreadable(stranger: StartStranger, reply: bytes) -> None:
    """Each question says which port could not be read, or is answered as by a router without anything."""
    admin = EnvoyAdmin(stranger(reply))
    questions: tuple[Callable[[], object], ...] = (
        lambda: read_router(admin),
        lambda: look(admin),
        admin.route_configurations,
        admin.active_clusters,
        admin.healthy_servers,
        lambda: admin.active_requests(Endpoint(host="127.0.0.1", http_port=1, grpc_port=2)),
    )
    for question in questions:
        with contextlib.suppress(EvidenceLost):
            question()
    with pytest.raises(EvidenceLost, match="no router"):
        look(admin)


def test_a_router_whose_port_a_stranger_has_runs_nothing_that_is_known(stranger: StartStranger, tmp_path: Path) -> None:
    """Neither split, nor counts, nor requests under way: all are unknown, and who asks goes on."""
    router = Router(tmp_path, stranger(PAGE))
    assert router.split() is None
    assert router.counts() is None
    assert router.active_requests(Endpoint(host="127.0.0.1", http_port=1, grpc_port=2)) is None


@pytest.mark.parametrize("reply", [PAGE, b"\xff\xfe", b"a: b", b"http.clients.downstream_rq_active: many"])
def test_a_stranger_is_not_waited_for(stranger: StartStranger, reply: bytes) -> None:
    """Sending clients away from what is no router ends at once, and says why."""
    envoy = DrainingEnvoy(stranger(reply))
    if reply == b"a: b":
        assert envoy.clients().requests == 0  # an Envoy too says nothing of clients that never came
        return
    with pytest.raises(Unavailable, match="no router"):
        envoy.wait_until(lambda _: False, 5.0)
