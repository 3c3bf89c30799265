"""One model on this machine, as the CLI and the tests use it; it starts, asks and tells, and decides nothing."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from canario.adapters.versions import StoredVersion, find_version
from canario.errors import Conflict, IntegrityError, NotFound, PlanError, Unavailable
from canario.model.address import Address
from canario.model.deployment import Deployment, Status
from canario.model.evidence import CommandKind
from canario.model.journal import JournalEntry
from canario.model.requests import Request, StartRollout, TakeDown, UsePrometheus, Wish
from canario.model.rollout import GateKind, RolloutSpec
from canario.model.split import Split
from canario.platforms.local.ending import stop, stop_everything
from canario.platforms.local.envoy import drain
from canario.platforms.local.lock import held_lock, is_held
from canario.platforms.local.logs import last_words, size_of
from canario.platforms.local.processes import (
    LocalProcess,
    Mark,
    Role,
    find_processes,
    free_port,
    is_free,
    launch,
)
from canario.platforms.local.records import PlatformFiles
from canario.platforms.local.starting import served_version
from canario.platforms.local.status import status_of, what_is_missing
from canario.platforms.local.targets import Targets
from canario.rollout.moves import what_stands_against
from canario.rollout.plan import lint, lint_for, undo
from canario.rollout.turns import stable_before, taken_down

Progress = Callable[[str], None]

READY_SECONDS = 120.0
"""The longest that `up` waits for the stable version's servers and the router."""
TAKEN_SECONDS = 10.0
"""The longest that a request waits to be taken; a supervisor takes one within a tenth of a second."""
DOWN_SECONDS = 60.0
PROMETHEUS_VARIABLE = "CANARIO_PROMETHEUS_URL"
"""Where query gates are asked when nobody says it."""

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What `up` found or did."""

    url: str
    version: str
    was_up: bool
    """Whether everything ran already; False after a fresh start or after a supervisor was started again."""


def _silent(_: str) -> None:
    """Nobody wants to know."""


class LocalPlatform:
    """The local platform of one model."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.address = Address()
        self._files = PlatformFiles.of(model)

    def up(
        self,
        version: StoredVersion | None = None,
        *,
        port: int = 8080,
        processes: int = 2,
        prometheus_url: str = "",
        progress: Progress = _silent,
        wait_seconds: float = READY_SECONDS,
    ) -> Started:
        """Have the model answered at `port` by `processes` servers; returns once they are all ready.

        None means the version that was stable last, or else the newest. What is up already stays as it is; after a killed
        supervisor, or a restart of the machine, everything goes on from where it was, a rollout included. `prometheus_url` is
        where query gates are asked; empty means as the environment says, or as before.
        Raises Conflict when another version is up or the port is taken, Unavailable when it does not become ready.
        """
        prometheus_url = prometheus_url or os.environ.get(PROMETHEUS_VARIABLE, "")
        deployment = self._files.deployment()
        if deployment is None or not deployment.is_up:
            self._begin(self._first_version(version, deployment), port, processes, prometheus_url, progress)
            try:
                return self._run(progress, wait_seconds)
            except BaseException:
                self.down(progress)  # half a platform helps nobody
                raise
        if version is not None and version.record.name.tag != deployment.stable:
            raise Conflict(
                f"{self.model} is up with {deployment.stable}",
                at=str(self._files.state),
                hint=f"`canario rollout {version.record.name}` brings the other version in, judged step by step",
            )
        if not is_held(self._files.folder) and not find_processes(self._files.folder):
            self._refuse_a_taken_port(deployment.port)
        started = self._run(progress, wait_seconds)
        if prometheus_url not in ("", deployment.prometheus_url):
            self._ask(UsePrometheus(prometheus_url))
        return started

    def start_rollout(self, spec: RolloutSpec, candidate: StoredVersion, progress: Progress = _silent) -> str:
        """Begin a rollout; its name. Raises PlanError for a plan that cannot be honoured, Conflict when it may not begin."""
        lint(spec)
        lint_for(spec, candidate.card().label)
        deployment = self._running()
        if any(gate.kind is GateKind.QUERY for gate in spec.gates) and not deployment.prometheus_url:
            raise PlanError(
                "the plan has a query, and nobody has named the Prometheus that answers it",
                at="gates",
                hint=f"`canario up {self.model} --prometheus URL` names one, also of a model that is up",
            )
        name = candidate.record.name
        if name.model != self.model:
            raise Conflict(f"{name} is not a version of {self.model}")
        if deployment.rollout is not None:
            running = deployment.rollout.state
            raise Conflict(
                f"the rollout of {running.candidate} is under way ({running.phase.value})",
                hint=f"`canario status {self.model}` shows it, `canario abort {self.model}` ends it",
            )
        if name.tag == deployment.stable:
            raise Conflict(
                f"{name} is the stable version already", hint=f"`canario list {self.model}` shows the others"
            )
        after = self._ask(StartRollout(spec, served_version(candidate, progress)))
        if after.rollout is None:
            raise Unavailable(f"the rollout of {name} has ended already", hint=f"`canario history {self.model}`")
        return after.rollout.state.rollout

    def send(self, kind: CommandKind, *, whole: bool = False, actor: str = "", reason: str = "") -> None:
        """Give the running rollout a command; returns once it has been taken.

        Raises Conflict when there is no rollout, or when the command would change nothing where it stands.
        """
        rollout = self._running().rollout
        against = what_stands_against(rollout.spec, rollout.state, kind) if rollout else ""
        if against:
            raise Conflict(against, hint=f"`canario status {self.model}` shows how it stands")
        self._ask(Wish(kind=kind, whole=whole, actor=actor, reason=reason))

    def rollback(self, version: str = "", *, actor: str = "", reason: str = "", progress: Progress = _silent) -> str:
        """Undo: abort the rollout under way, its watch included, or else begin one back to a version; the rollout's name.

        `version` is a tag; empty means the version that was stable before. Raises NotFound when there is none.
        """
        deployment = self._running()
        if deployment.rollout is not None and version in ("", deployment.rollout.state.stable):
            self.send(CommandKind.ABORT, actor=actor, reason=reason or "rolled back by hand")
            return deployment.rollout.state.rollout
        target = version or stable_before(deployment)
        if not target:
            raise NotFound(
                f"{self.model} has had no other stable version here",
                hint=f"name the version: `canario rollback {self.model}:TAG`",
            )
        return self.start_rollout(undo(), find_version(f"{self.model}:{target}"), progress)

    def status(self) -> Status:
        """What is known now. Raises NotFound when the model was never up here."""
        return status_of(self._files, self._known())

    def journal(self) -> Iterator[JournalEntry]:
        """Every decision that was written down, oldest first. Raises IntegrityError, naming the entry, at one that is not whole."""
        for entry in self._files.journal.entries():
            try:
                yield msgspec.convert(entry, JournalEntry)
            except msgspec.ValidationError as broken:
                number = entry.get("number")
                raise IntegrityError(f"entry {number} of the journal is not what was written: {broken}") from broken

    def down(self, progress: Progress = _silent) -> bool:
        """Drain and stop everything, with or without a supervisor; False when nothing was up.

        What runs is found by the mark that it carries, so this works also when the state cannot be read; such a state is
        put aside.
        """
        deployment = self._readable()
        if not (deployment and deployment.is_up) and not find_processes(self._files.folder):
            return False
        progress("draining")
        if deployment and is_held(self._files.folder):
            if deployment.is_up:
                self._files.requests.ask(TakeDown(), self._files.last_request)
            self._wait_for_the_end()
        stop(process for process in find_processes(self._files.folder) if process.mark.role is Role.SUPERVISOR)
        with held_lock(self._files.folder, self.model):
            deployment = self._readable()
            if deployment and deployment.is_up:
                self._files.keep(taken_down(deployment, time.time()))
            if deployment is None:
                self._files.put_state_aside()
            stop_everything(self._files.folder, lambda: drain(deployment.admin_port) if deployment else None)
            Targets(self.model).remove()
        return True

    def _first_version(self, version: StoredVersion | None, deployment: Deployment | None) -> StoredVersion:
        if version is None:
            return find_version(f"{self.model}:{deployment.stable}" if deployment else self.model)
        if version.record.name.model != self.model:
            raise Conflict(f"{version.record.name} is not a version of {self.model}")
        return version

    def _begin(
        self, version: StoredVersion, port: int, processes: int, prometheus_url: str, progress: Progress
    ) -> None:
        """Write down what shall run, once nothing speaks against it."""
        self.down(progress)  # strays of a platform that was not taken down well
        self._refuse_a_taken_port(port)
        served = served_version(version, progress)
        with held_lock(self._files.folder, self.model):
            before = self._files.deployment()
            if before is not None and before.is_up:
                raise Conflict(f"{self.model} was brought up by someone else just now", at=str(self._files.state))
            deployment = Deployment(
                model=self.model,
                is_up=True,
                port=port,
                admin_port=free_port((port,)),
                processes=processes,
                latency_milliseconds=version.card().objectives.latency_milliseconds,
                stable=served.version,
                split=Split(stable=served.version),
                wanted=(served.version,),
                served={served.version: served},
                prometheus_url=prometheus_url,
            )
            if before is not None:
                deployment = replace(
                    deployment,
                    served={**before.served, **deployment.served},
                    past=before.past,
                    next_rollout=before.next_rollout,
                    last_request=self._files.requests.drop_waiting(before.last_request),
                    retraining=before.retraining,
                    prometheus_url=prometheus_url or before.prometheus_url,
                )
            self._files.keep(deployment)

    def _refuse_a_taken_port(self, port: int) -> None:
        if not is_free(port):
            raise Conflict(
                f"port {port} is taken by another process",
                at=f"127.0.0.1:{port}",
                hint=f"stop that process, or choose another port: `canario up {self.model} --port {port + 1}`",
            )

    def _run(self, progress: Progress, wait_seconds: float) -> Started:
        """Have a supervisor, and wait until it has everything ready."""
        was_supervised = is_held(self._files.folder)
        log = self._supervisor_log
        log_mark = size_of(log)
        supervisor = None if was_supervised else self._start_supervisor()
        port = self._known().port
        told, deadline = "", time.monotonic() + wait_seconds
        while True:
            status = self.status()
            missing = what_is_missing(status, port)
            if not missing:
                return Started(url=status.url, version=status.stable, was_up=was_supervised)
            if missing != told:
                progress(missing)
                told = missing
            failure = next((server.failure for server in status.servers if server.failure), "")
            if failure:
                raise Unavailable(f"{self.model} cannot start: {failure}", at=str(self._files.logs))
            if supervisor is not None and not supervisor.is_alive() and not is_held(self._files.folder):
                words = last_words(log, log_mark)
                raise Unavailable(f"the supervisor has ended: {words}", at=str(log))
            if time.monotonic() > deadline:
                raise Unavailable(f"not ready after {wait_seconds:.0f} s: {missing}", at=str(self._files.logs))
            time.sleep(_POLL_SECONDS)

    @property
    def _supervisor_log(self) -> Path:
        return self._files.logs / "supervisor.log"

    def _start_supervisor(self) -> LocalProcess:
        mark = Mark(platform=str(self._files.folder), role=Role.SUPERVISOR)
        command = (sys.executable, "-m", "canario.platforms.local", "--model", self.model)
        return launch(command, mark, self._supervisor_log, {})

    def _known(self) -> Deployment:
        deployment = self._files.deployment()
        if deployment is None:
            raise NotFound(
                f"{self.model} was never up here",
                at=str(self._files.state),
                hint=f"`canario up {self.model}` brings it up",
            )
        return deployment

    def _readable(self) -> Deployment | None:
        with contextlib.suppress(IntegrityError):
            return self._files.deployment()
        return None

    def _running(self) -> Deployment:
        """The deployment, with somebody there to take a request."""
        deployment = self._known()
        hint = f"`canario up {self.model}` brings it up"
        if not deployment.is_up:
            raise Conflict(f"{self.model} is not up", hint=hint)
        if not is_held(self._files.folder):
            raise Unavailable(f"the supervisor of {self.model} does not run", hint=f"{hint} again")
        return deployment

    def _ask(self, request: Request) -> Deployment:
        """Leave a request and wait until it has been taken; the deployment after it. Raises Conflict when it was refused."""
        self._running()
        number = self._files.requests.ask(request, self._files.last_request)
        deadline = time.monotonic() + TAKEN_SECONDS
        while (deployment := self._known()).last_request < number:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"request {number} has not been taken yet; it is kept until a supervisor takes it",
                    at=str(self._files.folder),
                    hint=f"`canario status {self.model}` shows whether a supervisor runs",
                )
            time.sleep(0.02)
        answer = deployment.answers.get(str(number), "")
        if answer:
            raise Conflict(answer, hint=f"`canario status {self.model}` shows how it stands")
        return deployment

    def _wait_for_the_end(self) -> None:
        deadline = time.monotonic() + DOWN_SECONDS
        while is_held(self._files.folder) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
