"""What the router counts for its clients' objectives: each request once, as the client saw it end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from canario.router.bootstrap import ANSWERS, CLIENTS_STATISTICS, SLOW_ANSWERS
from tests.router.conftest import Front, StartFront

pytestmark = pytest.mark.real


def counted(front: Front, counter: str) -> Counter[tuple[str, str, str]]:
    """How many requests have ended, by the version that answered, HTTP status and gRPC status."""
    port = front.plan.admin_port
    text = httpx.get(f"http://127.0.0.1:{port}/stats/prometheus?filter=^{CLIENTS_STATISTICS}\\.", trust_env=False).text
    return Counter(
        {
            tuple(sample.labels[tag] for tag in ("version", "code", "grpc")): int(sample.value)  # type: ignore[misc]
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.removesuffix("_total") == f"envoy_{CLIENTS_STATISTICS}_{counter}"
        }
    )


def test_a_rescued_request_is_a_good_answer(start_front: StartFront) -> None:
    """A candidate's failure that stable answered counts against the candidate, and not against what clients were promised."""
    front = start_front(100.0)
    front.tally("rest", 10, x_fault_v2="status=500")
    front.tally("grpc", 10, x_fault_v2="grpc=13")
    assert front.counts("v2").errors == 20
    assert counted(front, ANSWERS) == {("v1", "200", ""): 10, ("v1", "200", "0"): 10}


def test_a_failure_that_the_client_saw_is_counted_over_both_protocols(start_front: StartFront) -> None:
    """A gRPC failure travels with status 200, and is counted by its own code."""
    front = start_front(100.0)
    front.tally("rest", 5, x_fault_v2="status=500", x_canario_version="v2")
    front.tally("grpc", 5, x_fault_v2="grpc=13", x_canario_version="v2")
    assert counted(front, ANSWERS) == {("v2", "500", ""): 5, ("v2", "200", "13"): 5}


def test_slow_is_what_the_client_waited(start_front: StartFront) -> None:
    """A request that was fast in the end, after a wait for a server that hung, was slow for its client."""
    front = start_front(100.0, timeout_seconds=1.0)
    front.rest(x_fault_v2="hang")
    front.rest()
    assert counted(front, ANSWERS).total() == 2
    assert counted(front, SLOW_ANSWERS) == {("v1", "200", ""): 1}


def test_what_clients_saw_is_no_evidence(start_front: StartFront) -> None:
    """The judge of a rollout reads first attempts alone, however much else is counted."""
    front = start_front(100.0)
    front.change(replace(front.plan.split, weight_percent=0.0))
    front.tally("rest", 4)
    assert front.counts("v1").requests == 4
