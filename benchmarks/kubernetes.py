"""How soon a bad version is away on a real cluster, and a good one up: the same rollouts again and again, with medians.

    python -m benchmarks.kubernetes --repeats 5

It uses the cluster of KUBECONFIG, else the tests' own (`make cluster`), and two namespaces that are gone in the end. Times and
bad answers are read from the routers themselves, not from what the controller says.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.machine import versions_line
from canario.adapters.kubernetes_api import Object
from canario.model.rollout import Phase
from tests.cluster import model_images
from tests.cluster.cluster import up
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kube import Kube
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary
from tests.e2e.kubernetes.steady import Ledger
from tests.e2e.kubernetes.watcher import Sighting, Watcher


def gates(margin_percent: float) -> list[Object]:
    """One gate, on errors."""
    return [{"kind": "errors", "marginPercent": margin_percent}]


@contextmanager
def a_model() -> Iterator[Model]:
    """A controller and a model with v1, in namespaces of their own."""
    cluster = up()
    image, images = model_images.canario_image(), model_images.e2e_images()
    cluster.load(image, *images.values())
    kube, ledger = Kube(cluster), Ledger()
    try:
        models, own = (kube.make_namespace(f"bench-{uuid.uuid4().hex[:6]}") for _ in range(2))
        controller = Controller(kube, own, [models], image, ledger)
        controller.install()
        model = Model(kube, models, ledger, image)
        model.install("v1", canary())
        yield model
        model.uninstall()
        controller.uninstall()
    finally:
        kube.remove_namespaces()


def rollout(model: Model, candidate: str, plan: Object, rate: float) -> tuple[Sighting, Object]:
    """One rollout from v1 under traffic, and what the routers showed of it."""
    model.settle("v1")
    with model.traffic(rate), Watcher(model, candidate) as watcher:
        model.upgrade(candidate, plan)
        end = model.the_end(candidate, 180)
    return watcher.seen, end


def thrown_back(model: Model, candidate: str, rate: float, repeats: int) -> bool:
    """A bad version, some times; whether it was never promoted."""
    seconds, bad, phases = [], [], []
    for _ in range(repeats):
        seen, end = rollout(model, candidate, canary(minimum_requests=100, gates=gates(1)), rate)
        seconds.append(seen.exposed_seconds)
        bad.append(seen.bad_answers)
        phases.append(end["phase"])
    print(
        f"{candidate}: from its first request to its last: median {statistics.median(seconds):.2f} s "
        f"({min(seconds):.2f} to {max(seconds):.2f}); bad answers {min(bad)} to {max(bad)}; {phases}",
        flush=True,
    )
    return set(phases) == {Phase.ROLLED_BACK.value}


def promoted(model: Model, rate: float, repeats: int) -> bool:
    """A good version, some times; whether it was always promoted."""
    rises, phases = [], []
    for _ in range(repeats):
        candidate = model.fresh("v2")
        seen, end = rollout(model, candidate, canary(minimum_requests=100, gates=gates(2)), rate)
        rises.append(seen.weights_at.get(100, float("inf")) - seen.weights_at.get(10, 0.0))
        phases.append(end["phase"])
    print(f"good version, 10 to 100 %: median {statistics.median(rises):.1f} s (up to {max(rises):.1f}); {phases}")
    return set(phases) == {Phase.PROMOTED.value}


def main() -> int:
    """All of it; 0 when bad versions were always thrown back, good ones promoted, and no client saw a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--requests-per-second", type=float, default=200.0)
    flags = parser.parse_args()
    print(f"{versions_line()}; {platform.machine()}, {os.cpu_count()} cores", flush=True)
    with a_model() as model:
        rate, repeats = flags.requests_per_second, flags.repeats
        held = [thrown_back(model, candidate, rate, repeats) for candidate in ("v4", "v3")]
        held.append(promoted(model, rate, repeats))
        print(model.ledger.told())
    return 0 if all(held) and not model.ledger.failed else 1


if __name__ == "__main__":
    sys.exit(main())
