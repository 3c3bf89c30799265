"""The same 10,000 rows by REST, gRPC, one-off, batch and stream, on both models of the repository: the same label and the same bits of the score."""

from __future__ import annotations

import datetime as dt
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray
from pyarrow import csv

import canario
from canario.adapters.versions import StoredVersion
from canario.kernel.columns import columns_from_frame
from canario.kernel.rows import json_cells
from canario.model.card import Card, ColumnKind
from canario.model.stream import ContentType, Message
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import free_port
from tests.batch.scored import read_table
from tests.cli.program import Canario, in_process
from tests.stream.conftest import rabbitmq  # noqa: F401 - a fixture
from tests.stream.living_worker import Queues, WorkerProcess, by_id
from tests.stream.rabbitmq_server import RabbitMqServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

ROWS = 10_000
AT_ONCE = 2_500
"""Rows in one request, and in one message of Arrow."""
FIRST_DAY, LAST_DAY = dt.date(2026, 1, 1), dt.date(2026, 1, 7)
DAYS = {"fraud": 35, "loan": 105}
"""So many days have more rows than are asked."""
DATATYPES = {ColumnKind.NUMBER: "FP64", ColumnKind.INTEGER: "INT64", ColumnKind.BOOLEAN: "BOOL"}
STREAM_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Answers:
    """All labels, and the bits of all scores, in the order of the rows."""

    labels: list[Any]
    bits: NDArray[np.uint64]

    @staticmethod
    def of(labels: Sequence[Any], scores: Sequence[Any]) -> Answers:
        return Answers(list(labels), np.asarray(scores, dtype=np.float64).view(np.uint64))


@dataclass(frozen=True, slots=True)
class World:
    """A model that is up behind its router, the program, and rows to ask it."""

    program: Canario
    version: StoredVersion
    card: Card
    url: str
    rows: pd.DataFrame
    cells: list[dict[str, Any]]
    """The rows as JSON has them."""

    @property
    def model(self) -> str:
        return self.card.name


@pytest.fixture(scope="module", params=["fraud", "loan"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Each room's model, trained on a few days and brought up on this machine."""
    program = Canario(tmp_path_factory.mktemp(request.param))
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch, program.environment)
        room = load_room(request.param)
        version = train(room, TrainingRequest(first_day=FIRST_DAY, last_day=LAST_DAY, tag="v1"))
        card = version.card()
        made = room.generate(LAST_DAY, LAST_DAY + dt.timedelta(days=DAYS[request.param]), 7)
        rows = made[list(card.column_names)].iloc[:ROWS].reset_index(drop=True)
        assert len(rows) == ROWS
        columns = columns_from_frame(card, rows)
        cells = zip(*(json_cells(column, columns[column.name]) for column in card.columns), strict=True)
        platform, port = LocalPlatform(request.param), free_port()
        platform.up(version, port=port, processes=1)
        try:
            url = f"http://127.0.0.1:{port}"
            yield World(program, version, card, url, rows, [dict(zip(columns, row, strict=True)) for row in cells])
        finally:
            platform.down()


@pytest.fixture(scope="module")
def rest(world: World) -> Answers:
    """What `POST /predict` through the router answers: what the other ways are held against."""
    labels: list[Any] = []
    scores: list[float] = []
    with httpx.Client(timeout=60, trust_env=False) as client:
        for start in range(0, ROWS, AT_ONCE):
            body = msgspec.json.encode({"rows": world.cells[start : start + AT_ONCE]})
            answer = client.post(f"{world.url}/predict", content=body, headers={"content-type": "application/json"})
            predictions = answer.raise_for_status().json()["predictions"]
            labels += [each["label"] for each in predictions]
            scores += [each["score"] for each in predictions]
    return Answers.of(labels, scores)


def same(found: Answers, expected: Answers) -> None:
    """Every one of the rows, to the last bit."""
    assert len(found.bits) == len(expected.bits) == ROWS
    assert int((found.bits != expected.bits).sum()) == 0
    assert found.labels == expected.labels
    assert len(np.unique(found.bits)) > ROWS // 20  # it is no answer that never changes


def test_by_grpc(world: World, rest: Answers) -> None:
    """The Triton client over gRPC, through the same port of the router."""
    labels: list[Any] = []
    scores: list[float] = []
    columns = columns_from_frame(world.card, world.rows)
    with triton.InferenceServerClient(world.url.removeprefix("http://")) as client:
        for start in range(0, ROWS, AT_ONCE):
            part = {name: values[start : start + AT_ONCE] for name, values in columns.items()}
            answer: Any = client.infer(world.model, tensors(world.card, part))
            labels += [each.decode() if isinstance(each, bytes) else each for each in answer.as_numpy("label").tolist()]
            scores += answer.as_numpy("score").tolist()
    same(Answers.of(labels, scores), rest)


def test_by_one_off(world: World, rest: Answers) -> None:
    """`canario predict` on lines of JSON, and a frame in a notebook, without any server."""
    path = world.program.folder / "rows.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(row) for row in world.cells))
    predicted = world.program("predict", f"{world.model}:v1", str(path), "--output", "json")
    assert predicted.exit_code == 0, predicted.stderr
    answer = predicted.json()
    assert answer["digest"] == world.version.record.digest
    predictions = answer["predictions"]
    same(Answers.of([each["label"] for each in predictions], [each["score"] for each in predictions]), rest)
    frame = canario.load(f"{world.model}:v1").predict(world.rows)
    same(Answers.of(frame["label"].tolist(), frame["score"].tolist()), rest)


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_by_batch(world: World, rest: Answers, kind: str) -> None:
    """`canario score`, from and into files of each kind, in several parts."""
    table = pa.Table.from_pandas(world.rows, preserve_index=False)
    source, output = world.program.folder / f"rows.{kind}", world.program.folder / f"scores-{kind}"
    write(table, source)
    scored = world.program(
        "score", f"{world.model}:v1", str(source), str(output), "--rows-a-part", "3000", "--output", "json"
    )
    assert scored.exit_code == 0, scored.stderr
    manifest = scored.json()
    assert (manifest["answered"], manifest["rejected"]) == (ROWS, 0)
    assert manifest["digest"] == world.version.record.digest
    parts = sorted(output.glob(f"part-*.{kind}"))
    assert len(parts) == 4
    answers = pa.concat_tables(read(part) for part in parts)
    assert answers["row"].to_pylist() == list(range(ROWS))
    same(Answers.of(answers["label"].to_pylist(), answers["score"].to_pylist()), rest)


@pytest.mark.parametrize("broker", ["sqlite", "rabbitmq"])
def test_by_stream(world: World, rest: Answers, broker: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Each row a message of its own, answered by a worker; on the queues of one machine and on a real RabbitMQ."""
    messages = [
        Message(id=f"row-{place}", body=msgspec.json.encode(row), sent_at_seconds=time.time())
        for place, row in enumerate(world.cells)
    ]
    answers = streamed(world, broker, request, tmp_path, messages)
    found = [json.loads(answers[message.id].body)["predictions"][0] for message in messages]
    same(Answers.of([each["label"] for each in found], [each["score"] for each in found]), rest)


def test_by_stream_of_arrow(world: World, rest: Answers, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Many rows a message, as Arrow, and the answers as Arrow."""
    table = pa.Table.from_pandas(world.rows, preserve_index=False)
    messages = [
        Message(id=f"rows-{start}", body=arrow(table.slice(start, AT_ONCE)), content_type=ContentType.ARROW)
        for start in range(0, ROWS, AT_ONCE)
    ]
    answers = streamed(world, "sqlite", request, tmp_path, messages)
    found = pa.concat_tables(pa.ipc.open_stream(answers[message.id].body).read_all() for message in messages)
    same(Answers.of(found["label"].to_pylist(), found["score"].to_pylist()), rest)


def streamed(
    world: World, broker: str, request: pytest.FixtureRequest, folder: Path, messages: list[Message]
) -> dict[str, Message]:
    """The answers by the ids of the messages, each there once."""
    if broker == "rabbitmq":
        server: RabbitMqServer = request.getfixturevalue("rabbitmq")
        queues = Queues(server.url)
    else:
        queues = Queues(f"sqlite:{folder / 'queues.sqlite'}")
    worker = WorkerProcess(queues.model, world.url, queues.url, folder)
    try:
        queues.send(messages)
        taken = queues.taken(len(messages), seconds=STREAM_SECONDS)
        assert not queues.waiting()["dead"]
    finally:
        worker.end()
    assert len(taken) == len(messages) == len(by_id(taken)), worker.log.read_text()[-2000:]
    return by_id(taken)


def tensors(card: Card, columns: dict[str, NDArray[Any]]) -> list[Any]:
    """Rows as the Triton client wants them: one tensor for all-numeric models, one input a column otherwise."""
    named: dict[str, tuple[NDArray[Any], str]] = {
        column.name: (
            columns[column.name],
            "FP64" if columns[column.name].dtype == np.float64 else DATATYPES.get(column.kind, "BYTES"),
        )
        for column in card.columns
    }
    if card.is_numeric:
        matrix = np.column_stack([values.astype(np.float64) for values, _ in named.values()])
        named = {"input": (matrix, "FP64")}
    asked = []
    for name, (values, datatype) in named.items():
        asked.append(triton.InferInput(name, list(values.shape), datatype))
        asked[-1].set_data_from_numpy(values)
    return asked


def write(table: pa.Table, path: Path) -> None:
    """A table as the file that its name says."""
    match path.suffix:
        case ".csv":
            csv.write_csv(table, path)
        case ".parquet":
            pq.write_table(table, path, row_group_size=1700)
        case _:
            pa.feather.write_feather(table, str(path), compression="uncompressed", chunksize=1700)


def read(path: Path) -> pa.Table:
    """One part, as a reader of such files sees it."""
    table = read_table(path)
    return table.select(["row", "label", "score"]).cast(
        pa.schema([("row", pa.int64()), ("label", table.schema.field("label").type), ("score", pa.float64())])
    )


def arrow(table: pa.Table) -> bytes:
    """An Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
