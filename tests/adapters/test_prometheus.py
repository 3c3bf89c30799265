"""One query gives one number, or a reason in words why there is none; against a real Prometheus, and against what is none."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from canario.adapters.prometheus import Prometheus
from tests.adapters.real_prometheus import LOOPBACK, RealPrometheus

pytestmark = pytest.mark.real
TEXT = """
psi{version="v1"} 0.01
psi{version="v2"} 0.31
requests 0
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPrometheus]:
    """A Prometheus that has read TEXT."""
    real = RealPrometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        real.tells(TEXT)
        yield real
    finally:
        real.close()


@pytest.fixture
def client(told: RealPrometheus) -> Iterator[Prometheus]:
    asked = Prometheus(told.url)
    yield asked
    asked.close()


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ('psi{version="v2"}', 0.31),
        ("max(psi)", 0.31),
        ("scalar(max(psi)) + 1", 1.31),
        ("42", 42.0),
        ('psi{version="v2"} # the candidate', 0.31),
        ("sum(rate(requests[10s])) or vector(0)", 0.0),
        (" or ".join(["max(psi)"] * 900), 0.31),
    ],
)
def test_one_number(client: Prometheus, query: str, value: float) -> None:
    """A series, an aggregate, a scalar, a comment behind it, a query longer than an address may be."""
    measured = client.ask(query)
    assert measured.why == ""
    assert measured.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("psi", "it gives 2 numbers (by version), and a gate needs one: select one"),
        ('psi{version="v9"}', "there is no such series now"),
        ("sum(requests) / sum(requests)", "its value is NaN"),
        ("1 / sum(requests)", "its value is +Inf: something is divided by 0"),
        ("psi[1m]", "it answers with a matrix, and a gate needs one number"),
        ('"words"', "it answers with a string"),
        ("sum(", "Prometheus refuses it: "),
        ("", "Prometheus refuses it: "),
    ],
)
def test_no_number_has_a_reason(client: Prometheus, query: str, words: str) -> None:
    """Several series, none, a division by nothing, a range, nonsense: no number, and words that say what to do."""
    measured = client.ask(query)
    assert measured.value is None
    assert measured.why.startswith(words)


def test_an_old_sample_is_none(told: RealPrometheus) -> None:
    """A sample that says itself that it is old counts for as long as was agreed, and not for Prometheus' own five minutes."""
    taken = round((time.time() - 100) * 1000)
    told.tells(f"{TEXT}\npushed 0.5 {taken}")
    recent, patient = Prometheus(told.url), Prometheus(told.url, oldest_seconds=250.0)
    measured = recent.ask("pushed")
    assert measured.value is None
    assert measured.why.endswith("s old, and after 60 s it is none")
    assert patient.ask("pushed").value == 0.5
    recent.close()
    patient.close()


def test_a_prometheus_that_comes_and_goes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """While it is away there is no number; when it is back there is, with the same client."""
    real = RealPrometheus(tmp_path_factory.mktemp("prometheus"))
    client = Prometheus(real.url)
    try:
        real.tells("up_and_down 1")
        assert client.ask("up_and_down").value == 1.0
        real.stop()
        assert client.ask("up_and_down").why.startswith(f"{real.url} does not answer: ")
        real.start()
        real.tells("up_and_down 2")
        assert client.ask("up_and_down").value == 2.0
    finally:
        client.close()
        real.close()


def test_a_prometheus_that_hangs() -> None:
    """One that takes the question and says nothing is given up after its time."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        url = f"http://{LOOPBACK}:{silent.getsockname()[1]}"
        client = Prometheus(url, timeout_seconds=0.2)
        assert client.ask("up").why == f"{url} did not answer within 0.2 s"
        client.close()


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (200, b"<html>welcome</html>", "does not answer as Prometheus does"),
        (200, b'{"status":"success"}', "does not answer as Prometheus does"),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[{"value":[0]}]}}', "does not answer as"),
        (404, b"no such page", "does not answer as Prometheus does"),
        (401, b"", "lets nobody in without a password that fits"),
        (200, b"[" + b"1," * 1_000_000, "far more than one number"),
    ],
)
def test_something_else_answers(status: int, content: bytes, words: str) -> None:
    """A web page, half an answer, a door that is shut, an answer without end: no number, never an exception."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except ConnectionError:
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
            """Say nothing."""

    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = Prometheus(f"http://user:secret@{LOOPBACK}:{server.server_address[1]}")
    measured = client.ask("up")
    assert measured.value is None
    assert words in measured.why
    assert "secret" not in measured.why
    client.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://prometheus", "http://", "http://[::1"])
def test_what_is_no_address(url: str) -> None:
    """An address that is none is a reason too."""
    client = Prometheus(url)
    assert "is no address" in client.ask("up").why
    client.close()
