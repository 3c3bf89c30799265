"""What the router counts: every request once, for the version that it was dealt to, whoever answered in the end."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from dataclasses import replace

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.model.evidence import Counts
from canario.model.split import Split
from canario.router.evidence import Seen, Tally
from canario.router.folder import Router
from tests.router.conftest import EchoServer, Front, StartFront, StartServer, all_up, backend, eventually

REST_ERRORS = ["status=500", "status=503", "status=599", "reset"]
GRPC_ERRORS = ["grpc=1", "grpc=2", "grpc=4", "grpc=12", "grpc=13", "grpc=14", "grpc=15"]
REST_NO_ERRORS = ["", "status=201", "status=400", "status=404", "status=413", "status=429"]
GRPC_NO_ERRORS = [
    "",
    "grpc=3",
    "grpc=5",
    "grpc=6",
    "grpc=7",
    "grpc=8",
    "grpc=9",
    "grpc=10",
    "grpc=11",
    "grpc=16",
]


@pytest.mark.real
@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_every_request_is_counted_once_and_every_failed_first_attempt_is_an_error(
    protocol: str, start_front: StartFront, servers: dict[str, EchoServer]
) -> None:
    """Through rescues and retries: as many requests as were sent, as many errors as first attempts failed."""
    front = start_front(latency_milliseconds=10_000.0)  # a busy machine is no slow answer
    ask = front.rest if protocol == "rest" else front.grpc
    errors, fine = (REST_ERRORS, REST_NO_ERRORS) if protocol == "rest" else (GRPC_ERRORS, GRPC_NO_ERRORS)
    dice = random.Random(20_240_501)
    faults = [dice.choice(errors) if dice.random() < 0.3 else dice.choice(fine) for _ in range(300)]
    before = len(servers["v2"].seen())
    for fault in faults:
        ask(x_fault_v2=fault)
    asked = servers["v2"].seen()[before:]
    failures = sum(1 for each in asked if each["fault"] in errors)
    assert failures > 20
    assert front.counts("v2") == Counts(requests=len(asked), errors=failures)
    assert front.counts("v1") == Counts(requests=300 - len(asked))


@pytest.mark.real
@pytest.mark.parametrize("fault", [*REST_ERRORS, *GRPC_ERRORS])
def test_each_kind_of_failure_is_an_error_of_the_candidate(fault: str, front: Front) -> None:
    """5xx, broken connections and the failing gRPC codes: each one counts, once a request."""
    front.change(replace(front.plan.split, weight_percent=100.0))
    before = front.seen().split
    front.tally("grpc" if fault in GRPC_ERRORS else "rest", 10, x_fault_v2=fault)
    after = front.seen().split
    assert after["v2"] - before.get("v2", Counts()) == Counts(requests=10, errors=10)
    assert after.get("v1") == before.get("v1")


@pytest.mark.real
@pytest.mark.parametrize("fault", [*REST_NO_ERRORS, *GRPC_NO_ERRORS[1:]])
def test_answers_that_blame_the_client_are_no_errors(fault: str, front: Front) -> None:
    """4xx and the gRPC codes for bad input say nothing against a version."""
    front.change(replace(front.plan.split, weight_percent=100.0))
    before = front.counts("v2")
    front.tally("grpc" if fault in GRPC_NO_ERRORS[1:] else "rest", 10, x_fault_v2=fault)
    assert front.counts("v2") - before == Counts(requests=10)


@pytest.mark.real
def test_slow_answers_are_counted_for_both_protocols(front: Front) -> None:
    """An answer without an error, later than the objective of 100 ms, is slow; a late error is an error only."""
    front.change(replace(front.plan.split, weight_percent=100.0))
    before = front.counts("v2")
    for ask in (front.rest, front.grpc):
        ask(x_fault_v2="delay=0.15")
        ask(x_fault_v2="delay=0.03")
    front.rest(x_fault_v2="slow-status=500")
    assert front.counts("v2") - before == Counts(requests=5, errors=1, slow=2)


@pytest.mark.real
def test_a_new_objective_counts_without_a_restart(start_front: StartFront) -> None:
    """When the objective changes, answers are slow by the new one, and Envoy is the same process."""
    front = start_front(100.0)
    front.rest(x_fault_v2="delay=0.15")
    assert front.counts("v2").slow == 1
    front.plan = replace(front.plan, latency_milliseconds=1000.0)
    front.change()
    front.rest(x_fault_v2="delay=0.15")
    assert front.counts("v2") == Counts(requests=2, slow=1)


@pytest.mark.real
def test_a_candidate_that_is_gone_keeps_failing_in_the_evidence(
    start_front: StartFront, start_server: StartServer
) -> None:
    """Killed or without servers, nobody is sent to it any more, and still each request dealt to it is its error."""
    stable, candidate = start_server("v1"), start_server("v2")
    all_up(stable, candidate)
    front = start_front(100.0, backends=(backend(stable), backend(candidate)))
    candidate.kill()
    for requests in (30, 60):
        assert front.tally("rest", 15) + front.tally("grpc", 15) == {("200", "v1"): 15, ("OK", "v1"): 15}
        assert front.counts("v2") == Counts(requests=requests, errors=requests)
    front.change(backends=(backend(stable), replace(backend(candidate), endpoints=())))
    front.tally("rest", 10)
    assert front.seen().split == {"v2": Counts(requests=70, errors=70)}


@pytest.mark.real
def test_requests_that_nobody_can_take_are_errors(start_front: StartFront) -> None:
    """Without a single server, each refused request is an error of the version that it was dealt to."""
    front = start_front(50.0)
    front.change(backends=tuple(replace(each, endpoints=()) for each in front.plan.backends))
    eventually(lambda: front.rest().status == "503")
    before = front.seen().split
    front.tally("rest", 10)
    front.tally("grpc", 10)
    after = front.seen().split
    new = [after[version] - before.get(version, Counts()) for version in after]
    assert sum(each.requests for each in new) == sum(each.errors for each in new) == 20


@pytest.mark.real
def test_a_hanging_candidate_is_an_error_and_an_impatient_client_is_none(start_front: StartFront) -> None:
    """A first attempt that times out failed; one whose client left before was slow, if it took too long, and no error."""
    front = start_front(100.0, timeout_seconds=6.0, latency_milliseconds=1000.0)
    front.rest(x_fault_v2="hang")
    assert front.counts("v2") == Counts(requests=1, errors=1)
    connection = http.client.HTTPConnection("127.0.0.1", front.plan.port, timeout=2.0)
    connection.request("POST", "/predict", b"{}", {"x-fault-v2": "hang"})
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    grpc.channel_ready_future(front.channel).result(timeout=10)
    call = front.channel.unary_unary("/echo.Echo/Predict", bytes, bytes)
    # Without a deadline, which goes along with the request: the server could answer at that moment that it has passed.
    asked = call.future(b"", metadata=(("x-fault-v2", "hang"),))
    time.sleep(0.3)
    assert asked.cancel()  # type: ignore[no-untyped-call]  # it has no types
    eventually(lambda: front.counts("v2") == Counts(requests=3, errors=1, slow=1))


@pytest.mark.real
def test_requests_for_a_named_version_are_kept_apart(front: Front) -> None:
    """Who asks for a version by name is no random sample: counted, but not in what a rollout is judged by."""
    before = front.seen()
    front.tally("rest", 10, x_canario_version="v2", x_fault_v2="status=500")
    front.tally("grpc", 10, x_canario_version="v2")
    after = front.seen()
    assert after.split == before.split
    assert after.named["v2"] - before.named.get("v2", Counts()) == Counts(requests=20, errors=10)
    assert front.router.counts() == after.for_rollout()


@pytest.mark.real
@pytest.mark.parametrize(("protocol", "fault"), [("rest", "status=500"), ("rest", "reset"), ("grpc", "grpc=13")])
def test_failing_copies_are_evidence(protocol: str, fault: str, front: Front) -> None:
    """In shadow mode the copies are the candidate's requests, with their errors; stable's own stay as they are."""
    front.change(Split(stable="v1", candidate="v2", shadow_percent=100.0))
    before = front.seen()
    assert set(front.tally(protocol, 10, x_fault_v2=fault)) == {("200" if protocol == "rest" else "OK", "v1")}
    front.tally(protocol, 10)
    expected = Counts(requests=20, errors=10)
    eventually(lambda: front.seen().shadow["v2"] - before.shadow.get("v2", Counts()) == expected)
    after = front.seen()
    assert after.split["v1"] - before.split.get("v1", Counts()) == Counts(requests=20)
    assert front.router.counts() == after.for_rollout()
    assert after.for_rollout()["v2"].errors >= 10


@pytest.mark.real
@pytest.mark.parametrize("name", ["1.0.2-rc.1", "a b/c:d"])
def test_a_version_may_be_called_what_it_likes(name: str, front: Front) -> None:
    """Dots, slashes and spaces in a version's name change neither its route nor its evidence nor what is read back."""
    stable, other = front.plan.backends
    front.change(Split(stable="v1", candidate=name, weight_percent=100.0), (stable, replace(other, version=name)))
    assert front.router.split() == front.plan.split
    assert front.tally("rest", 3, x_fault_v2="status=500")["200", "v1"] == 3
    assert front.grpc().content["version"] == front.rest(x_canario_version=name).content["version"] == "v2"
    seen = front.seen()
    assert seen.split[name] == Counts(requests=4, errors=3)
    assert seen.named[name] == Counts(requests=1)


@pytest.mark.real
def test_counts_are_exact_under_many_clients(front: Front) -> None:
    """Eight clients at once, a tenth of the candidate's answers failing: nothing is lost and nothing counted twice."""
    before = front.seen().split

    def client(number: int) -> None:
        ask = front.rest if number % 2 else front.grpc
        for turn in range(50):
            fault = ("status=500" if number % 2 else "grpc=13") if turn % 10 == 0 else ""
            answers.append(ask(x_fault_v2=fault, x_fault_v1=fault and "delay=0.001").status)

    answers: list[str] = []
    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert Counter(answers) == {"200": 200, "OK": 200}
    after = front.seen().split
    new = {version: after[version] - before.get(version, Counts()) for version in ("v1", "v2")}
    assert new["v1"].requests + new["v2"].requests == 400
    assert new["v1"].errors == 0
    assert 0 < new["v2"].errors <= 40


@pytest.mark.real
def test_counts_outlive_envoy_and_their_reader(start_front: StartFront) -> None:
    """Envoy dies and starts again, the reader too: counts go on from where they were, nothing lost, nothing invented."""
    front = start_front(100.0)
    for round_ in (1, 2, 3):
        front.tally("rest", 10)
        front.rest(x_fault_v2="status=500")
        assert front.counts("v2") == Counts(requests=11 * round_, errors=round_)
        front.stop()
        assert front.router.counts() is None
        front.start()
        front.router = Router(front.folder, front.plan.admin_port)
        assert front.counts("v2") == Counts(requests=11 * round_, errors=round_)


COUNTS = st.builds(Counts, requests=st.integers(0, 1000), errors=st.integers(0, 100), slow=st.integers(0, 100))
SEEN = st.builds(Seen, split=st.dictionaries(st.sampled_from(["v1", "v2", "v3"]), COUNTS))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(SEEN, min_size=1, max_size=4), max_size=5))
def test_a_tally_adds_up_what_each_process_saw_last(processes: list[list[Seen]]) -> None:
    """However often each of Envoy's lives was looked at, the total is the sum of their last looks."""
    tally = Tally()
    for number, looks in enumerate(processes):
        for look in looks:
            tally = tally.then(f"process {number}", look)
    last = [looks[-1].split for looks in processes]
    for version, counts in tally.total().split.items():
        assert counts.requests == sum(each[version].requests for each in last if version in each)
        assert counts.errors == sum(each[version].errors for each in last if version in each)
