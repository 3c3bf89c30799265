"""The model's Envoy as a kept process, given its plan and read back; what a plan looks like to Envoy is for canario.router."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterable, Mapping

from canario.adapters.envoy_drain import DrainingEnvoy
from canario.errors import Unavailable
from canario.model.deployment import Deployment
from canario.model.evidence import Counts
from canario.model.split import Backend, Endpoint, RouterPlan, Split
from canario.platforms.local.ending import stop
from canario.platforms.local.keeper import KeptProcess
from canario.platforms.local.processes import LOOPBACK, LocalProcess, Mark, Role, is_free, launch
from canario.platforms.local.records import PlatformFiles
from canario.router.folder import Router

WARMING_SECONDS = 0.05
"""How long one turn waits for Envoy to look at new servers; the next turn asks again."""
QUIET_SECONDS = 10.0
"""The longest that taking everything down waits for the last requests."""


class LocalRouter:
    """As canario.ports.rollout.Traffic wants it. A change of weights or servers never restarts Envoy."""

    def __init__(
        self, files: PlatformFiles, deployment: Deployment, backends: Callable[[Split], tuple[Backend, ...]]
    ) -> None:
        self._files = files
        self._deployment = deployment
        self._backends = backends
        self._router = Router(files.router, deployment.admin_port)
        self._kept = KeptProcess("the router", files.logs / "router.log", self._start)
        self._written: RouterPlan | None = None

    def adopt(self, found: Iterable[LocalProcess], now: float) -> None:
        """Take over the Envoy that an earlier supervisor started; a second one is ended."""
        routers = [process for process in found if process.mark.role is Role.ROUTER]
        if routers:
            self._kept.adopt(routers[0], now)
        stop(routers[1:])

    @property
    def has_lost_its_admin_port(self) -> bool:
        """Whether somebody else took the port before Envoy could: it would die there at every start."""
        return self._kept.process is None and not is_free(self._deployment.admin_port)

    def move(self, deployment: Deployment) -> None:
        """Have the next Envoy answer at the deployment's admin port."""
        self._deployment = deployment
        self._router = Router(self._files.router, deployment.admin_port)
        self._written = None

    def ask(self, split: Split) -> None:
        """Have Envoy run this split with the servers that are ready now. Raises RouterError if Envoy refuses it."""
        plan = RouterPlan(
            model=self._deployment.model,
            port=self._deployment.port,
            admin_port=self._deployment.admin_port,
            split=split,
            backends=self._backends(split),
            latency_milliseconds=self._deployment.latency_milliseconds,
        )
        if plan != self._written and self._router.write(plan, WARMING_SECONDS):
            self._written = plan

    def actual(self) -> Split | None:
        """The split that Envoy really runs; None if it cannot be read."""
        split = self._router.split() if self._kept.process else None
        if split is not None:
            self._kept.has_worked()
        return split

    def tick(self, now: float) -> None:
        """Keep Envoy running, once an `ask` has left a plan for its ports. Monotonic seconds."""
        if self._kept.process is not None or self._router.can_start():
            self._kept.tick(now)

    def counts(self) -> Mapping[str, Counts] | None:
        """By version: cumulative counts of first attempts, None if they cannot be read now."""
        # Without an Envoy of ours whoever answers at its port is a stranger.
        return self._router.counts() if self._kept.process else None

    def active_requests(self, endpoint: Endpoint) -> int:
        """What a server has under way; a router that cannot be read sends nothing."""
        return self._router.active_requests(endpoint) or 0

    @property
    def pid(self) -> int | None:
        return self._kept.process.pid if self._kept.process else None

    @property
    def failure(self) -> str:
        return self._kept.failure

    def _start(self) -> LocalProcess:
        mark = Mark(platform=str(self._files.folder), role=Role.ROUTER)
        return launch(self._router.command(), mark, self._files.logs / "router.log", {})


def read_split(files: PlatformFiles, admin_port: int) -> Split | None:
    """The split that a platform's Envoy runs, for who has no supervisor to ask."""
    return Router(files.router, admin_port).split()


def answers_clients(port: int) -> bool:
    """Whether a client that asks at the router's port finds a ready server."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def drain(admin_port: int) -> None:
    """Have Envoy send its clients away; returns when it has no more requests, or after a while."""
    envoy = DrainingEnvoy(admin_port)
    with contextlib.suppress(Unavailable):
        envoy.send_clients_away()
        envoy.wait_until(lambda clients: clients.requests == 0, QUIET_SECONDS)
