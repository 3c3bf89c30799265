"""A model's status, put together from the state, the supervisor's heartbeat and, without a supervisor, the processes themselves."""

from __future__ import annotations

import time

from canario.model.deployment import Deployment, Observation, ServerStatus, Status
from canario.platforms.local.envoy import answers_clients, read_split
from canario.platforms.local.lock import holder_pid, is_held
from canario.platforms.local.processes import Role, find_processes
from canario.platforms.local.records import PlatformFiles


def status_of(files: PlatformFiles, deployment: Deployment) -> Status:
    """How the model stands; reads, changes nothing."""
    is_supervised = is_held(files.folder)
    observed = files.observation()
    if observed is None or not is_supervised or observed.pid != holder_pid(files.folder):
        observed = _observe(files, deployment)  # nobody watches, or nobody has told yet what was seen
    running = deployment.rollout
    return Status(
        model=deployment.model,
        is_up=deployment.is_up,
        url=f"http://127.0.0.1:{deployment.port}",
        stable=deployment.stable,
        is_supervised=is_supervised,
        supervisor_pid=holder_pid(files.folder) if is_supervised else None,
        heartbeat_age_seconds=time.time() - observed.at_seconds if observed.pid else None,
        last_error=observed.last_error,
        router_pid=observed.router_pid,
        admin_port=deployment.admin_port,
        processes=deployment.processes,
        asked=deployment.split,
        actual=observed.actual,
        servers=observed.servers,
        rollout=running,
        verdict=observed.verdict if running else None,
        past=deployment.past,
    )


def what_is_missing(status: Status, port: int) -> str:
    """What stands between a model and its clients, in words; empty when everything is ready."""
    if not status.is_supervised or status.heartbeat_age_seconds is None:
        return "starting the supervisor"
    ready = sum(server.version == status.stable and server.stage == "ready" for server in status.servers)
    if ready < status.processes:
        return f"{ready} of {status.processes} servers of {status.stable} are ready"
    if not answers_clients(port):
        return "waiting for the router"
    return ""


def _observe(files: PlatformFiles, deployment: Deployment) -> Observation:
    """What can be seen without a supervisor: which processes live, and what the router runs."""
    found = find_processes(files.folder)
    router = next((process for process in found if process.mark.role is Role.ROUTER), None)
    return Observation(
        pid=0,
        at_seconds=time.time(),
        since_seconds=0.0,
        router_pid=router.pid if router else None,
        # Without an Envoy of ours whoever answers at its port is a stranger.
        actual=read_split(files, deployment.admin_port) if router else None,
        servers=tuple(
            ServerStatus(
                version=process.mark.version,
                slot=process.mark.slot,
                stage="unattended",
                pid=process.pid,
                http_port=process.mark.http_port,
                grpc_port=process.mark.grpc_port,
                operator_port=process.mark.operator_port,
            )
            for process in found
            if process.mark.role is Role.SERVER
        ),
    )
