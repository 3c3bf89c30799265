"""The soak's control arm: two real servers behind the real router, stripped of what makes a death invisible."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from benchmarks.chaos import LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS
from canario.adapters.envoy import envoy_command
from canario.adapters.versions import StoredVersion
from canario.model.feedback import Value
from canario.model.split import Backend, Endpoint, RouterPlan, Split
from canario.packaging.bentos import PackedBento, build, packed
from canario.platforms.local.processes import free_port
from canario.router.configuration import standalone
from demo.traffic import Tally, Traffic

RECIPE = {"retry_policy", "health_checks", "outlier_detection"}
SERVERS = 2
STARTS_WITHIN_SECONDS = 60.0


def control_arm(
    version: StoredVersion, rows: Sequence[Mapping[str, Value]], folder: Path, seconds: float, seed: int
) -> Tally:
    """Send traffic for some seconds while servers are killed and restarted; what the clients saw."""
    bento = packed(version) or build(version)
    tag = version.record.name.tag
    endpoints = tuple(Endpoint(host="127.0.0.1", http_port=free_port(), grpc_port=free_port()) for _ in range(SERVERS))
    plan = RouterPlan(
        model=version.record.name.model,
        port=free_port(),
        admin_port=free_port(),
        split=Split(stable=tag),
        backends=(Backend(version=tag, endpoints=endpoints),),
        latency_milliseconds=version.card().objectives.latency_milliseconds,
    )
    bootstrap = folder / "control.json"
    bootstrap.write_bytes(msgspec.json.encode(_without(standalone(plan), RECIPE)))
    servers = [_serve(bento, endpoint) for endpoint in endpoints]
    router = subprocess.Popen(envoy_command(bootstrap, folder / "control.log"))
    try:
        _wait_until_ready([*(endpoint.http_port for endpoint in endpoints), plan.port])
        traffic = Traffic(
            target=f"127.0.0.1:{plan.port}",
            model=plan.model,
            card=version.card(),
            rows=rows,
            requests_per_second=100.0,
        )
        with traffic:
            _kill_in_turn(bento, servers, endpoints, random.Random(seed), seconds)
        return traffic.tally
    finally:
        for process in (router, *servers):
            process.kill()
            process.wait()


def _kill_in_turn(
    bento: PackedBento,
    servers: list[subprocess.Popen[bytes]],
    endpoints: Sequence[Endpoint],
    chance: random.Random,
    seconds: float,
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(chance.uniform(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
        place = chance.randrange(len(servers))
        servers[place].send_signal(signal.SIGKILL)
        servers[place].wait()
        servers[place] = _serve(bento, endpoints[place])
        _wait_until_ready([endpoints[place].http_port])


def _serve(bento: PackedBento, endpoint: Endpoint) -> subprocess.Popen[bytes]:
    ports = ("--http-port", str(endpoint.http_port), "--grpc-port", str(endpoint.grpc_port))
    return subprocess.Popen(
        [*bento.command, *ports],
        cwd=bento.source_folder,
        env={**os.environ, **bento.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait_until_ready(ports: Sequence[int]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    for port in ports:
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == httpx.codes.OK:
                    break
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, f"nothing is ready at port {port}"
            time.sleep(0.1)


def _without(content: Any, keys: set[str]) -> Any:
    """The same document without some keys, at every depth."""
    if isinstance(content, dict):
        return {key: _without(value, keys) for key, value in content.items() if key not in keys}
    if isinstance(content, list):
        return [_without(value, keys) for value in content]
    return content
