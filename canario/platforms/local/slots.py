"""One server's place: a kept process with its own three ports, watched until it is warm, drained before it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from pathlib import Path

from canario.model.deployment import ServedVersion
from canario.model.split import Endpoint
from canario.platforms.local.keeper import KeptProcess
from canario.platforms.local.probes import Health, Prober
from canario.platforms.local.processes import (
    LOOPBACK,
    LocalProcess,
    Mark,
    Role,
    free_port,
    is_free,
    launch,
)

PROBE_WHEN_COLD_SECONDS = 0.1
PROBE_WHEN_READY_SECONDS = 0.5
HUNG_SECONDS = 30.0
"""A process that has answered nothing for this long is replaced. Until then silence changes nothing: it may be mere load,
and the router's own health checks have long led requests around it."""
COLD_SECONDS = 90.0
"""The longest that a server may take from its start to its first ready."""
LEAVE_SECONDS = 15.0
"""The longest that a leaving server is waited for while the router has requests to it; the router's own limit a request."""
LEAST_LEAVE_SECONDS = 0.3
DRAIN_SECONDS = 40.0
"""From SIGTERM to SIGKILL; longer than a server itself waits for its last requests."""


class Stage(Enum):
    """Where a server's life stands."""

    COLD = "cold"
    READY = "ready"
    LEAVING = "leaving"
    """Draining at the router: it gets no new requests, and its last ones are being answered."""
    STOPPING = "stopping"
    GONE = "gone"


class ServerSlot:
    """One of a version's servers. Call `tick` often; times are monotonic seconds."""

    def __init__(self, platform: Path, served: ServedVersion, number: int, prober: Prober) -> None:
        self.number = number
        self.stage = Stage.COLD
        self.endpoint = Endpoint(host=LOOPBACK, http_port=0, grpc_port=0)
        self.operator_port = 0
        """Where its metrics are read; the router never hears of it."""
        self._platform = platform
        self._served = served
        self._prober = prober
        self._log = platform / "logs" / f"{served.version}-{number}.log"
        self._kept = KeptProcess(f"server {number} of {served.version}", self._log, self._start)
        self._known: LocalProcess | None = None
        self._question: Future[Health] | None = None
        self._next_question_at = 0.0
        self._has_refused = False
        self._heard_at = 0.0
        self._stage_since = 0.0

    @property
    def process(self) -> LocalProcess | None:
        return self._kept.process

    @property
    def failure(self) -> str:
        return self._kept.failure

    @property
    def restarts(self) -> int:
        return self._kept.deaths

    def adopt(self, process: LocalProcess, now: float) -> None:
        """Take over a running server; it gets requests again only once it has said that it is ready."""
        mark = process.mark
        self.endpoint = Endpoint(host=LOOPBACK, http_port=mark.http_port, grpc_port=mark.grpc_port)
        self.operator_port = mark.operator_port
        self._kept.adopt(process, now)
        self._begin(process, now)

    def trust(self, now: float) -> None:
        """Take an adopted server that is too busy to say how it is for ready: it was in use when its supervisor died."""
        if self.stage is Stage.COLD and not self._has_refused and self._owns_its_ports():
            self._become_ready(now)

    def leave(self, now: float) -> None:
        """Begin to stop: no new requests first."""
        if self.stage in (Stage.COLD, Stage.READY):
            self._enter(Stage.LEAVING, now)

    def stay(self, now: float) -> None:
        """Take back a leave that has not become a stop yet."""
        if self.stage is Stage.LEAVING:
            self._enter(Stage.COLD, now)

    def tick(self, now: float, active_requests: Callable[[Endpoint], int]) -> None:
        """Go on by one look at the process and at its answers."""
        if self.stage in (Stage.COLD, Stage.READY):
            self._run(now)
        else:
            self._end(now, active_requests)

    def _run(self, now: float) -> None:
        self._kept.tick(now)
        if self._kept.process is not self._known:
            self._begin(self._kept.process, now)
        if self._kept.process is None:
            return
        if self._question is not None and self._question.done():
            self._hear(self._question.result(), now)
            self._question = None
        if self.stage is Stage.READY and now - self._heard_at > HUNG_SECONDS:
            self._replace(f"answered nothing for {HUNG_SECONDS:.0f} s, was killed, and died", now)
        elif self.stage is Stage.COLD and now - self._stage_since > COLD_SECONDS:
            self._replace(f"was not ready after {COLD_SECONDS:.0f} s, was killed, and died", now)
        elif self._question is None and now >= self._next_question_at:
            self._question = self._prober.about(self.endpoint.http_port)
            self._next_question_at = now + (
                PROBE_WHEN_READY_SECONDS if self.stage is Stage.READY else PROBE_WHEN_COLD_SECONDS
            )

    def _replace(self, reason: str, now: float) -> None:
        self._kept.replace(reason, now)
        self._begin(None, now)

    def _hear(self, health: Health, now: float) -> None:
        if health is Health.SILENT:
            return
        self._heard_at = now
        self._has_refused = health is Health.NOT_READY
        if self._has_refused and self.stage is Stage.READY:
            self._enter(Stage.COLD, now)
        elif health is Health.READY and self.stage is Stage.COLD and self._owns_its_ports():
            self._become_ready(now)

    def _become_ready(self, now: float) -> None:
        self._kept.has_worked()
        self._heard_at = now
        self._enter(Stage.READY, now)

    def _owns_its_ports(self) -> bool:
        """Whether the answers came from this slot's own process, and not from one that took a port first."""
        process = self._kept.process
        return process is not None and all(
            process.listens_on(port) for port in (self.endpoint.http_port, self.endpoint.grpc_port)
        )

    def _end(self, now: float, active_requests: Callable[[Endpoint], int]) -> None:
        process = self._kept.process
        if process is None or not process.is_alive():
            self._enter(Stage.GONE, now)
            return
        waited = now - self._stage_since
        if self.stage is Stage.LEAVING:
            is_idle = waited >= LEAST_LEAVE_SECONDS and active_requests(self.endpoint) == 0
            if is_idle or waited >= LEAVE_SECONDS:
                process.send(signal.SIGTERM)
                self._enter(Stage.STOPPING, now)
        elif self.stage is Stage.STOPPING and waited >= DRAIN_SECONDS:
            process.send(signal.SIGKILL)

    def _begin(self, process: LocalProcess | None, now: float) -> None:
        """Another process, or none: nothing is known of its health."""
        self._known = process
        self._question = None
        self._next_question_at = now
        self._has_refused = False
        self._heard_at = 0.0
        self._enter(Stage.COLD, now)

    def _enter(self, stage: Stage, now: float) -> None:
        self.stage = stage
        self._stage_since = now

    def _start(self) -> LocalProcess:
        """Start the version's own code on this slot's ports, or on others if somebody took these."""
        ports = [self.endpoint.http_port, self.endpoint.grpc_port, self.operator_port]
        for place, port in enumerate(ports):
            if not port or not is_free(port):
                ports[place] = free_port(ports)
        http_port, grpc_port, self.operator_port = ports
        self.endpoint = Endpoint(host=LOOPBACK, http_port=http_port, grpc_port=grpc_port)
        mark = Mark(
            platform=str(self._platform),
            role=Role.SERVER,
            version=self._served.version,
            slot=self.number,
            http_port=http_port,
            grpc_port=grpc_port,
            operator_port=self.operator_port,
        )
        listen = (
            *("--host", LOOPBACK, "--http-port", str(http_port), "--grpc-port", str(grpc_port)),
            *("--operator-port", str(self.operator_port)),
        )
        # The router sends it nothing any more when it is told to stop, so it need not wait to be noticed.
        command = (*self._served.command, *listen, "--linger-seconds", "0")
        return launch(command, mark, self._log, self._served.environment, Path(self._served.start_in))
