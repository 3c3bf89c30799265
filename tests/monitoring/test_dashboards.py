"""Every panel of every dashboard shows something of a model that really answers, read by a real Prometheus."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from canario.adapters.versions import find_version
from canario.monitoring.dashboards import dashboards
from canario.monitoring.panels import Panel
from canario.monitoring.table import Table, read_table
from canario.packaging.rooms import load_room
from canario.platforms.local.monitoring import MonitoringPlan, find_program, monitoring
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import Role, free_port
from demo.rows import plain
from tests.adapters.real_prometheus import program

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
CANARIO = [sys.executable, "-c", "from canario.cli.main import main; main()"]
PATIENCE_SECONDS = 60.0
TARGETS = 5
"""Two servers, the router, the supervisor and a worker."""
ROWS = 400
WITH_AN_EVENT = {
    "Phase": "a rollout",
    "How long it has been in its phase": "a rollout",
    "Failed first attempts by version": "a version that fails",
    "Retraining": "a retraining",
}
"""What has nothing to show while nothing happens, and what must happen."""


@pytest.fixture(scope="module")
def table() -> Table:
    """Windows for people who have little time."""
    table = read_table()
    return replace(table, scrape="1s", evaluate="1s", drift=replace(table.drift, windows=("30s",), minimum_rows=50))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, table: Table) -> Iterator[MonitoringPlan]:
    """The model fraud, up on two servers, with traffic, refusals, truths and messages, and canario's own Prometheus beside it."""
    program()
    find_program(Role.ALERTMANAGER)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        environment.setenv("CANARIO_HOME", str(tmp_path_factory.mktemp("home")))
        environment.setenv("CANARIO_ROOMS", str(ROOT / "bentos"))
        environment.setenv("CANARIO_COHORT_SECONDS", "1")
        environment.setenv("CANARIO_MATURITY_SECONDS", "2")
        canario("train", "fraud", "--tag", "v1", "--first-day", "2026-05-01", "--last-day", "2026-05-30")
        canario("build", "fraud:v1")
        plan = MonitoringPlan(table=table, port=free_port(), alertmanager_port=free_port())
        platform = LocalPlatform("fraud")
        try:
            with monitoring(plan):
                started = platform.up(find_version("fraud:v1"), port=free_port(), processes=2)
                with worker():
                    wait_until_read(plan)
                    send(started.url)
                    yield plan
        finally:
            platform.down()


def canario(*words: str, text: str = "") -> None:
    subprocess.run(
        [*CANARIO, *words], check=True, timeout=200, env=os.environ, capture_output=True, input=text.encode()
    )


@contextmanager
def worker() -> Iterator[None]:
    """A worker that answers the model's messages, from this machine's own queues."""
    process = subprocess.Popen([*CANARIO, "worker", "fraud"], env=os.environ, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def send(url: str) -> None:
    """A few hundred payments, the truth about each, and some that do not fit the card; at a pace that a window sees. Messages too."""
    day = dt.date(2026, 6, 10)
    rows = load_room("fraud").generate(day, day + dt.timedelta(days=1), seed=3).head(ROWS)
    with httpx.Client(base_url=url, trust_env=False) as client:
        names = find_version("fraud:v1").card().column_names
        for row in rows.to_dict("records"):
            answer = client.post("/predict", json={name: plain(row[name]) for name in names}).raise_for_status()
            prediction = answer.json()["predictions"][0]["prediction_id"]
            truth = {"prediction_id": prediction, "truth": row["outcome"]}
            assert client.post("/feedback", json=truth).is_success
            time.sleep(0.02)
        messages = [json.dumps({name: plain(row[name]) for name in names}) for row in rows.head(20).to_dict("records")]
        canario("enqueue", "fraud", "-", "--priority", "urgent", text="\n".join(messages))
        assert client.post("/predict", json={"amount": "much"}).status_code == 400


def ask(plan: MonitoringPlan, promql: str) -> list[dict[str, object]]:
    answer = httpx.get(f"{plan.url}/api/v1/query", params={"query": promql}, trust_env=False).json()
    assert answer["status"] == "success", answer
    return [each for each in answer["data"]["result"] if each["value"][1] != "NaN"]


def wait_until_read(plan: MonitoringPlan) -> None:
    """Traffic begins when every target has been read: a counter's first value is then seen."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ask(plan, "up == 1")) < TARGETS:
        assert time.monotonic() < deadline, ask(plan, "up")
        time.sleep(0.2)


def as_a_reader_has_it(promql: str) -> str:
    """A panel's query with what Grafana puts in."""
    return (
        promql.replace("$__rate_interval", "20s")
        .replace("$namespace", ".*")
        .replace("$model", "fraud")
        .replace("$window", "30s")
    )


PANELS = [(page.name, panel) for page in dashboards(read_table()) for panel in page.panels]


@pytest.mark.parametrize(("page", "panel"), PANELS, ids=[f"{page}: {panel.title}" for page, panel in PANELS])
def test_every_panel_shows_something(page: str, panel: Panel, watched: MonitoringPlan) -> None:
    """Each query of each panel finds data of a model with traffic and truths; what needs an event is named with it."""
    deadline = time.monotonic() + (0 if panel.title in WITH_AN_EVENT else PATIENCE_SECONDS)
    for query in panel.queries:
        while not (found := ask(watched, as_a_reader_has_it(query.promql))) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert found or panel.title in WITH_AN_EVENT, f"{page}: {panel.title}: {query.promql} finds nothing"


def test_only_panels_that_say_so_need_an_event() -> None:
    """A reader of an empty panel finds in the code what must happen first."""
    needing = {panel.title: panel.needs for _, panel in PANELS if panel.needs and "event" not in panel.needs}
    assert WITH_AN_EVENT.items() <= needing.items()
    assert all(panel.about and panel.queries for _, panel in PANELS)
