"""What the control loop sees and moves: servers, router and labels in one place, each able to fail without the others."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from canario.adapters.measuring import Measuring
from canario.adapters.versions import read_version
from canario.model.deployment import Deployment, ServedVersion, ServerStatus
from canario.model.evidence import Command, Evidence
from canario.model.quality import LabelFigures
from canario.model.rollout import StrategyKind
from canario.model.split import Backend, Endpoint, Split
from canario.platforms.local.envoy import LocalRouter
from canario.platforms.local.labels import LabelWatch
from canario.platforms.local.mishaps import Mishaps
from canario.platforms.local.processes import LocalProcess
from canario.platforms.local.records import PlatformFiles
from canario.platforms.local.retraining import RetrainingWishes
from canario.platforms.local.servers import LocalServers
from canario.ports.rollout import Readiness, Traffic, Workloads
from canario.rollout.queries import queries

IDLE_LOOK_SECONDS = 1.0
"""How often the router is read while no rollout needs it."""


class World:
    """Everything of one model that runs on this machine."""

    def __init__(self, files: PlatformFiles, deployment: Deployment, mishaps: Mishaps) -> None:
        self._deployment = deployment
        self._servers = LocalServers(files.folder, deployment.processes, self._served, self._active_requests)
        self._router = LocalRouter(files, deployment, self._backends)
        label = read_version(Path(deployment.served[deployment.stable].folder)).card().label
        self._labels = LabelWatch(deployment.model, label)
        self._measuring = _measuring(deployment)
        self._wishes = RetrainingWishes(deployment.model)
        self._evidence = Evidence()
        self._looked_at = 0.0
        self._mishaps = mishaps

    def adopt(self, found: Sequence[LocalProcess]) -> None:
        """Take over what an earlier supervisor left; what nobody wants any more is drained."""
        self._servers.adopt(found, self._deployment.wanted)
        self._router.adopt(found, time.monotonic())

    @property
    def needs_another_admin_port(self) -> bool:
        return self._router.has_lost_its_admin_port

    def move_router(self, deployment: Deployment) -> None:
        """Have the router started at another admin port."""
        self._router.move(deployment)

    def look(self, deployment: Deployment, commands: tuple[Command, ...]) -> Evidence:
        """One look at everything. What cannot be read now is unknown; the rest is still seen."""
        now = time.monotonic()
        rollout = deployment.rollout
        is_shadow = rollout is not None and rollout.spec.strategy is StrategyKind.SHADOW
        pair = (rollout.state.stable, rollout.state.candidate) if rollout and is_shadow else None
        self._mishaps.attempt("labels", lambda: self._labels.tick(now, pair), None)
        if rollout is not None or now - self._looked_at >= IDLE_LOOK_SECONDS:
            self._looked_at = now
            evidence = self._look_at(self._router, self._servers, self._servers.running(), commands)
            asked = queries(rollout.spec, rollout.state, deployment.model) if rollout else {}
            self._measuring.tick(now, asked)
            self._evidence = self._measuring.add_to(evidence, now)
        return self._evidence

    def follow(self, deployment: Deployment) -> None:
        """Move the world one step towards what the deployment wants; returns at once, and is called again and again."""
        if deployment.prometheus_url != self._deployment.prometheus_url:
            self._measuring.close()
            self._measuring = _measuring(deployment)
        self._deployment = deployment
        self._mishaps.attempt("retraining", lambda: self._wishes.leave(deployment.retraining), None)
        _have_servers(self._servers, deployment.wanted)
        self._mishaps.attempt("servers", self._servers.tick, None)
        # The router is told first whom it may ask, and only then started: it never runs without a plan.
        self._mishaps.attempt("router", lambda: self._router.ask(deployment.split), None)
        self._mishaps.attempt("envoy", lambda: self._router.tick(time.monotonic()), None)

    def close(self) -> None:
        """Stop looking; everything goes on as it is."""
        self._servers.close()
        self._labels.close()
        self._measuring.close()

    @property
    def router_pid(self) -> int | None:
        return self._router.pid

    @property
    def actual(self) -> Split | None:
        """The split that was last read back from the router."""
        return self._evidence.router_split

    @property
    def router_failure(self) -> str:
        """Why Envoy cannot run, in words; empty while it can."""
        return self._router.failure

    @property
    def label_figures(self) -> LabelFigures | None:
        """What Prometheus is told of labels and quality; None while it is not known."""
        return self._labels.figures

    @property
    def servers(self) -> dict[str, dict[str, int]]:
        """By version: how many servers are wanted, and how many are ready."""
        ready, wanted = self._servers.ready(), self._deployment.wanted
        return {
            version: {
                "wanted": self._deployment.processes if version in wanted else 0,
                "ready": ready.get(version, 0),
            }
            for version in dict.fromkeys((*wanted, *ready))
        }

    def server_status(self) -> tuple[ServerStatus, ...]:
        return self._servers.status()

    def _look_at(
        self, traffic: Traffic, servers: Readiness, running: tuple[str, ...], commands: tuple[Command, ...]
    ) -> Evidence:
        counts = self._mishaps.attempt("counts", traffic.counts, None)
        return Evidence(
            counts=None if counts is None else self._labels.add_to(counts),
            comparison=self._labels.comparison,
            router_split=self._mishaps.attempt("split", traffic.actual, None),
            ready=servers.ready(),
            running=running,
            failures=servers.failures(),
            replicas=dict.fromkeys(self._deployment.wanted, self._deployment.processes),
            commands=commands,
        )

    def _served(self, version: str) -> ServedVersion | None:
        return self._deployment.served.get(version)

    def _backends(self, split: Split) -> tuple[Backend, ...]:
        return self._servers.backends(dict.fromkeys((split.stable, *self._deployment.wanted)))

    def _active_requests(self, endpoint: Endpoint) -> int:
        return self._router.active_requests(endpoint)


def _measuring(deployment: Deployment) -> Measuring:
    return Measuring(deployment.prometheus_url, f"`canario up {deployment.model} --prometheus URL` does it")


def _have_servers(workloads: Workloads, wanted: Iterable[str]) -> None:
    """Start the versions that shall have servers, stop the others."""
    wanted = tuple(wanted)
    for version in wanted:
        workloads.start(version)
    for version in workloads.running():
        if version not in wanted:
            workloads.stop(version)
