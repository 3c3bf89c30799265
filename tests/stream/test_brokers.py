"""The brokers, each proved by the contract that all of them keep; and how one is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stream.broker_contract import BrokerContract
from tests.stream.rabbitmq_server import RabbitMqServer


class TestSqlite(BrokerContract):
    """The embedded one, in a file."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:{tmp_path / 'queues.sqlite'}"

    @pytest.fixture
    def nowhere(self, tmp_path: Path) -> str:
        (tmp_path / "file").touch()
        return f"sqlite:{tmp_path / 'file' / 'queues.sqlite'}"


class TestRabbitMq(BrokerContract):
    """The real server."""

    @pytest.fixture
    def url(self, rabbitmq: RabbitMqServer) -> str:
        return rabbitmq.url

    @pytest.fixture
    def nowhere(self) -> str:
        return "amqp://canario:secret@127.0.0.1:1/"
