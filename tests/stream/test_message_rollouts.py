"""Rollouts while only messages flow: a candidate takes its share of them, is promoted on their evidence, or is thrown back by it."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from canario.model.deployment import Status
from canario.model.rollout import Phase
from canario.model.stream import Message
from canario.platforms.local.platform import LocalPlatform
from tests.platforms.conftest import plan, platform, store, the_end_of, up, version  # noqa: F401 - most are fixtures
from tests.stream.living_worker import Queues, WorkerProcess, by_id, wait_until

pytestmark = pytest.mark.real


class Flow:
    """Sixty messages a second, for as long as it is asked for."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self.sent: set[str] = set()
        self._thread.start()

    def stop(self) -> None:
        """No more."""
        self._ending.set()
        self._thread.join()

    def _send(self) -> None:
        chance = random.Random(1)
        for piece in itertools.count():
            # People older than any that the versions were trained on: the ones for whom some of them go wrong.
            some = [
                {"rate": chance.uniform(50, 120), "variation": chance.uniform(5, 150), "age": chance.randint(101, 119)}
                for _ in range(12)
            ]
            messages = [
                Message(id=f"flow-{piece}-{place}", body=json.dumps(row).encode()) for place, row in enumerate(some)
            ]
            self._queues.send(messages)
            self.sent |= {message.id for message in messages}
            if self._ending.wait(0.2):
                return


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    return Queues(f"sqlite:{tmp_path / 'queues.sqlite'}")


@pytest.fixture
def flow(up: Status, queues: Queues, tmp_path: Path) -> Iterator[Flow]:  # noqa: F811
    """Messages and a worker, until the test has ended or stops the flow."""
    folder = tmp_path / "worker"
    folder.mkdir()
    worker = WorkerProcess(queues.model, up.url, queues.url, folder)
    flowing = Flow(queues)
    yield flowing
    flowing.stop()
    worker.kill()


def versions_of(answers: list[Message]) -> Counter[str]:
    return Counter(json.loads(answer.body)["version"] for answer in answers)


def test_a_canary_of_messages_is_promoted(platform: LocalPlatform, flow: Flow, queues: Queues) -> None:  # noqa: F811
    """A good candidate takes its share of the messages and then all, on their evidence alone; each message is answered once, none is dead."""
    past = the_end_of(platform, platform.start_rollout(plan(50, 100), version("v2")))
    assert past.phase is Phase.PROMOTED
    flow.stop()
    answers = queues.taken(len(flow.sent))
    assert by_id(answers).keys() == flow.sent
    versions = versions_of(answers)
    assert versions.keys() == {"v1", "v2"}
    counts = [entry.evidence.counts.get("v2") for entry in platform.journal() if entry.evidence.counts]
    assert max(each.requests for each in counts if each) <= versions["v2"]
    wait_until(lambda: not any(queues.waiting().values()), "the queues to be empty")


def test_a_bad_canary_of_messages_is_rolled_back(platform: LocalPlatform, flow: Flow, queues: Queues) -> None:  # noqa: F811
    """A version that fails every message is out after a few, which stable answers: no message is lost, late or dead."""
    past = the_end_of(platform, platform.start_rollout(plan(10, 100), version("fails-all")))
    assert past.phase is Phase.ROLLED_BACK
    assert "errors" in past.reason
    flow.stop()
    answers = queues.taken(len(flow.sent))
    assert by_id(answers).keys() == flow.sent
    assert versions_of(answers).keys() == {"v1"}
    assert queues.waiting()["dead"] == 0
