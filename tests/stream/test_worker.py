"""A worker between a real broker and a real router: every message is answered as REST answers it, or is dead with a reason, once."""

from __future__ import annotations

import io
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from canario.model.deployment import Status
from canario.model.stream import ContentType, Message, Priority
from canario.platforms.local.platform import LocalPlatform
from canario.ports.stream import Broker
from canario.stream.ledger import open_ledger
from canario.stream.worker import MOST_ATTEMPTS
from tests.platforms.conftest import platform, store, up  # noqa: F401 - fixtures
from tests.serving.metric_text import of, promtool_says
from tests.stream.living_worker import Queues, WorkerProcess, by_id, wait_until
from tests.stream.rabbitmq_server import RabbitMqServer

pytestmark = pytest.mark.real

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture(params=["sqlite", "rabbitmq"])
def queues(request: pytest.FixtureRequest, tmp_path: Path) -> Queues:
    """The queues of a model that nobody else has, on each broker."""
    if request.param == "sqlite":
        return Queues(f"sqlite:{tmp_path / 'queues.sqlite'}")
    return Queues(request.getfixturevalue("rabbitmq").url)


@pytest.fixture
def start_worker(up: Status, queues: Queues, tmp_path: Path) -> Iterator[StartWorker]:  # noqa: F811
    """Starts workers for these queues, and ends what a test leaves."""
    started: list[WorkerProcess] = []

    def start(*options: str, router: str = "", **environment: str) -> WorkerProcess:
        folder = tmp_path / "worker"
        folder.mkdir(exist_ok=True)
        started.append(WorkerProcess(queues.model, router or up.url, queues.url, folder, *options, **environment))
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def rows(number: int, seed: int = 1) -> list[dict[str, float]]:
    """People whom every version can answer."""
    chance = random.Random(seed)
    return [
        {"rate": chance.uniform(50, 120), "variation": chance.uniform(5, 150), "age": chance.uniform(20, 90)}
        for _ in range(number)
    ]


def messages(number: int, prefix: str = "m", **more: Any) -> list[Message]:
    return [
        Message(id=f"{prefix}-{place}", body=json.dumps(row).encode(), sent_at_seconds=time.time(), **more)
        for place, row in enumerate(rows(number))
    ]


def rest(up: Status, body: bytes) -> Any:  # noqa: F811
    answer = httpx.post(
        f"{up.url}/predict", content=body, headers={"content-type": "application/json"}, trust_env=False
    )
    return answer.raise_for_status().json()


def answer_of(message: Message) -> list[tuple[str, float]]:
    return [(each["label"], each["score"]) for each in json.loads(message.body)["predictions"]]


def arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def test_messages_are_answered_as_rest_answers_them(up: Status, queues: Queues, start_worker: StartWorker) -> None:  # noqa: F811
    """Each message of every priority gets one answer, with its id and the very numbers of REST, and SIGTERM ends the worker well."""
    sent = {priority: messages(30, priority.value) for priority in Priority}
    worker = start_worker()
    for priority, some in sent.items():
        queues.send(some, priority)
    answers = by_id(queues.taken(90))
    for message in (each for some in sent.values() for each in some):
        expected = rest(up, message.body)["predictions"]
        assert answer_of(answers[message.id]) == [(each["label"], each["score"]) for each in expected]
        assert answers[message.id].headers["canario-version"] == "v1"
    told = worker.metrics()
    for priority in Priority:
        assert of(told, "canario_messages_total", model=queues.model, priority=priority, outcome="answered") == 30
        assert of(told, "canario_message_wait_seconds_count", priority=priority) == 30
    assert promtool_says(httpx.get(f"http://127.0.0.1:{worker.port}/metrics", trust_env=False).text) == ""
    assert worker.end() == 0
    assert not any(queues.waiting().values())


def test_many_rows_go_as_arrow_and_come_back_as_arrow(up: Status, queues: Queues, start_worker: StartWorker) -> None:  # noqa: F811
    """An Arrow message of more rows than a request may have is answered in one, bit by bit as REST answers each row."""
    table = pa.Table.from_pylist(rows(10_050))
    start_worker()
    queues.send([Message(id="many", body=arrow(table), content_type=ContentType.ARROW)])
    (answer,) = queues.taken(1)
    found = pa.ipc.open_stream(answer.body).read_all()
    assert found.column_names == ["label", "score", "prediction_id", "version"]
    assert found.num_rows == 10_050
    assert len(set(found["prediction_id"].to_pylist())) == 10_050
    for first, last in ((0, 200), (9_990, 10_050)):
        body = json.dumps({"rows": table.slice(first, last - first).to_pylist()}).encode()
        expected = rest(up, body)["predictions"]
        assert found["score"].to_pylist()[first:last] == [each["score"] for each in expected]
        assert found["label"].to_pylist()[first:last] == [each["label"] for each in expected]


def test_what_cannot_be_answered_is_dead_with_its_reason_and_blocks_nobody(
    queues: Queues, start_worker: StartWorker
) -> None:
    """No JSON, wrong rows, wrong types, a wrong kind, broken Arrow: each is among the dead, as it was and why, and the others are answered."""
    fine = rows(1)[0]
    wrong = {
        "no-json": (b"hello", ContentType.JSON),
        "missing": (b'{"rate": 70.0}', ContentType.JSON),
        "text": (json.dumps({**fine, "rate": "fast"}).encode(), ContentType.JSON),
        "high": (json.dumps({"rows": [fine, {**fine, "rate": 900}]}).encode(), ContentType.JSON),
        "no-row": (b'{"rows": []}', ContentType.JSON),
        "pickle": (b"\x80\x04K\x01.", "application/x-pickle"),
        "no-arrow": (b"hello", ContentType.ARROW),
        "cut-arrow": (arrow(pa.Table.from_pylist(rows(10)))[:-60], ContentType.ARROW),
        "arrow-high": (arrow(pa.Table.from_pylist([fine] * 3 + [{**fine, "rate": 900.0}])), ContentType.ARROW),
        "arrow-infinite": (arrow(pa.Table.from_pylist([{**fine, "rate": float("inf")}])), ContentType.ARROW),
        "bad-header": (json.dumps(fine).encode(), ContentType.JSON),
    }
    bad = [
        Message(id=name, body=body, content_type=kind, headers={"x-user": "é"} if name == "bad-header" else {})
        for name, (body, kind) in wrong.items()
    ]
    good = messages(40)
    queues.send([*bad, *good[:20], *bad[:2], *good[20:]])
    start_worker("--concurrency", "2")
    assert by_id(queues.taken(40)).keys() == {message.id for message in good}
    dead = queues.dead(len(bad) + 2)
    assert {name: message.body for name, message in dead.items()} == {name: body for name, (body, _) in wrong.items()}
    assert all(message.headers["canario-queue"] == queues.name("normal") for message in dead.values())
    said = {name: (message.headers["canario-reason"], message.headers["canario-at"]) for name, message in dead.items()}
    assert "not a JSON object" in said["no-json"][0]
    assert said["missing"] == ("variation is missing", "variation")
    assert said["text"][1] == "rate"
    assert said["high"] == ("rate is 900, which is not allowed", "rows[1].rate")
    assert dead["high"].headers["canario-hint"] == "rate: a number from 20 to 250 beats/min"
    assert said["no-row"] == ("there is no row", "rows")
    assert "x-pickle" in said["pickle"][0]
    assert "not an Arrow stream" in said["no-arrow"][0]
    assert "not an Arrow stream" in said["cut-arrow"][0]
    assert said["arrow-high"] == ("rate is 900, which is not allowed", "rows[3].rate")
    assert said["arrow-infinite"] == ("rate is infinite", "rows[0].rate")
    assert said["bad-header"][1] == "headers.'x-user'"


def test_a_message_sent_again_is_answered_once(queues: Queues, start_worker: StartWorker) -> None:
    """The same id twice is the same message, at once, later, and after the worker was started again."""
    worker = start_worker()
    some = messages(20)
    queues.send([*some, *some])
    assert len(by_id(queues.taken(20))) == 20
    wait_until(lambda: not any(queues.waiting().values()), "both of each to be dealt with")
    assert worker.end() == 0
    worker.start()
    queues.send([*some, *messages(1, "last")])
    assert [message.id for message in queues.taken(1)] == ["last-0"]
    wait_until(lambda: not any(queues.waiting().values()), "the repeated ones to be dealt with")
    assert of(worker.metrics(), "canario_messages_total", priority="normal", outcome="repeated") == 20


def test_answers_go_where_a_message_says(queues: Queues, start_worker: StartWorker) -> None:
    """reply_to names another queue, the correlation id comes back, and a queue that is not there is a reason to be dead."""
    other = queues.name("mine")
    queues.run(lambda broker: broker.declare([other]))
    here, nowhere = messages(2, headers={"correlation-id": "abc"})
    start_worker()
    queues.send(
        [
            Message(id=here.id, body=here.body, headers=here.headers, reply_to=other),
            Message(id=nowhere.id, body=nowhere.body, reply_to=queues.name("not-there")),
        ]
    )
    (answer,) = queues.taken(1, other)
    assert (answer.id, answer.headers["correlation-id"]) == (here.id, "abc")
    letter = queues.dead(1)[nowhere.id]
    assert letter.headers["canario-at"] == "reply_to"
    assert letter.body == nowhere.body


def test_headers_choose_the_version(up: Status, queues: Queues, start_worker: StartWorker) -> None:  # noqa: F811
    """Headers that begin with x- reach the router: a version that is named answers, one that is not there is refused with the router's words."""
    start_worker()
    (named,) = messages(1, "named", headers={"x-canario-version": "v1"})
    (unknown,) = messages(1, "unknown", headers={"x-canario-version": "v9"})
    queues.send([named, unknown])
    assert [message.id for message in queues.taken(1)] == [named.id]
    assert "no such version" in queues.dead(1)[unknown.id].headers["canario-reason"]


def test_a_worker_killed_again_and_again_loses_and_doubles_nothing(queues: Queues, start_worker: StartWorker) -> None:
    """Kill -9 at random moments: every message is answered, whatever comes twice is the same to the byte, and nothing is left."""
    some = messages(600)
    queues.send(some)
    chance = random.Random(7)
    workers = [start_worker("--prefetch", "32") for _ in range(2)]
    for _ in range(8):
        time.sleep(chance.uniform(0.2, 1.2))
        victim = chance.choice(workers)
        victim.kill()
        victim.start()
    answers: dict[str, bytes] = {}
    while len(answers) < len(some):
        taken = queues.taken(1, seconds=30.0)
        assert taken, f"{len(some) - len(answers)} answers are missing"
        for answer in taken + queues.taken(10_000, seconds=0.5):
            assert answers.setdefault(answer.id, answer.body) == answer.body
    wait_until(lambda: not any(queues.waiting().values()), "the queues to be empty")
    assert answers.keys() == {message.id for message in some}
    assert [worker.end() for worker in workers] == [0, 0]


def test_a_worker_that_is_told_to_end_gives_back_what_it_has_not_begun(
    queues: Queues, start_worker: StartWorker
) -> None:
    """SIGTERM: what is in flight is finished, the rest waits for the next worker, and each message is answered once."""
    queues.send(messages(3000))
    worker = start_worker("--concurrency", "4")
    wait_until(lambda: worker.readiness() == "ok" and queues.waiting()["answers"] > 50, "some answers")
    assert worker.end() == 0
    waiting = queues.waiting()
    assert waiting["normal"] > 0
    assert waiting["normal"] + waiting["answers"] == 3000
    worker.start()
    answers = queues.taken(3000)
    assert len(answers) == len(by_id(answers)) == 3000


def test_a_router_that_is_away_is_waited_for(
    platform: LocalPlatform,  # noqa: F811
    up: Status,  # noqa: F811
    queues: Queues,
    start_worker: StartWorker,
) -> None:
    """While the model is down nothing is lost or dead, the worker says so and is hardly busy; then all is answered."""
    platform.down()
    worker = start_worker()
    queues.send(messages(50))
    wait_until(lambda: "router" in worker.readiness(), "the worker to say that the router is away")
    before = cpu_seconds(worker)
    time.sleep(3.0)
    assert cpu_seconds(worker) - before < 0.6
    platform.up(port=int(up.url.rpartition(":")[2]))
    assert len(by_id(queues.taken(50))) == 50
    wait_until(lambda: worker.readiness() == "ok", "the worker to be ready")
    assert queues.waiting()["dead"] == 0


def test_a_worker_whose_router_is_away_ends_when_it_is_told_to(queues: Queues, start_worker: StartWorker) -> None:
    """What waits for a router is given back at once, and no attempt is held against it."""
    worker = start_worker(router="http://127.0.0.1:9")
    queues.send(messages(40))
    wait_until(lambda: "router" in worker.readiness(), "the worker to have tried")
    began = time.monotonic()
    assert worker.end() == 0
    assert time.monotonic() - began < 10
    assert queues.waiting()["normal"] == 40


def test_a_message_that_ends_workers_is_dead_after_a_while(
    queues: Queues, start_worker: StartWorker, tmp_path: Path
) -> None:
    """What was lent twenty times to workers that went without a word is not asked again: it may be what ends them."""
    (message,) = messages(1)
    queues.send([message])

    async def go_without_a_word(broker: Broker) -> None:
        receiver = await broker.receiver({queues.name("normal"): 1})
        while await receiver.take(queues.name("normal")) is None:
            await receiver.wait(0.1)
        await receiver.close()

    queues.run(go_without_a_word)
    (tmp_path / "worker").mkdir()
    ledger = open_ledger(queues.model, f"sqlite:{tmp_path / 'worker' / 'ledger.sqlite'}")
    for _ in range(MOST_ATTEMPTS):
        ledger.look({message.id: True})
    ledger.close()
    start_worker()
    letter = queues.dead(1)[message.id]
    assert "lent 21 times" in letter.headers["canario-reason"]
    assert letter.headers["canario-attempts"] == "21"
    queues.send([message])
    assert [answer.id for answer in queues.taken(1)] == [message.id], "sent again it is a question once more"


@pytest.mark.parametrize("queues", ["rabbitmq"], indirect=True)
def test_a_broker_that_says_nothing_keeps_nobody_from_ending(
    queues: Queues, start_worker: StartWorker, rabbitmq: RabbitMqServer
) -> None:
    """A worker whose broker hangs, at its start or later, still ends when it is told to."""
    at_work = start_worker(CANARIO_DRAIN_SECONDS="2")
    wait_until(lambda: at_work.readiness() == "ok", "the worker to be ready")
    rabbitmq.pause()
    try:
        starting = start_worker(CANARIO_DRAIN_SECONDS="2")
        wait_until(lambda: "broker" in starting.readiness(), "the other one to try")
        began = time.monotonic()
        assert [starting.end(), at_work.end()] == [0, 0]
        assert time.monotonic() - began < 25
    finally:
        rabbitmq.resume()


def cpu_seconds(worker: WorkerProcess) -> float:
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("queues", ["rabbitmq"], indirect=True)
def test_a_broker_that_is_away_is_waited_for(
    queues: Queues, start_worker: StartWorker, rabbitmq: RabbitMqServer
) -> None:
    """While the broker is killed the worker says so and is hardly busy; with the broker back it goes on, and loses and doubles nothing."""
    some = messages(400)
    worker = start_worker("--concurrency", "4")
    rabbitmq.settle()
    queues.send(some)
    wait_until(lambda: queues.waiting()["answers"] > 10, "some answers")
    rabbitmq.kill()
    try:
        wait_until(lambda: "broker" in worker.readiness(), "the worker to say that the broker is away")
        before = cpu_seconds(worker)
        time.sleep(3.0)
        assert cpu_seconds(worker) - before < 0.6
    finally:
        rabbitmq.start()
    wait_until(lambda: worker.readiness() == "ok", "the worker to be ready")
    taken = queues.taken(400)
    while len(by_id(taken)) < len(some) and (more := queues.taken(1)):
        taken += more  # an answer whose confirm went with the broker was sent twice
    assert by_id(taken).keys() == {message.id for message in some}
    assert of(worker.metrics(), "canario_worker_reconnects_total", model=queues.model) >= 1
    assert worker.end() == 0
