"""A home of its own for every test, and predictions to put there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canario.model.feedback import Prediction, Value, prediction_id
from tests.feedback.postgres_server import PostgresServer

MakePrediction = Callable[..., Prediction]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all predictions and feedback."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def predicted() -> MakePrediction:
    """Makes predictions, each with a request of its own unless one is named."""
    requests: Iterator[int] = itertools.count()

    def make(
        label: str | float = "fraud",
        *,
        version: str = "v1",
        request: str = "",
        row: int = 0,
        score: float = 0.5,
        shadow: bool = False,
        at_seconds: float = 1.0,
        **values: Value,
    ) -> Prediction:
        request = request or f"r{next(requests)}"
        return Prediction(
            prediction=prediction_id(version, request, row),
            request=request,
            row=row,
            model="fraud",
            version=version,
            at_seconds=at_seconds,
            label=label,
            score=score,
            shadow=shadow,
            values=values,
        )

    return make


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL; each test empties its database for itself."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()
