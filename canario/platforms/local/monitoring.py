"""A real Prometheus and a real Alertmanager for the models of this machine, run until they are told to end; rules are canario.monitoring's."""

from __future__ import annotations

import http.client
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from canario.adapters.files import write_atomically
from canario.adapters.homes import monitoring_folder
from canario.errors import Conflict, NotFound, Unavailable
from canario.monitoring.alertmanager import RETRAINING_WEBHOOK, alertmanager
from canario.monitoring.files import ALERTMANAGER_FILE, PROMETHEUS_FILE, RULES_FILE, to_yaml
from canario.monitoring.prometheus import prometheus
from canario.monitoring.rules import rules
from canario.monitoring.table import Table
from canario.platforms.local.ending import stop
from canario.platforms.local.lock import held_lock, holder_pid
from canario.platforms.local.logs import last_words, size_of
from canario.platforms.local.processes import LOOPBACK, LocalProcess, Mark, Role, find_processes, is_free, launch

PROGRAMS = {Role.PROMETHEUS: ("prometheus",), Role.ALERTMANAGER: ("prometheus-alertmanager", "alertmanager")}
"""By role: the program, as Debian and as its makers call it."""
HOW_TO_INSTALL = (
    "on Debian and Ubuntu `apt-get install --no-install-recommends prometheus prometheus-alertmanager` brings both; their services of "
    "the same names may stay off; elsewhere put both programs on PATH"
)
READY_SECONDS = 60.0
KEPT_DAYS = 15
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringPlan:
    """What runs, and where."""

    table: Table
    port: int = 9090
    """Prometheus'."""
    alertmanager_port: int = 9093
    webhook: str = RETRAINING_WEBHOOK
    """Who takes the alerts that ask for a retraining."""

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def alertmanager_url(self) -> str:
        return f"http://{LOOPBACK}:{self.alertmanager_port}"


class Monitoring:
    """Both processes, once they are ready."""

    def __init__(self, folder: Path, processes: list[LocalProcess]) -> None:
        self.folder = folder
        self._processes = processes

    def run(self, is_over: Callable[[], bool]) -> None:
        """Return when it is over. Raises Unavailable, with its last words, when one of the two ends by itself."""
        while not is_over():
            self.check()
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raises Unavailable when one of the two has ended."""
        for process in self._processes:
            if not process.is_alive():
                log = _log(self.folder, process.mark.role)
                raise Unavailable(f"{process.mark.role} has ended: {last_words(log)}", at=str(log))


@contextmanager
def monitoring(plan: MonitoringPlan) -> Iterator[Monitoring]:
    """Both run for the block, and nothing of them is left after it; what they know stays in the home.

    Raises NotFound when a program is missing, Conflict when a port is taken or another one runs here, Unavailable when
    one of them does not become ready.
    """
    programs = {role: find_program(role) for role in PROGRAMS}
    folder = monitoring_folder()
    ports = {Role.ALERTMANAGER: plan.alertmanager_port, Role.PROMETHEUS: plan.port}
    with _alone(folder):
        for role, port in ports.items():
            if not is_free(port):
                option = "--port" if role is Role.PROMETHEUS else "--alertmanager-port"
                raise Conflict(
                    f"port {port} is taken, {role} cannot listen there", hint=f"choose another with {option}"
                )
        write_configuration(folder, plan)
        started: list[LocalProcess] = []
        try:
            started.extend(_start(programs[role], role, folder, plan) for role in ports)
            running = Monitoring(folder, started)
            _wait_until_ready(running, ports)
            yield running
        finally:
            stop(started)


def find_program(role: Role) -> str:
    """The program's path. Raises NotFound, with what to install."""
    for name in PROGRAMS[role]:
        found = shutil.which(name)
        if found:
            return found
    raise NotFound(f"there is no {PROGRAMS[role][0]} on PATH", at="PATH", hint=HOW_TO_INSTALL)


def write_configuration(folder: Path, plan: MonitoringPlan) -> None:
    """What the two read, made from the table."""
    targets = folder / "targets"
    targets.mkdir(parents=True, exist_ok=True)
    configuration = prometheus(
        plan.table,
        rules_file=folder / RULES_FILE,
        targets=targets,
        alertmanager=f"{LOOPBACK}:{plan.alertmanager_port}",
    )
    made = "Made by `canario monitor`, which writes it anew at every start."
    for name, content in (
        (RULES_FILE, rules(plan.table)),
        (PROMETHEUS_FILE, configuration),
        (ALERTMANAGER_FILE, alertmanager(plan.table, plan.webhook)),
    ):
        write_atomically(folder / name, to_yaml(content, made).encode())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One a home. What a killed `canario monitor` has left is ended, so that its data is free."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held_lock(folder, "monitoring"))
        except Conflict as held:
            raise Conflict(
                f"another `canario monitor` runs in this home, process {holder_pid(folder) or 'unknown'}",
                at=held.at,
                hint="look at that one, or end it first",
            ) from held
        stop(find_processes(folder))
        yield


def _start(program: str, role: Role, folder: Path, plan: MonitoringPlan) -> LocalProcess:
    data = folder / "data" / role
    data.mkdir(parents=True, exist_ok=True)
    if role is Role.PROMETHEUS:
        flags = [
            f"--config.file={folder / PROMETHEUS_FILE}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={KEPT_DAYS}d",
            f"--web.listen-address={LOOPBACK}:{plan.port}",
            f"--web.external-url={plan.url}",
        ]
    else:
        flags = [
            f"--config.file={folder / ALERTMANAGER_FILE}",
            f"--storage.path={data}",
            f"--web.listen-address={LOOPBACK}:{plan.alertmanager_port}",
            f"--web.external-url={plan.alertmanager_url}",
            "--cluster.listen-address=",  # it is alone
        ]
    return launch([program, *flags], Mark(platform=str(folder), role=role), _log(folder, role), {}, folder)


def _log(folder: Path, role: Role) -> Path:
    return folder / "logs" / f"{role}.log"


def _wait_until_ready(running: Monitoring, ports: dict[Role, int]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    waiting = dict(ports)
    while waiting:
        running.check()
        waiting = {role: port for role, port in waiting.items() if not _is_ready(port)}
        if waiting and time.monotonic() > deadline:
            role = next(iter(waiting))
            log = _log(running.folder, role)
            said = last_words(log, since_byte=max(0, size_of(log) - 2000))
            raise Unavailable(f"{role} is not ready after {READY_SECONDS:.0f} s: {said}", at=str(log))
        time.sleep(_POLL_SECONDS if waiting else 0)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
