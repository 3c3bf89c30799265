"""What Prometheus finds of a model on this machine: a file that says whom to ask, and the same numbers from servers, router and supervisor."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from canario.adapters.homes import targets_file
from canario.model.deployment import Status
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import free_port
from demo.traffic import Traffic
from tests.serving.metric_text import Series, of, promtool_says, scraped, values

from .conftest import MODEL, plan, traffic_to, version, wait_for

pytestmark = pytest.mark.real

LABELS = {"model": MODEL}


def targets(part: str) -> list[str]:
    """The URLs that Prometheus would ask, by the file alone."""
    groups: list[dict[str, Any]] = json.loads(targets_file(MODEL).read_text())
    return [
        f"http://{target}{group['labels'].get('__metrics_path__', '/metrics')}"
        for group in groups
        if group["labels"]["part"] == part and group["labels"]["model"] == MODEL
        for target in group["targets"]
    ]


def supervisor() -> Series:
    return scraped(targets("supervisor")[0])


def test_every_process_is_found_and_tells_the_same(platform: LocalPlatform) -> None:
    """The file names each server, the router and the supervisor; what clients sent, servers and router count alike; `down` removes it."""
    platform.up(version("v1"), port=free_port(), processes=2)
    wait_for(lambda: len(targets("server")) == 2, "both servers in the file")
    with traffic_to(platform.status(), requests_per_second=100) as traffic:
        wait_for(lambda: traffic.tally.requests >= 200, "200 answers")
    servers = [scraped(url) for url in targets("server")]
    assert all(of(each, "canario_rows_total", **LABELS, version="v1") > 0 for each in servers)
    answered = sum(
        of(each, "canario_requests_total", method=method, outcome="answered")
        for each in servers
        for method in ("predict", "infer")
    )
    assert answered == traffic.tally.requests
    for column in ("rate", "variation", "age"):
        assert sum(of(each, "canario_column_rows_total", column=column) for each in servers) == answered
    router = scraped(targets("router")[0])
    assert of(router, "envoy_canario_attempts_total") >= answered  # the parser adds what Envoy leaves out: _total
    told = supervisor()
    assert of(told, "canario_stable_info", **LABELS, version="v1") == 1
    assert of(told, "canario_split_percent", **LABELS, version="v1", kind="asked") == 100
    assert of(told, "canario_split_percent", **LABELS, version="v1", kind="actual") == 100
    assert of(told, "canario_servers", **LABELS, version="v1", kind="wanted") == 2
    assert of(told, "canario_servers", **LABELS, version="v1", kind="ready") == 2
    assert not list(values(told, "canario_rollout_info", {}))
    for url in (*targets("server"), *targets("supervisor")):
        assert promtool_says(httpx.get(url, trust_env=False).text) == ""
    platform.down()
    assert not targets_file(MODEL).exists()


def test_a_rollout_is_told_while_it_lasts(platform: LocalPlatform, up: Status, traffic: Traffic) -> None:
    """Name, candidate, phase, since when and the shares of a rollout are there while it is under way, and its servers in the file."""
    platform.start_rollout(plan(30, 100, watch_seconds=60.0, minimum_requests=10**6), version("v2"))
    wait_for(
        lambda: list(values(supervisor(), "canario_split_percent", {"version": "v2", "kind": "actual"})) == [30.0],
        "30 %",
    )
    told = supervisor()
    state = platform.status().rollout
    assert state is not None
    labels = {"rollout": state.state.rollout, "candidate": "v2", "phase": state.state.phase.value}
    assert of(told, "canario_rollout_info", **LABELS, **labels) == 1
    assert of(told, "canario_rollout_since_timestamp_seconds", **LABELS) == pytest.approx(
        state.state.phase_since_seconds
    )
    assert of(told, "canario_split_percent", version="v1", kind="asked") == 70
    wait_for(lambda: len(targets("server")) == 2, "the candidate's server in the file")
    assert {
        dict(labels)["version"]
        for url in targets("server")
        for (_, labels) in scraped(url)
        if "version" in dict(labels)
    } == {
        "v1",
        "v2",
    }
    platform.rollback()
    wait_for(lambda: not list(values(supervisor(), "canario_rollout_info", {})), "the end of the rollout")
    wait_for(lambda: len(targets("server")) == 1, "the candidate's server gone from the file")


def test_another_supervisor_is_found_where_the_last_one_was(
    platform: LocalPlatform, up: Status, tmp_path: Path
) -> None:
    """A killed supervisor leaves the servers to be read, and the next one answers at the same place."""
    wait_for(lambda: targets("supervisor"), "the supervisor in the file")
    before = targets_file(MODEL).read_text()
    pid = platform.status().supervisor_pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not platform.status().is_supervised, "the supervisor's death")
    assert of(scraped(targets("server")[0]), "canario_version_info", version="v1") == 1
    with pytest.raises(httpx.HTTPError):
        supervisor()
    platform.up()
    wait_for(lambda: platform.status().is_supervised, "another supervisor")
    wait_for(lambda: targets_file(MODEL).read_text() == before, "the file as it was")
    assert of(supervisor(), "canario_stable_info", version="v1") == 1
