"""The arm that must fail: the same traffic past the same kills, but from a client that asks only once; else the suite could not see a failure."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.kubernetes.kube import until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.steady import steady

KILLS = 2


def test_without_a_second_try_a_killed_router_is_noticed(at_rest: Model, report: Callable[[str], None]) -> None:
    """Neither drained nor asked again: some requests fail, and this suite counts them."""
    model, killer = at_rest, at_rest.killer
    with steady(model.target, None, 100) as clients:
        for _ in range(KILLS):
            killer.kill(killer.pods(component="router")[0])
            until(lambda: len(killer.pods(component="router")) == 2, "the killed router")
    tally = clients.tally
    report(f"control arm: {tally.requests:,} requests, {tally.failed} failed: {dict(tally.failures)}")
    assert tally.failed > 0
