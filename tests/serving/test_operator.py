"""What operators may ask a server on its third port, and what nobody gets there."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from canario.model.card import Card
from canario.model.feedback import Prediction
from canario.serving import operator as operator_room
from tests.serving import sample_requests as samples
from tests.serving import server_processes
from tests.serving.server_processes import Server
from tests.serving.small_versions import SHOP

pytestmark = pytest.mark.real

ANSWERED = re.compile(r"operators are answered on (http://\S+)")


@pytest.fixture(scope="module")
def server(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("operator")
    with server_processes.running(shop_folder, home, "--operator-port", "0") as running:
        yield running


@pytest.fixture
def operator(server: Server) -> Iterator[httpx.Client]:
    found = ANSWERED.search(server.log.read_text())
    assert found
    with httpx.Client(base_url=found[1], timeout=60) as client:
        yield client


def predict(server: Server, rows: int) -> None:
    with server.client() as client:
        assert client.post("/predict", json={"rows": [samples.customer()] * rows}).status_code == 200


def only_log(operator: httpx.Client) -> tuple[str, int]:
    (file,) = operator.get("/log").json()["files"]
    return file["name"], file["size"]


def test_a_reader_gets_every_prediction_by_going_on_from_where_it_was(server: Server, operator: httpx.Client) -> None:
    """The log is listed with its size, and its bytes from an offset on are what the server has written since."""
    predict(server, 3)
    name, size = only_log(operator)
    first = operator.get(f"/log/{name}")
    assert len(first.content) == size
    predict(server, 2)
    later = operator.get(f"/log/{name}", params={"offset": size})
    found = [msgspec.json.decode(line, type=Prediction) for line in (first.content + later.content).splitlines()]
    assert len(found) == 5
    assert operator.get(f"/log/{name}", params={"offset": size + len(later.content)}).content == b""
    assert operator.get(f"/log/{name}", params={"offset": 1 << 40}).content == b""


def test_one_answer_carries_only_so_much(tmp_path: Path) -> None:
    """A long log comes in pieces, each within the bound."""
    file = tmp_path / "log"
    file.write_bytes(bytes(operator_room.LONGEST_READ_BYTES + 10))
    assert len(operator_room.read_from(file, 0)) == operator_room.LONGEST_READ_BYTES
    assert len(operator_room.read_from(file, operator_room.LONGEST_READ_BYTES)) == 10


@pytest.mark.parametrize(
    "path",
    [
        "/log/../../feedback/shop.sqlite",
        "/log/%2e%2e%2f%2e%2e%2ffeedback%2fshop.sqlite",
        "/log//etc/passwd",
        "/log/",
        "/",
    ],
)
def test_nothing_but_this_models_logs_can_be_read(server: Server, operator: httpx.Client, path: str) -> None:
    """No path leads out of the log's folder."""
    predict(server, 1)
    response = operator.get(path)
    assert response.status_code == 404
    assert response.json()["hint"]


@pytest.mark.parametrize("offset", ["-1", "x", "1.5", "9" * 30, "²"])
def test_an_offset_is_a_number_of_bytes(server: Server, operator: httpx.Client, offset: str) -> None:
    """Any other offset is refused, with its place in the request."""
    predict(server, 1)
    name, _ = only_log(operator)
    response = operator.get(f"/log/{name}", params={"offset": offset})
    assert response.status_code == 400
    assert response.json()["at"] == "query.offset"


def test_the_card_is_what_the_version_was_made_with(operator: httpx.Client) -> None:
    """A program learns the columns, the label and the objectives without the version's files."""
    assert msgspec.json.decode(operator.get("/card").content, type=Card) == SHOP


def test_operators_count_what_the_public_port_counts(server: Server, operator: httpx.Client) -> None:
    """Metrics are the same on both ports, and asking for them here is no request of a client."""
    predict(server, 1)
    public = server.client().get("/metrics").text
    own = operator.get("/metrics").text
    line = re.compile(
        r'^canario_requests_total\{method="predict",model="shop",outcome="answered",protocol="rest".*?\} (\S+)$',
        re.MULTILINE,
    )
    assert line.findall(public) == line.findall(own) != []
    assert operator.get("/livez").json() == {"live": True}


def test_operators_only_read(operator: httpx.Client) -> None:
    """Nothing can be changed here."""
    response = operator.post("/log", content=b"x")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


def test_clients_never_see_it(server: Server) -> None:
    """The port that the router leads to has neither log nor card."""
    with server.client() as client:
        assert client.get("/log").status_code == client.get("/card").status_code == 404


def test_a_taken_port_is_named_and_nothing_is_served(rent_folder: Path, tmp_path: Path) -> None:
    """Without its operator port a server does not begin, and says which option chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("--http-port", "0", "--grpc-port", "0", "--operator-port", port)
        assert server_processes.start(rent_folder, tmp_path, *options).wait(90) == 1
    said = (tmp_path / "log").read_text()
    assert port in said
    assert "--operator-port" in said
    assert "answers REST" not in said
