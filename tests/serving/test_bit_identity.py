"""The same row gets the same bits over every protocol, on both models of the repository, through the real Triton client."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from canario.adapters.versions import StoredVersion
from canario.kernel.columns import columns_from_frame
from canario.kernel.kernel import Columns
from canario.kernel.rows import json_cells
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from tests.serving import server_processes
from tests.serving.server_processes import Server

pytestmark = pytest.mark.real

ROWS = 10_000
BATCH = 2_500
FIRST_DAY, LAST_DAY = dt.date(2026, 1, 1), dt.date(2026, 1, 7)
DAYS = {"fraud": 35, "loan": 105}
"""So many days have more rows than are asked."""

Answer = tuple[list[Any], NDArray[np.uint64]]
"""The labels, and the bits of the scores."""


class Served:
    """A trained model on a server, and rows to ask it."""

    def __init__(self, version: StoredVersion, server: Server, columns: Columns) -> None:
        self.name = version.record.name.model
        self.card = version.card()
        self.server = server
        self.columns = columns

    def batch(self, start: int) -> Columns:
        """Some of the rows."""
        return {name: values[start : start + BATCH] for name, values in self.columns.items()}

    def tensors(self, columns: Columns) -> list[tuple[str, str, NDArray[Any]]]:
        """Rows as the model's tensors."""
        if self.card.is_numeric:
            return [("input", "FP64", np.column_stack(list(columns.values())).astype(np.float64))]
        datatypes = {
            np.dtype(np.float64): "FP64",
            np.dtype(np.int64): "INT64",
            np.dtype(np.bool_): "BOOL",
            np.dtype(object): "BYTES",
        }
        return [(name, datatypes[values.dtype], values) for name, values in columns.items()]


@pytest.fixture(scope="module", params=["fraud", "loan"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Each room's model, trained on a few days."""
    home = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(home / "bentoml"))
        patch.setenv("CANARIO_ROOMS", str(Path(__file__).parents[2] / "bentos"))
        room = load_room(request.param)
        version = train(room, TrainingRequest(first_day=FIRST_DAY, last_day=LAST_DAY, tag="v1"))
    rows = room.generate(LAST_DAY, LAST_DAY + dt.timedelta(days=DAYS[request.param]), 7)
    assert len(rows) >= ROWS
    columns = columns_from_frame(version.card(), rows.iloc[:ROWS].reset_index(drop=True))
    with server_processes.running(version.folder, home / "server") as server:
        yield Served(version, server, columns)


def test_every_protocol_gives_the_same_bits(served: Served) -> None:
    """REST rows, REST JSON tensors, REST binary tensors and gRPC agree to the last bit on 10,000 rows."""
    expected = asked(served, by_rows)
    for ask in (by_json, by_binary, by_grpc):
        labels, bits = asked(served, ask)
        assert labels == expected[0], ask.__name__
        assert (bits == expected[1]).all(), ask.__name__
    assert len(expected[0]) == ROWS


def test_a_row_alone_gives_the_same_bits(served: Served) -> None:
    """A row asked alone, inline, agrees with the same row in a large batch."""
    together = by_rows(served, served.batch(0))
    for row in range(40):
        labels, bits = by_grpc(served, {name: values[row : row + 1] for name, values in served.columns.items()})
        assert labels == together[0][row : row + 1]
        assert bits == together[1][row]


def asked(served: Served, ask: Callable[[Served, Columns], Answer]) -> Answer:
    """All rows, batch by batch."""
    parts = [ask(served, served.batch(start)) for start in range(0, ROWS, BATCH)]
    return [label for labels, _ in parts for label in labels], np.concatenate([bits for _, bits in parts])


def by_rows(served: Served, columns: Columns) -> Answer:
    """POST /predict."""
    cells = zip(*(json_cells(column, columns[column.name]) for column in served.card.columns), strict=True)
    body = msgspec.json.encode({"rows": [dict(zip(columns, row, strict=True)) for row in cells]})
    with served.server.client() as client:
        answer = client.post("/predict", content=body, headers={"content-type": "application/json"}).json()
    predictions = answer["predictions"]
    return [row["label"] for row in predictions], np.array([row["score"] for row in predictions]).view(np.uint64)


def by_json(served: Served, columns: Columns) -> Answer:
    """The Open Inference Protocol in JSON; the Triton client cannot write a missing value in it."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": values.shape, "data": values.ravel().tolist()}
        for name, datatype, values in served.tensors(columns)
    ]
    with served.server.client() as client:
        body = msgspec.json.encode({"inputs": inputs})
        answer = client.post(f"/v2/models/{served.name}/infer", content=body).json()
    label, score = (output["data"] for output in answer["outputs"])
    return label, np.array(score).view(np.uint64)


def by_binary(served: Served, columns: Columns) -> Answer:
    """The Triton client's binary tensors over REST."""
    import tritonclient.http as triton

    with triton.InferenceServerClient(served.server.url.removeprefix("http://"), network_timeout=60) as client:
        return read(client.infer(served.name, inputs_for(triton, served, columns)))


def by_grpc(served: Served, columns: Columns) -> Answer:
    """The Triton client over gRPC."""
    import tritonclient.grpc as triton

    with triton.InferenceServerClient(served.server.grpc) as client:
        return read(client.infer(served.name, inputs_for(triton, served, columns)))


def inputs_for(triton: Any, served: Served, columns: Columns) -> list[Any]:
    """The tensors as the Triton client wants them."""
    inputs = []
    for name, datatype, values in served.tensors(columns):
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    return inputs


def read(answer: Any) -> Answer:
    """Labels and score bits of the Triton client's result."""
    labels = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label").tolist()]
    return labels, answer.as_numpy("score").view(np.uint64)
