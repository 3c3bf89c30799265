"""How answers travel: whole or not at all."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import msgspec
import pytest

from tests.serving import sample_requests as samples
from tests.serving.server_processes import Server

pytestmark = pytest.mark.real

REQUESTS = 200


def test_an_answer_leaves_in_one_system_call(shop: Server) -> None:
    """Head and body are one write, so a killed server leaves a whole answer or none, never half of one."""
    with connection(shop) as open_connection:
        ask(open_connection, request())
        before = writes(shop)
        for _ in range(REQUESTS):
            assert ask(open_connection, request()).startswith(b"HTTP/1.1 200 OK\r\n")
        written = writes(shop) - before
    logged = REQUESTS
    assert written <= logged + REQUESTS * 1.1


def ask(open_connection: socket.socket, sent: bytes) -> bytes:
    """One request on an open connection, and the bytes that came first."""
    open_connection.sendall(sent)
    return open_connection.recv(65_536)


def writes(server: Server) -> int:
    """The system calls of a process that wrote to a file or a socket."""
    lines = Path(f"/proc/{server.process.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["syscw"])


def test_a_large_answer_arrives_whole(shop: Server) -> None:
    """An answer larger than any buffer on the way is still whole."""
    with shop.client() as client:
        answer = client.post("/predict", json={"rows": [samples.CUSTOMER] * 10_000})
    assert len(answer.json()["predictions"]) == 10_000


def test_answers_without_a_body_leave_at_once(shop: Server) -> None:
    """HEAD and Expect: 100-continue, where no body follows the head, are not kept waiting for one."""
    with connection(shop) as open_connection:
        assert ask(open_connection, b"HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n").endswith(b"\r\n\r\n")
        expecting = request(b"expect: 100-continue\r\n")
        head, _, body = expecting.partition(b"\r\n\r\n")
        assert ask(open_connection, head + b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert ask(open_connection, body).startswith(b"HTTP/1.1 200 OK\r\n")


def test_requests_sent_together_are_answered_in_their_order(shop: Server) -> None:
    """Pipelined requests get whole answers, one after the other."""
    with connection(shop) as open_connection:
        open_connection.sendall(request(b"x-request-id: first\r\n") + request(b"x-request-id: second\r\n"))
        said = b""
        while said.count(b'"prediction_id"') < 2:
            said += open_connection.recv(65_536)
    assert said.index(b"v1.first.0") < said.index(b"v1.second.0")


@pytest.mark.parametrize("size", [1024, 66_000])
def test_a_head_too_long_is_refused(shop: Server, size: int) -> None:
    """A request whose headers have more than 64 KiB, many or one, is answered with 431 in the form of all errors, and hung up."""
    many = b"".join(b"x-%d: %s\r\n" % (place, b"a" * size) for place in range(66_000 // size))
    with connection(shop) as open_connection:
        said = ask(open_connection, request(many))
        while piece := open_connection.recv(65_536):
            said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert msgspec.json.decode(body)["at"] == "headers"


def test_an_endless_head_is_not_collected(shop: Server) -> None:
    """A head that never ends is given up at the limit; others are answered meanwhile."""
    sent = 0
    with connection(shop) as open_connection, contextlib.suppress(ConnectionError):
        open_connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-endless: ")
        while sent < 64 << 20:
            open_connection.sendall(b"a" * 65_536)
            sent += 65_536
    assert sent < 32 << 20  # what the machine's own buffers take
    with shop.client() as client:
        assert client.get("/livez").status_code == 200


def test_long_bodies_are_no_heads(shop: Server) -> None:
    """A head that is almost too long, one in small pieces, and one that shares a piece with a body of the limit, are all taken."""
    large = request(rows=2000)
    with connection(shop) as open_connection:
        assert ask(open_connection, request(b"x-long: %s\r\n" % (b"a" * 60_000))).startswith(b"HTTP/1.1 200 OK\r\n")
        for byte in request()[:-1]:
            open_connection.sendall(bytes([byte]))
        assert ask(open_connection, request()[-1:]).startswith(b"HTTP/1.1 200 OK\r\n")
        said = b""
        open_connection.sendall(large + large[:30])
        open_connection.sendall(large[30:] + request(b"connection: close\r\n"))
        while piece := open_connection.recv(65_536):
            said += piece
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert b" 431 " not in said


def connection(server: Server) -> socket.socket:
    """An open connection."""
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def request(headers: bytes = b"", rows: int = 1) -> bytes:
    """A prediction's bytes."""
    body = msgspec.json.encode({"rows": [samples.CUSTOMER] * rows})
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(body)
    return head + headers + b"\r\n" + body
