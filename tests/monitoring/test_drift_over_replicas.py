"""Drift by Prometheus is drift by numpy: the same rows, spread over four real servers and both protocols, give the same PSI."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from canario.adapters.documents import read_record
from canario.adapters.versions import REFERENCE_FILE
from canario.drift import bins
from canario.drift.psi import PopulationStability
from canario.kernel.columns import columns_from_frame
from canario.model.reference import Reference
from canario.monitoring.files import to_yaml
from canario.monitoring.prometheus import prometheus
from canario.monitoring.rules import rules
from canario.monitoring.table import read_table
from tests.adapters.real_prometheus import LOOPBACK, program, wait_for
from tests.serving import sample_requests as samples
from tests.serving import server_processes, small_versions
from tests.serving.server_processes import Server

pytestmark = pytest.mark.real

REPLICAS = 4
REQUEST_ROWS = 25
ROWS_A_REPLICA = 500
SAME = 1e-3
OPERATORS = re.compile(r"operators are answered on http://(\S+)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_versions.make_shop(tmp_path_factory.mktemp("version"))


@pytest.fixture(scope="module")
def servers(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Four processes of one version."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                server_processes.running(folder, tmp_path_factory.mktemp(f"replica-{place}"), "--operator-port", "0")
            )
            for place in range(REPLICAS)
        ]


@pytest.fixture(scope="module")
def url(servers: list[Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that reads all of them every second, with canario's own rules over one minute."""
    place = tmp_path_factory.mktemp("prometheus")
    targets = place / "targets"
    targets.mkdir()
    found = [OPERATORS.search(server.log.read_text()) for server in servers]
    group = {"targets": [each[1] for each in found if each], "labels": {"model": "shop", "part": "server"}}
    (targets / "shop.json").write_text(json.dumps([group]))
    table = read_table()
    table = replace(table, scrape="1s", evaluate="1s", drift=replace(table.drift, windows=("1m",)))
    (place / "rules.yaml").write_text(to_yaml(rules(table)))
    written = prometheus(table, rules_file=place / "rules.yaml", targets=targets, alertmanager=f"{LOOPBACK}:1")
    (place / "prometheus.yaml").write_text(to_yaml(written))
    port = server_port()
    command = [program(), f"--config.file={place / 'prometheus.yaml'}", f"--storage.tsdb.path={place / 'data'}"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={LOOPBACK}:{port}"], stdout=log, stderr=log)
    address = f"http://{LOOPBACK}:{port}"
    try:
        wait_for(lambda: ask_or_nothing(address, "sum(up)") == {(): REPLICAS}, "Prometheus does not read all servers")
        yield address
    finally:
        process.terminate()
        process.wait()


def server_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def ask(url: str, query: str, *labels: str) -> dict[tuple[str, ...], float]:
    """What Prometheus answers now, by these labels."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query}, trust_env=False).raise_for_status().json()
    return {
        tuple(each["metric"].get(label, "") for label in labels): float(each["value"][1])
        for each in answer["data"]["result"]
    }


def ask_or_nothing(url: str, query: str) -> dict[tuple[str, ...], float]:
    with contextlib.suppress(httpx.HTTPError):
        return ask(url, query)
    return {}


def customers() -> pd.DataFrame:
    """Customers who have changed: they spend more, and more of them come from one country."""
    rows = small_versions.shop_rows(REPLICAS * ROWS_A_REPLICA, seed=100)
    richer = rows["amount"] ** 0.5 * 1000**0.5
    abroad = np.random.default_rng(1).random(len(rows)) < 0.3
    return rows.assign(amount=richer.clip(0, 1000), country=np.where(abroad, "FR", rows["country"]))


def send(servers: list[Server], rows: pd.DataFrame) -> None:
    """Dealt to the servers in turn, as a router does, over REST and gRPC."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for server in servers]
        for number, start in enumerate(range(0, len(rows), REQUEST_ROWS)):
            server, client = servers[number % REPLICAS], clients[number % REPLICAS]
            part = [
                {name: None if pd.isna(value) else value for name, value in row.items()}
                for row in rows.iloc[start : start + REQUEST_ROWS].to_dict("records")
            ]
            for row in part:
                row["referrer"] = row["referrer"] or None
            if number // REPLICAS % 2:
                inputs = [
                    {"name": name, "datatype": kind, "shape": [len(part)], "data": [row[name] for row in part]}
                    for name, kind in samples.DATATYPES.items()
                ]
                samples.infer(server.grpc, samples.message("shop", {"inputs": inputs}))
            else:
                assert client.post("/predict", json={"rows": part}).status_code == 200


@pytest.mark.timeout(240)
def test_psi_by_prometheus_is_psi_by_numpy(servers: list[Server], url: str, folder: Path) -> None:
    """PSI of every column, computed by the rules over four servers, differs from numpy's over the same rows by less than 0.001."""
    reference = read_record(Reference, folder / REFERENCE_FILE)
    # Prometheus fills what it has not read of a window by guessing, for each server otherwise: it shall have read all of it.
    wait_for(lambda: min(ask(url, "count_over_time(up[1m])", "instance").values()) >= 40, "no time passes", 60)
    sent = customers()
    send(servers, sent)
    whole = columns_from_frame(small_versions.SHOP, sent)
    expected = {
        (column.name,): PopulationStability().distance(
            bins.reference_rows(spread), bins.count(column.kind, spread, whole[column.name]).tolist()
        )
        for column in small_versions.SHOP.columns
        for spread in [reference.columns[column.name]]
    }
    counted = {(column.name,): REPLICAS * ROWS_A_REPLICA for column in small_versions.SHOP.columns}
    wait_for(lambda: ask(url, "sum by (column) (canario_column_rows_total)", "column") == counted, "rows are missing")
    wait_for(lambda: min(ask(url, "count_over_time(up[1m])", "instance").values()) >= 59, "no time passes", 60)
    found = ask(url, "canario:column_psi:1m", "column")
    assert found.keys() == expected.keys()
    apart = {name: abs(found[name] - expected[name]) for name in expected}
    assert max(apart.values()) < SAME, (apart, expected)
    limits = ask(url, "canario:column_psi_limit:1m", "column")
    assert {name for name in found if found[name] > limits[name]} == {("amount",)}
