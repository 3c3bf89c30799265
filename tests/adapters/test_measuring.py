"""Queries are asked beside the control loop: a look never waits, and what nobody answers any more is unknown."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from canario.adapters.measuring import ASK_EVERY_SECONDS, OLDEST_ANSWER_SECONDS, Measuring
from canario.model.evidence import Evidence
from tests.adapters.real_prometheus import LOOPBACK, RealPrometheus, wait_for

pytestmark = pytest.mark.real
HOW = "`canario up --prometheus URL`"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPrometheus]:
    started = RealPrometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        started.tells('psi{version="v2"} 0.31')
        yield started
    finally:
        started.close()


def test_a_look_never_waits_and_sees_every_answer(real: RealPrometheus) -> None:
    """The first look knows nothing yet; a moment later numbers are there, and reasons where there are none."""
    measuring = Measuring(real.url, HOW)
    asked = {"psi": 'psi{version="v2"}', "none": "nobody_tells_this"}
    began = time.monotonic()
    measuring.tick(0.0, asked)
    first = measuring.add_to(Evidence(), 0.0)
    assert time.monotonic() - began < 0.5
    assert first.measurements == {}
    assert set(first.unmeasured) == {"psi", "none"}

    def both_answered() -> bool:
        measuring.tick(0.1, asked)
        return measuring.add_to(Evidence(), 0.1).unmeasured.get("none") == "there is no such series now"

    wait_for(both_answered, "the queries are not answered")
    assert measuring.add_to(Evidence(), 0.1).measurements == {"psi": 0.31}
    measuring.close()


def test_what_is_not_asked_any_more_is_forgotten(real: RealPrometheus) -> None:
    """A query that changes, with the next rollout, does not inherit the former one's number."""
    measuring = Measuring(real.url, HOW)

    def answered() -> bool:
        measuring.tick(0.0, {"psi": "psi"})
        return bool(measuring.add_to(Evidence(), 0.0).measurements)

    wait_for(answered, "the query is not answered")
    measuring.tick(0.0, {"psi": "psi + 1"})
    assert measuring.add_to(Evidence(), 0.0).measurements == {}
    measuring.tick(0.0, {})
    assert measuring.add_to(Evidence(), 0.0) == Evidence()
    measuring.close()


def test_an_answer_that_nobody_renews_is_none() -> None:
    """While Prometheus hangs the last number holds for a while, and then nothing is known."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        measuring = Measuring(f"http://{LOOPBACK}:{silent.getsockname()[1]}", HOW)
        measuring.tick(0.0, {"psi": "psi"})
        assert measuring.add_to(Evidence(), 0.0).unmeasured == {"psi": "it has not been answered yet"}
        wait_for(lambda: _is_given_up(measuring), "a question is never given up")
        later = ASK_EVERY_SECONDS + OLDEST_ANSWER_SECONDS + 1
        assert measuring.add_to(Evidence(), later).unmeasured == {"psi": "nobody has answered for 16 s"}
        measuring.close()


def _is_given_up(measuring: Measuring) -> bool:
    measuring.tick(ASK_EVERY_SECONDS, {"psi": "psi"})
    return "did not answer within" in measuring.add_to(Evidence(), ASK_EVERY_SECONDS).unmeasured["psi"]


def test_without_a_prometheus_the_reason_says_how_to_name_one() -> None:
    """A gate that asks nobody is unknown, and tells a person what to do."""
    measuring = Measuring("", HOW)
    measuring.tick(0.0, {"psi": "psi"})
    assert measuring.add_to(Evidence(), 0.0).unmeasured == {"psi": f"no Prometheus is named: {HOW}"}
    measuring.close()
