"""What a scrape of the router costs: a bounded number of series, whatever clients send."""

from __future__ import annotations

import contextlib
import random
import re
import string

import grpc
import httpx
import pytest

from tests.router.conftest import Front, StartFront
from tests.serving.metric_text import Series, scraped

pytestmark = pytest.mark.real

MOST_SERIES = 600
"""Of a router with two versions, used over both protocols; about 190 a version come with it."""


def told(front: Front, query: str = "?usedonly") -> Series:
    return scraped(f"http://127.0.0.1:{front.plan.admin_port}/stats/prometheus{query}")


def test_a_scrape_is_small(start_front: StartFront) -> None:
    """With two versions in use over REST and gRPC, Prometheus gets some hundreds of series, and none of Envoy's inner life."""
    front = start_front(50.0)
    for protocol in ("rest", "grpc"):
        front.tally(protocol, 40)
    used, every = told(front), told(front, "")
    names = {name for name, _ in every}
    assert len(used) < MOST_SERIES, len(used)
    assert not any(
        re.search("cx_length_ms|rq_per_cx|update_duration|listener_admin_|http_operator", name) for name in names
    )
    assert {"envoy_canario_attempts_total", "envoy_canario_clients_answers_total"} <= names
    assert any(name.startswith("envoy_http_downstream_rq_time") for name in names)


def test_clients_cannot_make_series(start_front: StartFront) -> None:
    """Paths, methods, headers and versions that nobody knows add no series but those of closed lists of codes and flags."""
    front, chance = start_front(50.0), random.Random(3)
    for protocol in ("rest", "grpc"):
        front.tally(protocol, 40)

    def junk() -> str:
        return "".join(chance.choices(string.ascii_letters + string.digits, k=chance.randint(1, 20)))

    def ask(times: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{front.plan.port}", trust_env=False, timeout=20) as client:
            for _ in range(times):
                headers = {junk(): junk(), "x-canario-version": junk(), "content-type": f"application/{junk()}"}
                client.request(chance.choice(["GET", "POST", "DELETE", junk()]), f"/{junk()}/{junk()}", headers=headers)
                client.get(f"/{junk()}")
        with grpc.insecure_channel(f"127.0.0.1:{front.plan.port}") as channel:
            for _ in range(times):
                with contextlib.suppress(grpc.RpcError):
                    channel.unary_unary(f"/{junk()}/{junk()}", bytes, bytes)(
                        b"x", timeout=20, metadata=((junk().lower(), junk()),)
                    )

    ask(50)
    before = told(front)
    ask(100)
    assert len(told(front)) - len(before) <= 10
    assert len(before) < MOST_SERIES
