"""A server whose feedback goes to a database: answers never wait for it, and what was answered and told is there in the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from canario.feedback.opening import open_history
from canario.feedback.settings import URL_VARIABLE
from canario.model.card import Label, Task
from canario.model.feedback import LabelCounts
from tests.feedback.postgres_server import PostgresServer
from tests.serving.server_processes import running

pytestmark = pytest.mark.real

LABEL = Label(name="bought", task=Task.CLASSIFICATION, classes=("no", "yes"))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    """A database of this test's own, for the servers that it starts."""
    server = PostgresServer()
    server.start()
    monkeypatch.setenv(URL_VARIABLE, server.url)
    yield server
    server.stop()


def example(client: httpx.Client) -> Any:
    """A request that this server's own document shows."""
    content = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    return content["application/json"]["example"]


def test_what_is_answered_and_told_is_in_the_database_when_a_server_has_left(
    shop_folder: Path, tmp_path: Path, database: PostgresServer
) -> None:
    """A server that is told to leave at once first brings its last answers where they are kept."""
    with running(shop_folder, tmp_path) as server, server.client() as client:
        row = example(client)
        answers = [client.post("/predict", json=row).json()["predictions"][0] for _ in range(20)]
        other = {"yes": "no", "no": "yes"}
        for answer in answers[:5]:
            told = {"prediction_id": answer["prediction_id"], "truth": other[answer["label"]]}
            assert client.post("/feedback", json=told).json()["received"] == "new"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    history = open_history("shop", LABEL)
    assert history.predictions() == {"v1": 20}
    until = time.monotonic() + 10
    while history.unmatched().truths and time.monotonic() < until:
        time.sleep(0.2)
    positives = 5 if answers[0]["label"] == "no" else 0
    assert history.counts() == {"v1": LabelCounts(5, 5, positives, positives)}
    (first, *_) = history.labelled(0.0, time.time() + 1)
    assert set(first.values) == set(row["rows"][0] if "rows" in row else row)
    history.close()


def test_a_database_that_is_away_costs_feedback_and_no_answer(
    shop_folder: Path, tmp_path: Path, database: PostgresServer
) -> None:
    """While it is down truths get a 503 that says try again, answers come at their usual speed, and all of them arrive later."""
    with running(shop_folder, tmp_path) as server, server.client() as client:
        row = example(client)
        client.post("/predict", json=row)
        database.kill()
        refused = client.post("/feedback", json={"prediction_id": "v1.r.0", "truth": "yes"})
        assert refused.status_code == 503
        assert "try" in refused.json()["hint"]
        began = time.monotonic()
        for _ in range(50):
            assert client.post("/predict", json=row).status_code == 200
            assert client.post("/feedback", json={"prediction_id": "v1.r.0", "truth": "yes"}).status_code == 503
        assert time.monotonic() - began < 10.0
        database.start()
        until = time.monotonic() + 10
        while client.post("/feedback", json={"prediction_id": "v1.r.0", "truth": "yes"}).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.2)
    history = open_history("shop", LABEL)
    assert history.predictions() == {"v1": 51}
    history.close()
