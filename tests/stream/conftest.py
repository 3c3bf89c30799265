"""A real RabbitMQ for the tests of the stream; without one they are skipped, and in CI they fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stream.rabbitmq_server import RabbitMqServer

pytest.register_assert_rewrite("tests.stream.broker_contract", "tests.stream.broker_connections")


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMqServer]:
    """A broker that runs; a test that ends or blocks it has it back as it was. Each test names queues of its own."""
    server = RabbitMqServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()
