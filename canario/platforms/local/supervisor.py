"""The control loop of one model on one machine: look, decide, write down, carry out; ten times a second, for as long as it is up.

The data path never depends on it. SIGTERM ends this loop alone: servers and router go on with the last split, and the next
supervisor adopts them. Only `down` stops everything.

Each turn goes: requests and evidence are read, the decision is made, the journal is appended, the state is written, taken
requests are forgotten, and only then is the world made to follow the state. A kill between any two of these leaves a state
from which the next supervisor does the rest.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import replace
from types import FrameType

import msgspec
from prometheus_client import CollectorRegistry

from canario.errors import NotFound
from canario.model.deployment import Deployment, Observation
from canario.model.evidence import Evidence
from canario.model.verdict import Verdict
from canario.platforms.exporter import Exporter, serve_operator
from canario.platforms.label_families import label_families
from canario.platforms.local.ending import stop_everything
from canario.platforms.local.envoy import drain
from canario.platforms.local.lock import held_lock
from canario.platforms.local.logs import bound_logs
from canario.platforms.local.mishaps import Mishaps
from canario.platforms.local.processes import LOOPBACK, find_processes, free_port, is_free
from canario.platforms.local.records import PlatformFiles
from canario.platforms.local.targets import Targets
from canario.platforms.local.world import World
from canario.platforms.standing import Standing, standing_families
from canario.ports.rollout import Journal
from canario.retraining.records import FileRetrainings
from canario.retraining.telling import family_of
from canario.rollout.replay import entry_of
from canario.rollout.turns import Turn, advance, commands_among, take_requests

PERIOD_SECONDS = 0.1
HEARTBEAT_SECONDS = 0.5
HOUSEKEEPING_SECONDS = 10.0

_log = logging.getLogger(__name__)


def supervise(model: str) -> None:
    """Run the loop until it is taken down or told to end by SIGTERM.

    Raises Conflict, naming the other, when a supervisor runs already; NotFound when the model was never up.
    """
    files = PlatformFiles.of(model)
    with held_lock(files.folder, model):
        deployment = files.deployment()
        if deployment is None:
            raise NotFound(f"{model} was never up here", at=str(files.state), hint=f"`canario up {model}` brings it up")
        supervisor = Supervisor(files, deployment)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, supervisor.end)
        supervisor.run()


class Supervisor:
    """The loop; hold the platform's lock while it runs."""

    def __init__(self, files: PlatformFiles, deployment: Deployment) -> None:
        self._files = files
        self._journal: Journal = files.journal
        self._deployment = deployment
        self._mishaps = Mishaps()
        self._world = World(files, deployment, self._mishaps)
        self._targets = Targets(deployment.model)
        self._standing: Standing | None = None
        self._exporter = Exporter()
        whose = {"model": deployment.model}
        self._exporter.add(whose, lambda: standing_families(self._standing))
        self._exporter.add(whose, lambda: label_families(self._world.label_figures))
        self._exporter.add(whose, lambda: [family_of(FileRetrainings(deployment.model).all())])
        self._ending = threading.Event()
        self._verdict: Verdict | None = None
        self._noted: tuple[object, ...] = ()
        self._since_seconds = time.time()
        self._next_heartbeat = 0.0
        self._operator_port = 0
        self._next_housekeeping = 0.0

    def end(self, number: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a signal handler's own signature
        """End after the present turn, leaving servers and router to themselves."""
        self._ending.set()

    def run(self) -> None:
        """Turn after turn, until it is ended or all that was up is down."""
        _log.info("supervising %s as process %d", self._deployment.model, os.getpid())
        self._world.adopt(find_processes(self._files.folder))
        while self._deployment.is_up and not self._ending.is_set():
            began = time.monotonic()
            self._mishaps.attempt("admin port", self._keep_admin_port, None)
            self._mishaps.attempt("deciding", self._decide, None)
            if self._deployment.is_up:
                self._world.follow(self._deployment)
            self._mishaps.attempt("telling", self._show, None)
            self._ending.wait(max(0.01, PERIOD_SECONDS - (time.monotonic() - began)))
        self._world.close()
        if not self._deployment.is_up:
            stop_everything(self._files.folder, lambda: drain(self._deployment.admin_port))
            self._targets.remove()
        _log.info("ended; %s", "servers and router go on" if self._deployment.is_up else "everything is down")

    def _answer_operators(self) -> int:
        """Let Prometheus ask, at the last supervisor's port if it is free; without a port everything else goes on."""
        last = self._files.observation()
        wished = last.operator_port if last and last.operator_port and is_free(last.operator_port) else free_port()
        registry = CollectorRegistry()
        registry.register(self._exporter)
        server = self._mishaps.attempt(
            "operators", lambda: serve_operator(wished, lambda: self._standing is not None, registry, LOOPBACK), None
        )
        return server.server_port if server else 0

    def _tell_targets(self) -> None:
        self._targets.tell(self._world.server_status(), self._operator_port, self._deployment.admin_port)

    def _keep_admin_port(self) -> None:
        if not self._world.needs_another_admin_port:
            return
        taken = self._deployment.admin_port
        moved = replace(self._deployment, admin_port=free_port((self._deployment.port,)))
        self._files.keep(moved)
        self._deployment = moved
        self._world.move_router(moved)
        _log.warning(
            "port %d was taken before the router could have it; its operator asks at %d now", taken, moved.admin_port
        )

    def _decide(self) -> None:
        now_seconds = time.time()
        requests = list(self._files.requests.waiting(self._deployment.last_request))
        taken = take_requests(self._deployment, requests, now_seconds)
        commands = commands_among(taken, requests)
        evidence = self._world.look(taken, commands)
        turn = advance(taken, evidence, now_seconds)
        self._note(turn, evidence, now_seconds, took_commands=turn.deployment.last_request != taken.last_request)
        if turn.deployment != self._deployment:
            self._files.keep(turn.deployment)
            self._deployment = turn.deployment
        if requests:
            self._files.requests.forget(up_to=self._deployment.last_request)

    def _note(self, turn: Turn, evidence: Evidence, now_seconds: float, *, took_commands: bool) -> None:
        """Append to the journal when orders, phase, step or answer differ from the last note, or a command was taken."""
        if turn.before is None or turn.decision is None:
            self._noted, self._verdict = (), None
            return
        decision, self._verdict = turn.decision, turn.decision.verdict
        state = decision.state
        present = (state.rollout, state.phase, state.step_index, decision.verdict.answer, decision.orders)
        if present != self._noted or took_commands:
            entry = entry_of(0, turn.before.spec, turn.before.state, evidence, decision, now_seconds)
            self._journal.append(msgspec.to_builtins(entry))
            self._noted = present

    def _show(self) -> None:
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + HEARTBEAT_SECONDS
            self._operator_port = self._operator_port or self._answer_operators()
            self._files.show(
                Observation(
                    pid=os.getpid(),
                    at_seconds=time.time(),
                    since_seconds=self._since_seconds,
                    router_pid=self._world.router_pid,
                    actual=self._world.actual,
                    servers=self._world.server_status(),
                    verdict=self._verdict,
                    last_error=self._mishaps.words or self._world.router_failure,
                    operator_port=self._operator_port,
                )
            )
            self._standing = Standing(
                deployment=self._deployment, actual=self._world.actual, servers=self._world.servers
            )
            self._mishaps.attempt("targets", self._tell_targets, None)
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + HOUSEKEEPING_SECONDS
            for folder in (self._files.logs, self._files.router):
                bound_logs(folder)
