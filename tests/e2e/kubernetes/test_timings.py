"""How soon: a bad version is away, a good one is up, a weight is real; at 200 requests a second, measured at the routers themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from canario.adapters.kubernetes_api import Object
from canario.model.journal import OrderKind
from canario.model.rollout import Phase
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary
from tests.e2e.kubernetes.steady import steady
from tests.e2e.kubernetes.watcher import Sighting, Watcher

RATE = 200.0
EQUAL_RATE = 60.0
"""These two versions run on scikit-learn itself, which is ten times as slow."""
ONE_POINT: list[Object] = [{"kind": "errors", "marginPercent": 1}]
TWO_POINTS: list[Object] = [{"kind": "errors", "marginPercent": 2}]


def test_a_version_that_fails_all_is_gone_in_three_seconds(at_rest: Model, report: Callable[[str], None]) -> None:
    """From its first request at 10 % to its last: at most 3 s and 40 bad answers, which clients do not see."""
    seen, end = watched(at_rest, at_rest.fresh("v4"), canary(minimum_requests=100, gates=ONE_POINT))
    report(f"fails all, 10 % of {RATE:.0f}/s: {seen.exposed_seconds:.2f} s, {seen.bad_answers} bad answers")
    assert end["phase"] == Phase.ROLLED_BACK
    assert seen.exposed_seconds <= 3.0
    assert 0 < seen.bad_answers <= 40


def test_a_version_that_fails_five_percent_is_never_promoted(at_rest: Model, report: Callable[[str], None]) -> None:
    """It is thrown back within seconds; benchmarks/kubernetes.py gives the median of many."""
    seen, end = watched(at_rest, at_rest.fresh("v3"), canary(minimum_requests=100, gates=ONE_POINT))
    report(f"fails 5 %, 10 % of {RATE:.0f}/s: {seen.exposed_seconds:.2f} s, {seen.bad_answers} bad answers")
    assert end["phase"] == Phase.ROLLED_BACK
    assert seen.exposed_seconds <= 40.0


def test_a_good_version_is_up_in_thirty_seconds(at_rest: Model, report: Callable[[str], None]) -> None:
    """10, 50, 100 %: each step as soon as it has proved something, each weight real soon after it was decided."""
    model, good = at_rest, at_rest.fresh("v2")
    seen, end = watched(model, good, canary(minimum_requests=100, gates=TWO_POINTS))
    assert end["phase"] == Phase.PROMOTED
    rise = seen.weights_at[100] - seen.weights_at[10]
    decided: dict[float, float] = {}
    for entry in model.journal():
        for order in entry.orders:
            if entry.after.candidate == good and order.kind is OrderKind.SET_SPLIT and order.split:
                decided.setdefault(order.split.weight_percent, entry.at_seconds)
    lags = {weight: seen.weights_at[weight] - decided[weight] for weight in (10, 50, 100)}
    assert seen.first_request_at is not None
    first = seen.first_request_at - decided[10]
    told = ", ".join(f"{weight:g} % after {lag:.2f} s" for weight, lag in lags.items())
    report(f"10 to 100 % in {rise:.1f} s; from decision to all routers: {told}; to the first request {first:.2f} s")
    assert rise <= 30.0
    assert first <= 1.5
    assert max(lags.values()) <= 2.5


@pytest.fixture
def restored(at_rest: Model) -> Iterator[Model]:
    """The model; afterwards a version that answers everything, for whoever comes next."""
    yield at_rest
    at_rest.rest()
    at_rest.upgrade("v1", canary())
    at_rest.the_end("v1")


def test_an_equal_version_is_promoted_where_stable_itself_fails(restored: Model, report: Callable[[str], None]) -> None:
    """Stable fails 0.5 % of requests and so does the candidate: that is no reason to throw it back.

    These are requests that no version in sight can answer: clients see them fail, and they are no part of the ledger.
    """
    model, stable, equal = restored, restored.fresh("v5"), restored.fresh("v6")
    with steady(model.target, None, EQUAL_RATE) as clients:
        model.upgrade(stable, canary(100, minimum_requests=10, gates=[{"kind": "errors", "marginPercent": 50}]))
        assert model.the_end(stable)["phase"] == Phase.PROMOTED
        with Watcher(model, equal) as watcher:
            model.upgrade(equal, canary(50, 100, minimum_requests=400, gates=TWO_POINTS))
            end = model.the_end(equal)
    seen, tally = watcher.seen, clients.tally
    report(f"equal at 0.5 %: {end['phase']}, {seen.bad_answers} of {seen.requests:,} answers of the candidate were bad")
    assert end["phase"] == Phase.PROMOTED
    assert 0 < tally.failed < 0.02 * tally.requests


def watched(model: Model, candidate: str, plan: Object) -> tuple[Sighting, Object]:
    """A rollout at 200 requests a second from its start to its end, with the routers looked at all the while."""
    with model.traffic(RATE), Watcher(model, candidate) as watcher:
        model.upgrade(candidate, plan)
        end = model.the_end(candidate)
    return watcher.seen, end
