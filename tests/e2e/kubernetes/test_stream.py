"""Messages on a real cluster, by RabbitMQ and KEDA: answered as requests are, by as many workers as they need, through deaths and rollouts."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from canario.adapters.kubernetes_api import DEPLOYMENTS, Object
from canario.model.feedback import Value
from canario.model.rollout import Phase
from canario.model.stream import DEAD, Message, Priority
from canario.platforms.kubernetes.naming import WORKER, worker_object
from demo.rows import sample_rows
from tests.cluster.cluster import Cluster
from tests.cluster.monitoring_images import monitoring_image
from tests.cluster.rabbitmq_image import rabbitmq_image
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.messages import Messages, Seen, put, take_dead, waiting
from tests.e2e.kubernetes.model import SMALL, Model
from tests.e2e.kubernetes.monitoring import Monitoring
from tests.e2e.kubernetes.plans import canary
from tests.e2e.kubernetes.rabbitmq import RabbitMq
from tests.e2e.kubernetes.steady import MODEL, Ledger

NAME = "letters"
BROKER, ANSWERED = "broker", "answered"
MOST = 3
FOLLOW_SECONDS = 120.0
SCALING = {"minReplicas": 0, "maxReplicas": MOST, "bulkMessages": 300, "pollSeconds": 1, "scaleDownSeconds": 3}
STEADY = {"minReplicas": 2, "maxReplicas": MOST, "pollSeconds": 1, "scaleDownSeconds": 60}
BACKLOG = 2500
PER_SECOND = 60.0
TWO_STEPS = canary(20, 100, minimum_requests=80)
STRICT = canary(50, 100, minimum_requests=400, gates=[{"kind": "errors", "marginPercent": 2}])
"""One message of twenty is too many."""
pytestmark = pytest.mark.timeout(420)


@dataclass
class Stream:
    """A model, its broker and the memory of its workers."""

    model: Model
    broker: RabbitMq
    rows: list[dict[str, Value]]

    def install(self, version: str, strategy: Object | None = None, *, scaling: Object = STEADY) -> None:
        """A version, with workers that follow the queues."""
        stream: dict[str, Any] = {
            "enabled": True,
            "brokerSecret": BROKER,
            "ledgerSecret": ANSWERED,
            "autoscaling": scaling,
            "terminationGracePeriodSeconds": 30,
            "resources": SMALL,
        }
        self.model.upgrade(version, strategy or canary(), stream=stream)

    def messages(self, per_second: float = PER_SECOND) -> Messages:
        """Clients that send and read while the context lasts."""
        return Messages(self.broker.url, NAME, self.rows, per_second)

    def workers(self) -> list[Object]:
        """The ready workers."""
        return self.model.killer.pods(model=NAME, component=WORKER)

    def wanted(self) -> int:
        """How many workers there shall be."""
        found = self.model.kube.get(DEPLOYMENTS, worker_object(NAME), self.model.namespace)
        return int(found["spec"].get("replicas", 1)) if found else -1

    def wait_for_workers(self, number: int) -> float:
        """The seconds until there are so many, and no other one is wanted."""
        began = time.monotonic()
        until(lambda: self.wanted() == len(self.workers()) == number, f"{number} workers", FOLLOW_SECONDS, self.told)
        return time.monotonic() - began

    def told(self) -> str:
        """How things stand, for the words of a failure."""
        pods = self.model.kubectl("get", "pods", f"--selector=canario.dev/component={WORKER}", "--no-headers")
        logs = self.model.kubectl("logs", f"deployment/{worker_object(NAME)}", "--tail=10") if pods else ""
        return f"{self.wanted()} wanted: {pods}{logs}"

    def dead(self) -> int:
        """How many messages could not be answered."""
        return asyncio.run(waiting(self.broker.url, NAME, DEAD))


@pytest.fixture(scope="module")
def stream(
    with_keda: None,
    cluster: Cluster,
    kube: Kube,
    images: dict[str, str],
    canario_image: str,
    controller: Controller,
    models_namespace: str,
    ledger: Ledger,
) -> Iterator[Stream]:
    """The model v1 without a worker, for no message waits; its broker; the database of what is answered."""
    assert images
    cluster.load(rabbitmq_image(), monitoring_image())
    beside = kube.make_namespace(f"broker-{uuid.uuid4().hex[:6]}")
    broker, database = RabbitMq(kube, beside), Monitoring(kube, beside)
    broker.start()
    database.start_postgresql()
    broker.make_secret(BROKER, models_namespace)
    literal = f"--from-literal=url={database.database_url}"
    kube.kubectl("create", "secret", "generic", ANSWERED, f"--namespace={models_namespace}", literal)
    one = Stream(Model(kube, models_namespace, ledger, canario_image, name=NAME), broker, sample_rows(MODEL))
    one.install("v1", scaling=SCALING)
    one.model.wait_ready()
    yield one
    one.model.uninstall()
    kube.kubectl("delete", "secret", BROKER, ANSWERED, f"--namespace={models_namespace}")


def assert_each_once(stream: Stream, seen: Seen) -> None:
    """Every message has one answer, no other effect is to be seen, and none was given up."""
    assert not seen.missing
    assert not seen.doubled
    assert not seen.strange
    assert stream.dead() == 0


def test_workers_come_with_the_messages_and_go_with_them(stream: Stream, report: Callable[[str], None]) -> None:
    """No message, no worker; a backlog has as many as it needs, at most the limit; when it is answered they leave."""
    stream.wait_for_workers(0)
    # An autoscaler looks every 15 s: the backlog must not be answered before it has.
    with Messages(stream.broker.url, NAME, stream.rows, BACKLOG, [Priority.BULK], most=12 * BACKLOG) as clients:
        began = time.monotonic()
        until(lambda: len(clients.seen.sent) >= BACKLOG, "the backlog", 30)
        until(stream.workers, "the first worker", FOLLOW_SECONDS, stream.told)
        first = time.monotonic() - began
        until(lambda: stream.wanted() == MOST, f"{MOST} workers to be wanted", FOLLOW_SECONDS, stream.told)
        up = time.monotonic() - began
        seen = clients.finish(120)
        answered = time.monotonic() - began
    down = stream.wait_for_workers(0)
    assert_each_once(stream, seen)
    assert stream.model.condition("Stream")["reason"] == "FollowsQueues"
    report(
        f"{len(seen.sent):,} bulk messages: the first worker after {first:.0f} s, {MOST} wanted after {up:.0f} s, all "
        f"answered after {answered:.0f} s, no worker {down:.0f} s later"
    )


def test_a_message_has_the_answer_of_a_request(stream: Stream) -> None:
    """From no worker at all: the same row by a message and by REST has the same answer; what does not fit is dead, with the reason."""
    row = stream.rows[0]
    with stream.messages(20) as clients:
        until(lambda: len(clients.seen.sent) >= 40, "messages", 30)
        seen = clients.finish(120)
    assert_each_once(stream, seen)
    (answer,) = (body for each, body in seen.answers.items() if each.endswith("-0"))
    by_message = json.loads(answer)
    by_request = httpx.post(f"http://{stream.model.target}/predict", json={"rows": [row]}, timeout=5).json()
    for each in (by_message, by_request):
        each["predictions"][0].pop("prediction_id")
    assert by_message == by_request
    wrong = Message(id="no-row", body=b'{"rows": [{"amount": "much"}]}')
    asyncio.run(put(stream.broker.url, NAME, Priority.URGENT, [wrong]))
    dead = asyncio.run(take_dead(stream.broker.url, NAME, 30))
    assert (dead.id, dead.body) == (wrong.id, wrong.body)
    assert "amount" in dead.headers["canario-at"] + dead.headers["canario-reason"]


def test_nothing_is_lost_whoever_dies(stream: Stream, report: Callable[[str], None]) -> None:
    """Workers are deleted and killed, the broker is killed and restarted, while messages flow: each is answered once."""
    stream.install("v1")
    stream.wait_for_workers(2)
    killer = stream.model.killer
    with stream.messages() as clients:
        time.sleep(3)
        for round_number in range(4):
            victim, *_ = until(stream.workers, "a worker", 60, stream.told)
            (killer.kill if round_number % 2 else killer.delete)(victim)
            time.sleep(3)
            if round_number == 1:
                stream.broker.kill()
                stream.broker.wait_back()
                time.sleep(3)
        stream.broker.restart()
        victim, *_ = until(stream.workers, "a worker", 60, stream.told)
        killer.delete(victim)
        stream.broker.wait_back()
        time.sleep(3)
        seen = clients.finish(120)
    report(f"3 workers deleted, 2 killed, the broker killed and restarted: {seen.told()}")
    assert_each_once(stream, seen)


def test_messages_alone_decide_a_rollout(stream: Stream, report: Callable[[str], None]) -> None:
    """No request but those of workers: a good version rises and is promoted, a bad one and a useless one are thrown back; no answer is lost."""
    model, told = stream.model, []
    stream.install("v1")
    with stream.messages() as clients:
        for image, phase in (("v2", Phase.PROMOTED), ("v4", Phase.ROLLED_BACK), ("v3", Phase.ROLLED_BACK)):
            candidate, began = model.fresh(image), time.monotonic()
            stream.install(candidate, STRICT if image == "v3" else TWO_STEPS)
            end = model.the_end(candidate, 120)
            told.append(f"{candidate} {end['phase']} after {time.monotonic() - began:.0f} s")
            assert end["phase"] == phase, end
        seen = clients.finish(120)
    report(f"{', '.join(told)}; {seen.told()}")
    assert_each_once(stream, seen)
    assert model.stable.startswith("v2")
    model.assert_whole_journal()
