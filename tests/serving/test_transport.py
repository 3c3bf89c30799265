"""How answers travel: whole or not at all."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import pytest

from tests.serving import sample_requests as samples
from tests.serving.server_processes import Server

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("serving")]

REQUESTS = 200


def test_an_answer_leaves_in_one_system_call(shop: Server) -> None:
    """Head and body are one write, so a killed server leaves a whole answer or none, never half of one."""
    body = msgspec.json.encode(samples.CUSTOMER)
    request = (
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        + body
    )
    host, port = shop.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        ask(connection, request)
        before = writes(shop)
        for _ in range(REQUESTS):
            assert ask(connection, request).startswith(b"HTTP/1.1 200 OK\r\n")
        written = writes(shop) - before
    logged = REQUESTS
    assert written <= logged + REQUESTS * 1.1


def ask(connection: socket.socket, request: bytes) -> bytes:
    """One request on an open connection, and the bytes that came first."""
    connection.sendall(request)
    return connection.recv(65_536)


def writes(server: Server) -> int:
    """The system calls of a process that wrote to a file or a socket."""
    lines = Path(f"/proc/{server.process.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["syscw"])


def test_a_large_answer_arrives_whole(shop: Server) -> None:
    """An answer larger than any buffer on the way is still whole."""
    with shop.client() as client:
        answer = client.post("/predict", json={"rows": [samples.CUSTOMER] * 10_000})
    assert len(answer.json()["predictions"]) == 10_000
