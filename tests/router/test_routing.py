"""Who answers which request: the split, named versions, sticky users, shadow copies, and what is refused at the door."""

from __future__ import annotations

import http.client
import socket
from collections import Counter
from dataclasses import replace

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from canario.model.split import Split
from tests.router.conftest import EchoServer, Front, StartFront, eventually

pytestmark = pytest.mark.real

BOTH = pytest.mark.parametrize("protocol", ["rest", "grpc"])
FINE = {"rest": "200", "grpc": "OK"}


@BOTH
def test_each_version_gets_its_share(protocol: str, front: Front) -> None:
    """Half the requests means half the requests, over REST and over gRPC."""
    got = front.tally(protocol, 400)
    assert got.total() == 400
    assert 149 <= got[FINE[protocol], "v2"] <= 251  # outside once in three million runs


def test_a_share_of_nothing_or_of_all_has_no_exceptions(front: Front) -> None:
    """At 0 % nobody meets the candidate, at 100 % everybody does."""
    front.change(replace(front.plan.split, weight_percent=0.0))
    assert front.tally("rest", 100) == {("200", "v1"): 100}
    front.change(replace(front.plan.split, weight_percent=100.0))
    assert front.tally("grpc", 100) == {("OK", "v2"): 100}


@BOTH
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_named_version_answers(protocol: str, version: str, front: Front) -> None:
    """Who names a version in `x-canario-version`, header or metadata, gets it whatever the split says."""
    assert front.tally(protocol, 20, x_canario_version=version) == {(FINE[protocol], version): 20}


def test_an_unknown_version_is_refused_with_the_known_ones(front: Front) -> None:
    """A version that is not here is a clear 404 or NOT_FOUND that says which there are, never another version's answer."""
    rest, grpc_ = (ask(x_canario_version="v9") for ask in (front.rest, front.grpc))
    assert (rest.status, grpc_.status) == ("404", "NOT_FOUND")
    assert rest.headers["content-type"] == "application/json"
    assert rest.content.keys() == {"error", "at", "hint"}
    assert "v1, v2" in rest.content["error"]
    assert grpc_.content["error"] == rest.content["error"]


def test_an_answer_says_which_version_gave_it(front: Front) -> None:
    """`x-canario-version` in an answer is the version of the server that answered."""
    for answer in (front.rest(), front.grpc()):
        assert answer.headers["x-canario-version"] == answer.content["version"]


def test_a_user_never_moves_back_while_the_weight_rises(front: Front) -> None:
    """With a sticky header, whoever has met the candidate meets it at every later weight, and the share is kept."""
    users = [f"user-{number}" for number in range(1500)]
    met: set[str] = set()
    for percent in (1.0, 5.0, 10.0, 50.0, 100.0):
        front.change(Split(stable="v1", candidate="v2", weight_percent=percent, sticky_header="x-user"))
        versions = front.dealt("x-user", users)
        now = {user for user, version in zip(users, versions, strict=True) if version == "v2"}
        assert met <= now
        expected, spread = percent * 15, 4 * (1500 * percent / 100 * (1 - percent / 100)) ** 0.5
        assert abs(len(now) - expected) <= spread
        met = now
    assert met == set(users)


def test_a_user_is_the_same_over_rest_and_grpc(front: Front) -> None:
    """One sticky key, one version, whichever protocol a user's programs speak."""
    front.change(Split(stable="v1", candidate="v2", weight_percent=50.0, sticky_header="x-user"))
    users = [f"user-{number}" for number in range(60)]
    assert [front.grpc(x_user=user).version for user in users] == front.dealt("x-user", users)


def test_a_new_candidate_is_tried_by_other_users(front: Front) -> None:
    """It is not always the same tenth of the users who meets what is new."""
    users = [f"user-{number}" for number in range(300)]

    def who_meets(stable: str, candidate: str) -> set[str]:
        front.change(Split(stable=stable, candidate=candidate, weight_percent=20.0, sticky_header="x-user"))
        versions = front.dealt("x-user", users)
        return {user for user, version in zip(users, versions, strict=True) if version == candidate}

    first, second = who_meets("v1", "v2"), who_meets("v2", "v1")
    assert len(first & second) < len(first) / 2


def test_a_request_without_the_sticky_key_is_dealt_at_random(front: Front) -> None:
    """Who sends no key is split like everybody, request by request."""
    front.change(Split(stable="v1", candidate="v2", weight_percent=50.0, sticky_header="x-user"))
    assert 60 <= front.tally("rest", 200)["200", "v2"] <= 140


@BOTH
def test_copies_reach_the_candidate_and_nobody_sees_them(
    protocol: str, front: Front, servers: dict[str, EchoServer]
) -> None:
    """In shadow mode stable answers everybody; the candidate gets a marked copy with the same request id."""
    front.change(Split(stable="v1", candidate="v2", shadow_percent=100.0))
    answers = [(front.rest if protocol == "rest" else front.grpc)(x_fault_v2="delay=0.2") for _ in range(10)]
    assert {answer.version for answer in answers} == {"v1"}
    ids = {answer.headers["x-request-id"] for answer in answers}

    def copies() -> list[dict[str, str]]:
        return [seen for seen in servers["v2"].seen() if seen["request_id"] in ids]

    eventually(lambda: len(copies()) == 10)
    assert {copy["shadow"] for copy in copies()} == {"1"}
    originals = [seen for seen in servers["v1"].seen() if seen["request_id"] in ids]
    assert {original["shadow"] for original in originals} == {""}


def test_a_share_of_the_requests_can_be_copied(front: Front, servers: dict[str, EchoServer]) -> None:
    """A shadow of 25 % copies about a quarter."""
    front.change(Split(stable="v1", candidate="v2", shadow_percent=25.0))
    before = len(servers["v2"].seen())
    front.tally("rest", 200)
    assert 22 <= len(servers["v2"].seen()) - before <= 80


def test_clients_cannot_mark_themselves_as_copies(front: Front, servers: dict[str, EchoServer]) -> None:
    """The mark of a copy is the router's own; a client's is taken off."""
    answer = front.rest(x_canario_shadow="1", x_canario_version="v1")
    assert "x-canario-shadow" not in answer.content["headers"]


def test_every_request_has_an_id_of_its_own(front: Front) -> None:
    """The router makes the request id, tells server and client, and takes none from outside: no two are the same."""
    answers = [front.rest(x_request_id="mine") for _ in range(20)] + [
        front.grpc(x_request_id="mine") for _ in range(20)
    ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 40
    assert "mine" not in ids
    assert answers[0].content["headers"]["x-request-id"] == ids[0]


@pytest.mark.parametrize("kind", ["application/vnd.bentoml+pickle", "application/X-Pickle", "text/pickle; a=b"])
def test_pickled_content_stops_at_the_router(kind: str, front: Front, servers: dict[str, EchoServer]) -> None:
    """A pickled body is a 415 before any server has seen it."""
    before = len(servers["v1"].seen()) + len(servers["v2"].seen())
    answer = front.rest(content_type=kind)
    assert (answer.status, answer.content["at"]) == ("415", "content-type")
    assert len(servers["v1"].seen()) + len(servers["v2"].seen()) == before


def test_too_large_a_body_stops_at_the_router(start_front: StartFront) -> None:
    """More than the limit is a 413 or RESOURCE_EXHAUSTED, with or without a declared length; up to it is answered."""
    front = start_front(longest_body_bytes=200_000)
    assert front.rest(b"x" * 200_000).content["bytes"] == 200_000
    assert front.grpc(b"x" * 190_000).content["bytes"] == 190_000
    refused = front.rest(b"x" * 200_001)
    assert (refused.status, refused.headers["content-type"]) == ("413", "application/json")
    assert "200000 bytes" in refused.content["error"]
    assert front.grpc(b"x" * 200_001).status == "RESOURCE_EXHAUSTED"
    connection = http.client.HTTPConnection("127.0.0.1", front.plan.port)
    connection.request(
        "POST", "/predict", iter([b"x" * 50_000] * 5), encode_chunked=True, headers={"transfer-encoding": "chunked"}
    )
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    "text", [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"]
)
def test_what_is_not_http_gets_a_readable_refusal(text: bytes, front: Front) -> None:
    """Broken HTTP is a 4xx with JSON that says so."""
    with socket.create_connection(("127.0.0.1", front.plan.port)) as connection:
        connection.sendall(text)
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b'"error"' in answer


def test_nothing_of_the_inside_is_told(front: Front) -> None:
    """Answers carry no header of the proxy or of the server behind it."""
    names = front.rest().headers.keys() | front.rest(x_canario_version="v9").headers.keys()
    assert not [name for name in names if name.startswith("x-envoy")]
    assert front.rest().headers["server"] == "canario"


def test_clients_cannot_command_the_proxy(front: Front) -> None:
    """A client's x-envoy-* headers (no retries, another timeout) are not obeyed."""
    answer = front.rest(
        x_envoy_upstream_rq_timeout_ms="1", x_envoy_max_retries="0", x_fault_v1="delay=0.1", x_fault_v2="delay=0.1"
    )
    assert answer.status == "200"


def test_grpc_health_is_answered_through_the_router(front: Front) -> None:
    """GRPC's own health service works at the router's port, also as a stream that stays open."""
    stub = health_pb2_grpc.HealthStub(front.channel)
    assert stub.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_no_server_at_all_is_said_plainly(start_front: StartFront, servers: dict[str, EchoServer]) -> None:
    """Without a single server: 503 with JSON, UNAVAILABLE for gRPC, and the model's name."""
    front = start_front()
    front.change(backends=tuple(replace(each, endpoints=()) for each in front.plan.backends))
    eventually(lambda: front.rest().status == "503")
    answer = front.rest()
    assert answer.content["error"] == "no server of fraud is ready"
    assert answer.content["hint"]
    assert front.grpc().status == "UNAVAILABLE"
    assert Counter(front.rest(x_canario_version="v1").status for _ in range(3)) == {"503": 3}
