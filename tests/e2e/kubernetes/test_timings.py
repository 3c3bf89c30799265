"""How soon: a bad version is away, a good one is up, a weight is real; at 200 requests a second, measured at the routers themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Rise:
    """How soon a good version was up."""

    seconds: float
    """From 10 to 100 %."""
    first_request_seconds: float
    """From the decision for 10 % to the candidate's first request."""
    longest_lag_seconds: float
    """From a decision to all routers."""

    @property
    def is_in_time(self) -> bool:
        return self.seconds <= 30.0 and self.first_request_seconds <= 1.5 and self.longest_lag_seconds <= 2.5


def test_a_good_version_is_up_in_thirty_seconds(at_rest: Model, report: Callable[[str], None]) -> None:
    """10, 50, 100 %: each step as soon as it has proved something, each weight real within 1.5 s of its decision.

    One change may meet a machine that has other things to do: when it is late, two more are made, and two of the three must be in time.
    """
    rises = [risen(at_rest, report)]
    while not rises[0].is_in_time and len(rises) < 3:
        rises.append(risen(at_rest, report))
    assert sum(rise.is_in_time for rise in rises) > len(rises) / 2, rises


def risen(model: Model, report: Callable[[str], None]) -> Rise:
    """One rollout of a good version, and how soon it was up."""
    good = model.fresh("v2")
    seen, end = watched(model, good, canary(minimum_requests=100, gates=TWO_POINTS))
    assert end["phase"] == Phase.PROMOTED
    decided: dict[float, float] = {}
    for entry in model.journal():
        for order in entry.orders:
            if entry.after.candidate == good and order.kind is OrderKind.SET_SPLIT and order.split:
                decided.setdefault(order.split.weight_percent, entry.at_seconds)
    lags = {weight: seen.weights_at[weight] - decided[weight] for weight in (10, 50, 100)}
    assert seen.first_request_at is not None
    rise = Rise(
        seconds=seen.weights_at[100] - seen.weights_at[10],
        first_request_seconds=seen.first_request_at - decided[10],
        longest_lag_seconds=max(lags.values()),
    )
    told = ", ".join(f"{weight:g} % after {lag:.2f} s" for weight, lag in lags.items())
    first = f"to the first request {rise.first_request_seconds:.2f} s"
    report(f"10 to 100 % in {rise.seconds:.1f} s; from decision to all routers: {told}; {first}")
    return rise


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
