"""How a model stands, as series for Prometheus: who answers, what is on trial, shares asked and actual, servers; both platforms tell it alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric

from canario.model.deployment import Deployment
from canario.model.split import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One model at one moment; a loop swaps it whole, so that a scrape never sees half of it."""

    deployment: Deployment
    actual: Split | None
    """What the router really runs; None: nobody knows."""
    servers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By version, then by kind: `wanted` and `ready`; where something scales them also `lowest` and `highest`."""


def standing_families(standing: Standing | None) -> Iterator[Metric]:
    """The series of one model; nothing before the first look, and nothing of a model that is down."""
    if standing is None or not standing.deployment.is_up:
        return
    stable = GaugeMetricFamily("canario_stable_info", "The version that answers by default.", labels=["version"])
    stable.add_metric([standing.deployment.stable], 1)
    yield stable
    yield from _rollout(standing.deployment)
    split = GaugeMetricFamily(
        "canario_split_percent",
        "The share of requests that a version gets: as asked, and as the router really runs it.",
        labels=["version", "kind"],
    )
    for kind, found in (("asked", standing.deployment.split), ("actual", standing.actual)):
        for version, percent in _shares(found).items():
            split.add_metric([version, kind], percent)
    yield split
    servers = GaugeMetricFamily(
        "canario_servers", "Servers of a version: wanted, ready, and between what bounds.", labels=["version", "kind"]
    )
    for version, kinds in standing.servers.items():
        for kind, number in kinds.items():
            servers.add_metric([version, kind], number)
    yield servers


def _rollout(deployment: Deployment) -> Iterator[Metric]:
    if deployment.rollout is None:
        return
    state = deployment.rollout.state
    info = GaugeMetricFamily("canario_rollout_info", "The rollout under way.", labels=["rollout", "candidate", "phase"])
    info.add_metric([state.rollout, state.candidate, state.phase.value], 1)
    yield info
    since = GaugeMetricFamily(
        "canario_rollout_since_timestamp_seconds", "When its present phase, or the present step in it, began."
    )
    since.add_metric([], state.phase_since_seconds or state.started_at_seconds)
    yield since


def _shares(split: Split | None) -> dict[str, float]:
    if split is None:
        return {}
    shares = {split.stable: 100.0 - split.weight_percent}
    if split.candidate:
        shares[split.candidate] = split.weight_percent
    return shares
