"""The plans of the scenarios, as values of the chart: short waits and real gates, so that a good version rises only when it has proved something."""

from __future__ import annotations

from canario.adapters.kubernetes_api import Object

GATES = [{"kind": "errors", "marginPercent": 5}]
WATCH: Object = {"seconds": 2, "errorPercent": 50, "slowPercent": 100}
"""Deaths are forgiven in the watch: most scenarios kill on purpose, and look at what clients see of it."""


def canary(*weights: float, minimum_requests: int = 60, gates: list[Object] | None = None, **watch: float) -> Object:
    """Rising weights: 10, 50 and 100 % unless others are named."""
    steps = [
        {"weightPercent": weight, "minimumRequests": minimum_requests, "longestSeconds": 120}
        for weight in weights or (10, 50, 100)
    ]
    return {"strategy": {"type": "canary", "steps": steps, "gates": gates or GATES}, "watch": WATCH | watch}


def blue_green(minimum_requests: int = 60) -> Object:
    """A preview for those who name the version, and one switch."""
    steps = [{"weightPercent": 0, "minimumRequests": minimum_requests, "longestSeconds": 120}]
    gates = [{"kind": "errors", "marginPercent": 10}]
    return {"strategy": {"type": "blue-green", "steps": steps, "gates": gates}, "watch": WATCH}


def shadow(minimum_requests: int = 100, *, promotes: bool = True) -> Object:
    """Copies only; then one switch, or a report."""
    steps = [{"weightPercent": 0, "minimumRequests": minimum_requests, "longestSeconds": 120}]
    gates = [{"kind": "disagreement", "marginPercent": 20}, {"kind": "errors", "marginPercent": 10}]
    strategy = {"type": "shadow", "steps": steps, "gates": gates, "promoteAfterShadow": promotes}
    return {"strategy": strategy, "watch": WATCH}


def held(weight: float = 10) -> Object:
    """A canary that stays at its first weight, however good it is, until somebody moves it."""
    return canary(weight, 100, minimum_requests=1_000_000)
