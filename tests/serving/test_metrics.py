"""What Prometheus reads from real servers: the same numbers for REST and gRPC, users' requests only, and no more series than at the start."""

from __future__ import annotations

import contextlib
import random
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import msgspec
import pytest

from canario.drift import bins
from canario.kernel.columns import columns_from_frame
from canario.model.reference import Reference
from tests.serving import sample_requests as samples
from tests.serving import server_processes
from tests.serving.metric_text import Series, of, promtool_says, scraped, values
from tests.serving.server_processes import Server
from tests.serving.small_versions import SHOP, shop_rows

pytestmark = pytest.mark.real

OPERATORS = re.compile(r"operators are answered on (http://\S+)")
CLOSED = {
    "protocol": {"rest", "grpc"},
    "outcome": {"answered", "refused", "overloaded", "failed"},
    "method": {"predict", "infer", "feedback", "metadata", "ready", "live", "metrics", "unknown", "form", "docs"},
}


@pytest.fixture(scope="module")
def server(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(shop_folder, tmp_path_factory.mktemp("metrics")) as running:
        yield running


@contextlib.contextmanager
def started(folder: Path, home: Path) -> Iterator[Server]:
    with server_processes.running(folder, home, "--operator-port", "0") as running:
        yield running


def metrics_url(server: Server) -> str:
    found = OPERATORS.search(server.log.read_text())
    assert found
    return f"{found[1]}/metrics"


def told(server: Server) -> Series:
    return scraped(metrics_url(server))


def rows_of(count: int, seed: int) -> list[dict[str, Any]]:
    """Customers as JSON has them."""
    frame = shop_rows(count, seed)
    columns = columns_from_frame(SHOP, frame)
    rows = []
    for place in range(count):
        row = {
            name: values[place].item() if hasattr(values[place], "item") else values[place]
            for name, values in columns.items()
        }
        for name in ("distance", "visits"):
            row[name] = None if row[name] != row[name] else row[name]
        row["referrer"] = row["referrer"] or None
        rows.append(row)
    return rows


def tensors(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": name, "datatype": datatype, "shape": [len(rows)], "data": [row[name] for row in rows]}
            for name, datatype in samples.DATATYPES.items()
        ]
    }


def send(server: Server, way: str, rows: list[dict[str, Any]], **headers: str) -> None:
    """The same rows, one of four ways."""
    if way == "gRPC":
        message = samples.message("shop", tensors(rows)).SerializeToString()
        samples.call(server.grpc, "ModelInfer", message, tuple(headers.items()))
        return
    with server.client() as client:
        if way == "predict":
            answer = client.post("/predict", json={"rows": rows}, headers=headers)
        elif way == "JSON tensors":
            answer = client.post("/v2/models/shop/infer", json=tensors(rows), headers=headers)
        else:
            body, more = samples.binary(tensors(rows))
            answer = client.post("/v2/models/shop/infer", content=body, headers={**headers, **more})
        assert answer.status_code == 200, answer.text


def increases(before: Series, after: Series) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}


@pytest.mark.parametrize("count", [1, 7, 150])
def test_all_ways_in_are_counted_alike(server: Server, shop_folder: Path, count: int) -> None:
    """The same rows over REST and gRPC, one or many, move the same bins by the same numbers: those that numpy finds."""
    rows = rows_of(count, seed=count)
    reference = msgspec.json.decode((shop_folder / "reference.json").read_bytes(), type=Reference)
    columns = columns_from_frame(SHOP, shop_rows(count, seed=count))
    moved = []
    for way in ("predict", "JSON tensors", "binary tensors", "gRPC"):
        before = told(server)
        send(server, way, rows)
        after = told(server)
        moved.append(
            {
                key: by
                for key, by in increases(before, after).items()
                if key[0].startswith(("canario_column", "canario_score"))
            }
        )
        for column in SHOP.columns:
            spread = reference.columns[column.name]
            found = bins.count(column.kind, spread, columns[column.name]).tolist()
            for name, number in zip(bins.column_bins(spread), found, strict=True):
                key = {"column": column.name, "bin": name}
                name_of = "canario_column_rows_total"
                assert of(after, name_of, **key) - of(before, name_of, **key) == number, (way, key)
        protocol = "grpc" if way == "gRPC" else "rest"
        method = "predict" if way == "predict" else "infer"
        labels = {"model": "shop", "version": "v1", "protocol": protocol}
        answered = {**labels, "method": method, "outcome": "answered"}
        assert of(after, "canario_requests_total", **answered) - of(before, "canario_requests_total", **answered) == 1
        assert (
            of(after, "canario_request_rows_sum", **labels) - of(before, "canario_request_rows_sum", **labels) == count
        )
    assert moved[0] == moved[1] == moved[2] == moved[3] != {}


def test_warming_up_is_nobodys_request(shop_folder: Path, tmp_path: Path) -> None:
    """A server that has just become ready has counted nothing, though it has walked every way in."""
    with started(shop_folder, tmp_path) as server:
        found = told(server)
    for name in (
        "canario_requests_total",
        "canario_rows_total",
        "canario_column_rows_total",
        "canario_shadow_rows_total",
    ):
        assert of(found, name) == 0
    assert of(found, "canario_request_duration_seconds_count") == 0
    assert of(found, "canario_version_info", model="shop", version="v1", kernel="onnx") == 1


@pytest.mark.parametrize("way", ["predict", "gRPC"])
def test_copies_are_counted_apart(server: Server, way: str) -> None:
    """A copied request, whose answer nobody sees, is no request of a user: only its rows are counted, under a name of their own."""
    before = told(server)
    send(server, way, rows_of(3, 1), **{"x-canario-shadow": "rollout-1"})
    after = told(server)
    ((name, _), by) = increases(before, after).popitem()
    assert (name, by, len(increases(before, after))) == ("canario_shadow_rows_total", 3, 1)


def test_who_gave_up_was_not_answered(moody_folder: Path, tmp_path: Path) -> None:
    """A gRPC request whose client did not wait for its answer is counted as nothing, as over REST; the ones answered are."""
    values = {"seconds": [0.5], "mood": ["fine"]}
    inputs = [
        {"name": name, "datatype": datatype, "shape": [1], "data": values[name]}
        for name, datatype in (("seconds", "FP64"), ("mood", "BYTES"))
    ]
    message = samples.message("moody", {"inputs": inputs})
    with started(moody_folder, tmp_path) as server:
        with grpc.insecure_channel(server.grpc) as channel:
            infer = channel.unary_unary(f"{samples.SERVICE}/ModelInfer", type(message).SerializeToString, bytes)
            for _ in range(3):
                with pytest.raises(grpc.RpcError) as given_up:
                    infer(message, timeout=0.2)
                assert given_up.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        samples.infer(server.grpc, message)
        found = told(server)
    assert of(found, "canario_requests_total", protocol="grpc") == 1
    assert of(found, "canario_request_duration_seconds_count", protocol="grpc") == 1


def spoilt(column: str, value: Any) -> list[dict[str, Any]]:
    return [samples.customer(), samples.customer(**{column: value})]


@pytest.mark.parametrize(
    ("column", "value"),
    [("amount", 5000.0), ("amount", None), ("country", "XX"), ("note", "x" * 21), ("distance", -1.0), ("age", -3)],
)
def test_refused_cells_are_counted_by_column(server: Server, column: str, value: Any) -> None:
    """A cell that does not fit the card is counted under its column, whichever way it came and wherever its tensor stood."""
    rows = spoilt(column, value)
    request = tensors(rows)
    request["inputs"].reverse()
    before = told(server)
    with server.client() as client:
        assert client.post("/predict", json={"rows": rows}).status_code == 400
        assert client.post("/v2/models/shop/infer", json=request).status_code == 400
        ways = 2
        if value is not None:
            body, headers = samples.binary(request)
            assert client.post("/v2/models/shop/infer", content=body, headers=headers).status_code == 400
            with pytest.raises(grpc.RpcError):
                samples.infer(server.grpc, samples.message("shop", request))
            ways = 4
    after = told(server)
    name = "canario_column_refused_total"
    assert of(after, name, column=column) - of(before, name, column=column) == ways
    assert of(after, name) - of(before, name) == ways


@pytest.mark.parametrize("value", ["many", [1], True])
def test_a_wrong_type_counts_as_refused(server: Server, value: Any) -> None:
    """A word where a number belongs, or a tensor of another datatype, is counted under the column that it was for."""
    before = told(server)
    with server.client() as client:
        assert client.post("/predict", json={"rows": spoilt("amount", value)}).status_code == 400
        assert client.post("/v2/models/shop/infer", json=tensors(spoilt("amount", value))).status_code == 400
    request = samples.shop_inputs()
    request["inputs"][0] = {"name": "amount", "datatype": "BYTES", "shape": [1], "data": ["many"]}
    with pytest.raises(grpc.RpcError):
        samples.infer(server.grpc, samples.message("shop", request))
    moved = increases(before, told(server))
    assert {
        dict(labels)["column"]: by for (name, labels), by in moved.items() if name == "canario_column_refused_total"
    } == {"amount": 3}


def test_a_cell_of_a_matrix_belongs_to_its_column(rent: Server) -> None:
    """Where one tensor carries all columns, the place in it says which column was refused."""
    with rent.client() as client:
        before = scraped(f"{rent.url}/metrics")
        flat = samples.rent_inputs()
        flat["inputs"][0]["data"] = [50.0, 2.0, 1.0, 50.0, 99.0, 1.0]
        nested = samples.rent_inputs()
        nested["inputs"][0]["data"] = [[50.0, 2.0, 1.0], [50.0, "two", 1.0]]
        for request in (flat, nested):
            assert client.post("/v2/models/rent/infer", json=request).status_code == 400
        after = scraped(f"{rent.url}/metrics")
    name = "canario_column_refused_total"
    assert of(after, name, column="rooms") - of(before, name, column="rooms") == 2
    assert of(after, name) - of(before, name) == 2


def test_truths_are_counted_by_what_they_were(server: Server) -> None:
    """A new truth, the same again, another one, and one that does not fit: each under its own word."""
    with server.client() as client:
        prediction = client.post("/predict", json=samples.customer()).json()["predictions"][0]["prediction_id"]
        before = told(server)
        for truth in ("yes", "yes", "no", "perhaps"):
            client.post("/feedback", json={"prediction_id": prediction, "truth": truth})
        moved = increases(before, told(server))
    results = {
        dict(labels)["result"]: by for (name, labels), by in moved.items() if name == "canario_feedback_received_total"
    }
    assert results == {"new": 1, "repeated": 1, "changed": 1, "refused": 1}


def test_answers_that_could_not_be_logged_are_counted(shop_folder: Path, tmp_path: Path) -> None:
    """When the log takes nothing, clients are answered and counted as ever, and the rows that quality will miss are told."""
    (tmp_path / "predictions").mkdir(parents=True)
    (tmp_path / "predictions" / "shop").write_text("no folder")
    with started(shop_folder, tmp_path) as server:
        send(server, "predict", rows_of(4, 1))
        found = told(server)
    assert of(found, "canario_unlogged_predictions_total", model="shop", version="v1") == 4
    assert of(found, "canario_rows_total") == 4


def test_workers_add_up(shop_folder: Path, tmp_path: Path) -> None:
    """Several processes of a version each tell their own part, over both protocols, and the parts add up to the whole."""
    with started(shop_folder, tmp_path / "a") as one, started(shop_folder, tmp_path / "b") as other:
        for place, way in enumerate(["predict", "gRPC", "binary tensors", "JSON tensors"] * 3):
            send(one if place % 3 else other, way, rows_of(5, place))
        found = [told(one), told(other)]
    assert all(of(each, "canario_rows_total") > 0 for each in found)
    assert sum(of(each, "canario_rows_total") for each in found) == 60
    for column in SHOP.columns:
        assert sum(of(each, "canario_column_rows_total", column=column.name) for each in found) == 60
    assert found[0].keys() == found[1].keys()


def junk(chance: random.Random) -> str:
    return "".join(chance.choice(string.printable) for _ in range(chance.randint(1, 30)))


def test_strangers_cannot_make_series(server: Server) -> None:
    """Paths, methods, columns, words, ids and headers of any kind move counters, and only those of closed lists: memory stays."""
    chance = random.Random(5)
    before = told(server)
    with server.client() as client:
        for _ in range(300):
            path = "/" + re.sub(r"[^\w/.-]", "", junk(chance))
            verb = chance.choice(
                ["GET", "POST", "PUT", "DELETE", "X" + "".join(chance.choices(string.ascii_uppercase, k=5))]
            )
            headers = {"x-request-id": re.sub(r"\W", "", junk(chance)), "x-" + str(chance.randint(0, 999)): "1"}
            client.request(verb, path, headers=headers)
            client.post("/predict", json={"rows": [samples.customer(**{junk(chance): junk(chance)})]})
            client.post(
                "/predict", json={"rows": [samples.customer(**{chance.choice(list(samples.CUSTOMER)): junk(chance)})]}
            )
            client.post(
                "/v2/models/shop/infer",
                json={"inputs": [{"name": junk(chance), "datatype": junk(chance), "shape": [1]}]},
            )
            client.post("/feedback", json={"prediction_id": f"v1.{chance.randint(0, 9**9)}.0", "truth": junk(chance)})
    with grpc.insecure_channel(server.grpc) as channel:
        for _ in range(100):
            method = re.sub(r"\W", "", junk(chance)) or "x"
            with contextlib.suppress(grpc.RpcError):
                channel.unary_unary(
                    f"{samples.SERVICE}/{chance.choice([method, 'ModelInfer', 'ModelReady'])}", bytes, bytes
                )(bytes(junk(chance), "latin-1"), timeout=20)
    after = told(server)
    for name, labels in after.keys() - before.keys():
        assert name.startswith(("canario_requests", "canario_request_duration")), name
        for label, allowed in CLOSED.items():
            assert dict(labels).get(label, next(iter(allowed))) in allowed, labels
    assert len(after) < len(before) + 200
    text = httpx.get(metrics_url(server), trust_env=False).text
    assert promtool_says(text) == ""
    assert len(list(values(after, "canario_column_refused_total", {}))) == len(SHOP.columns)
