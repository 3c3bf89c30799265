"""What clients see when servers fail: nothing, as long as one server of stable can answer."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from canario.model.evidence import Counts
from canario.model.split import Split
from tests.router.conftest import Clients, Front, StartFront, StartServer, all_up, backend, eventually

pytestmark = pytest.mark.real

REST_FAULTS = ["status=500", "status=502", "status=503", "reset"]
GRPC_FAULTS = ["grpc=1", "grpc=2", "grpc=4", "grpc=12", "grpc=13", "grpc=14", "grpc=15"]


@pytest.mark.parametrize("fault", REST_FAULTS)
def test_a_failing_candidate_is_not_seen_over_rest(fault: str, front: Front) -> None:
    """A candidate that answers 5xx or breaks off: stable answers instead, and the client sees a 200."""
    front.change(replace(front.plan.split, weight_percent=100.0))
    assert front.tally("rest", 20, x_fault_v2=fault) == {("200", "v1"): 20}


@pytest.mark.parametrize("fault", GRPC_FAULTS)
def test_a_failing_candidate_is_not_seen_over_grpc(fault: str, front: Front) -> None:
    """A candidate that answers with a failing code: stable answers instead, and the client sees OK."""
    front.change(replace(front.plan.split, weight_percent=100.0))
    assert front.tally("grpc", 20, x_fault_v2=fault) == {("OK", "v1"): 20}


def test_a_hanging_candidate_is_not_seen(start_front: StartFront) -> None:
    """A candidate that never answers costs half of the longest wait; then stable answers."""
    front = start_front(100.0, timeout_seconds=1.0)
    for ask in (front.rest, front.grpc):
        start = time.monotonic()
        assert ask(x_fault_v2="hang").version == "v1"
        assert 0.4 < time.monotonic() - start < 1.0


@pytest.mark.parametrize(
    ("protocol", "fault", "status"), [("rest", "status=422", "422"), ("grpc", "grpc=3", "INVALID_ARGUMENT")]
)
def test_what_the_client_did_wrong_is_not_tried_again(protocol: str, fault: str, status: str, front: Front) -> None:
    """A refusal of bad input reaches the client at once, from the first server that was asked."""
    front.change(replace(front.plan.split, weight_percent=100.0))
    before = front.counts("v2")
    assert front.tally(protocol, 10, x_fault_v2=fault)[status, ""] == 10
    assert front.counts("v2") - before == Counts(requests=10)


@pytest.mark.parametrize(
    ("protocol", "fault", "status"), [("rest", "status=500", "500"), ("grpc", "grpc=13", "INTERNAL")]
)
def test_a_named_version_is_never_replaced_by_another(protocol: str, fault: str, status: str, front: Front) -> None:
    """Who asks for a version by name sees its failure: another version's answer would be a wrong answer."""
    assert front.tally(protocol, 5, x_fault_v2=fault, x_canario_version="v2") == {(status, ""): 5}


def test_stable_is_tried_again_on_its_other_server(start_front: StartFront, start_server: StartServer) -> None:
    """When one of stable's two servers is killed, not one request fails, and the dead one is soon left alone."""
    one, other = start_server("v1"), start_server("v1")
    all_up(one, other)
    front = start_front(backends=(backend(one, other),), split=Split(stable="v1"))
    with Clients(front) as statuses:
        time.sleep(0.5)
        one.kill()
        time.sleep(2.0)
    assert statuses.keys() == {"200", "OK"}
    assert 0 < front.counts("v1").errors < 20


def test_a_killed_candidate_and_a_killed_stable_server_together_are_not_seen(
    start_front: StartFront, start_server: StartServer
) -> None:
    """The candidate fails everything while one of stable's servers dies: stable's other one answers all."""
    one, other, candidate = start_server("v1"), start_server("v1"), start_server("v2")
    all_up(one, other, candidate)
    front = start_front(50.0, backends=(backend(one, other), backend(candidate)))
    with Clients(front, x_fault_v2="status=500") as statuses:
        time.sleep(0.5)
        one.kill()
        time.sleep(1.0)
        candidate.kill()
        time.sleep(1.0)
    assert statuses.keys() == {"200", "OK"}


def test_a_server_that_comes_back_is_used_again(start_front: StartFront, start_server: StartServer) -> None:
    """A restarted server gets requests again within two seconds of its first answer, over REST and over gRPC."""
    server = start_server("v1")
    all_up(server)
    front = start_front(backends=(backend(server),), split=Split(stable="v1"))
    server.kill()
    eventually(lambda: front.rest().status == "503" and front.grpc().status == "UNAVAILABLE")
    server.start()
    eventually(server.is_up)
    assert eventually(lambda: front.rest().status == "200" and front.grpc().status == "OK") < 2.0


def test_a_server_that_is_not_ready_gets_nothing(start_front: StartFront, start_server: StartServer) -> None:
    """A server that says on /readyz and in gRPC health that it is not ready is left alone after a second or so."""
    one, other = start_server("v1"), start_server("v1")
    all_up(one, other)
    front = start_front(backends=(backend(one, other),), split=Split(stable="v1"))
    one.set_ready(False)
    time.sleep(1.5)
    before = len(one.seen())
    assert front.tally("rest", 30)["200", "v1"] + front.tally("grpc", 30)["OK", "v1"] == 60
    assert len(one.seen()) == before


def test_a_draining_server_finishes_what_it_has(start_front: StartFront, start_server: StartServer) -> None:
    """A server that is drained gets nothing new at once; its long request is answered, and can be seen until then."""
    one, other = start_server("v1"), start_server("v1")
    all_up(one, other)
    front = start_front(backends=(backend(one),), split=Split(stable="v1"))
    answers: list[str] = []
    waiting = [
        threading.Thread(target=lambda ask=ask: answers.append(ask(x_fault_v1="delay=1.5").status))
        for ask in (front.rest, front.grpc)
    ]
    for thread in waiting:
        thread.start()
    eventually(lambda: front.router.active_requests(one.endpoint) == 2)
    front.change(backends=(replace(backend(other), draining=(one.endpoint,)),))
    time.sleep(0.3)
    before = len(one.seen())
    assert front.tally("rest", 20) == {("200", "v1"): 20}
    assert len(one.seen()) == before
    assert front.router.active_requests(one.endpoint) == 2
    for thread in waiting:
        thread.join()
    assert sorted(answers) == ["200", "OK"]
    eventually(lambda: front.router.active_requests(one.endpoint) == 0)


def test_a_removed_server_gets_nothing_new(start_front: StartFront, start_server: StartServer) -> None:
    """A server that is no longer in the plan gets no request any more, although it is well."""
    one, other = start_server("v1"), start_server("v1")
    all_up(one, other)
    front = start_front(backends=(backend(one, other),), split=Split(stable="v1"))
    front.change(backends=(backend(other),))
    time.sleep(0.1)
    before = len(one.seen())
    assert front.tally("rest", 20) + front.tally("grpc", 20) == {("200", "v1"): 20, ("OK", "v1"): 20}
    assert len(one.seen()) == before


def test_a_removed_server_finishes_what_it_has(start_front: StartFront, start_server: StartServer) -> None:
    """Taking a server, or a whole version, out of the router breaks no request that it is answering."""
    stable, candidate = start_server("v1"), start_server("v2")
    all_up(stable, candidate)
    front = start_front(100.0, backends=(backend(stable), backend(candidate)))
    answers: list[str] = []
    waiting = [
        threading.Thread(target=lambda ask=ask: answers.append(ask(x_fault_v2="delay=4").version))
        for ask in (front.rest, front.grpc)
    ]
    for thread in waiting:
        thread.start()
    eventually(lambda: front.router.active_requests(candidate.endpoint) == 2)
    for _ in range(3):  # the second time, what nothing points to any more is cleared away
        front.change(Split(stable="v1"), (backend(stable),))
        time.sleep(0.1)
    assert not list(front.folder.glob("*v2*"))
    for thread in waiting:
        thread.join()
    assert answers == ["v2", "v2"]
