"""How a model on this machine stands when nobody supervises it: what is ours is told, and nobody else's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from canario.model.deployment import Deployment
from canario.model.split import Split
from canario.platforms.local.ending import stop
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import Mark, Role, launch
from canario.platforms.local.records import PlatformFiles
from canario.router.routes import SPLIT_METADATA

THEIRS = Split(stable="another-models-v7")
ROUTES = {
    "configs": [{"route_config": {"metadata": {"filter_metadata": {SPLIT_METADATA: msgspec.to_builtins(THEIRS)}}}}]
}


class Neighbour(BaseHTTPRequestHandler):
    """The Envoy of another platform."""

    def do_GET(self) -> None:
        content = msgspec.json.encode(ROUTES if "route_configs" in self.path else {})
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def neighbour() -> Iterator[int]:
    """Its admin port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Neighbour)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("role", [Role.SERVER, Role.ROUTER])
def test_the_split_of_a_neighbours_router_is_not_shown_as_ours(
    neighbour: int, role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a router of our own, whoever answers at its port is a stranger: what runs is unknown."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    files = PlatformFiles.of("pulse")
    files.folder.mkdir(parents=True)
    files.keep(
        Deployment(
            model="pulse",
            is_up=True,
            port=1,
            admin_port=neighbour,
            processes=1,
            latency_milliseconds=100.0,
            stable="v1",
            split=Split(stable="v1"),
            wanted=("v1",),
            served={},
        )
    )
    ours = launch(
        ["sleep", "60"], Mark(platform=str(files.folder), role=role, version="v1"), files.folder / "sleep.log", {}
    )
    try:
        status = LocalPlatform("pulse").status()
    finally:
        stop([ours])
    # With one that lives, what is read at its port is what it runs.
    assert (status.router_pid, status.actual) == ((ours.pid, THEIRS) if role is Role.ROUTER else (None, None))
