"""The node as namespaces of this machine: made, entered, looked into and ended; what runs there is for others.

Everything of a cluster lives in the network, mount and process namespaces of one first process (init.py), and reaches
the machine over one link. When that process is killed the kernel ends all others, components and pods, and takes
bridges, routes, iptables rules and mounts with them. So ending needs no list of what was started.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from canario.errors import Conflict, Unavailable
from tests.cluster.packages import SYSTEM_PATH
from tests.cluster.running import run, try_run, wait_until
from tests.cluster.settings import NETWORK_VARIABLE, Settings

INIT = Path(__file__).with_name("init.py")
CGROUPS = Path("/sys/fs/cgroup")
PROCESSES = Path("/proc")
LOG_LINES = 15


def refuse_taken_network(settings: Settings) -> None:
    """Raises Conflict when the machine has a route to any of the cluster's addresses: another cluster's, or a real one."""
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all")):
        target = str(route.get("dst", "default"))
        if target != "default" and IPv4Network(target, strict=False).overlaps(settings.network):
            raise Conflict(
                f"{settings.network} is in use: there is a route to {target} by {route.get('dev')}",
                at=NETWORK_VARIABLE,
                hint=f"choose another /16 with {NETWORK_VARIABLE}",
            )


def start_node(settings: Settings) -> None:
    """Make the namespaces, the link between machine and node, and the cgroup for pods."""
    log, ready = settings.logs / "node.log", settings.state / "node/ready"
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
    first = [sys.executable, "-I", str(INIT), str(settings.state)]
    with log.open("ab") as output:
        started = subprocess.Popen(
            [*namespaces, *first],
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    wait_until("the node's namespaces", lambda: ready.exists() or started.poll() is not None, seconds=20)
    if not ready.exists():
        raise Unavailable(
            f"the node's first process has ended; the last lines of its log:\n{tail(log)}",
            at=str(log),
            hint="it must be allowed to make namespaces and mounts: root in a container needs CAP_SYS_ADMIN",
        )
    _link(settings, first_process(settings))
    _make_cgroups(settings)


def first_process(settings: Settings) -> int:
    """The machine's number of the node's first process. Raises Unavailable when there is none."""
    for pid in _first_processes(settings):
        return pid
    raise Unavailable("the cluster is not running", hint="make cluster")


def has_node(settings: Settings) -> bool:
    """Whether the node's first process lives."""
    return any(True for _ in _first_processes(settings))


def end_node(settings: Settings) -> None:
    """End the node and all in it. It may be half-started, or gone already."""
    ending = list(_first_processes(settings))
    for pid in ending:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until("the node's end", lambda: all(map(_has_ended, ending)), seconds=30)
    # The link goes with the namespace, a moment later; a killed start may have left it with both ends here.
    try_run("ip", "link", "delete", settings.name)
    for cgroup in _cgroups(settings):
        if cgroup.is_dir():
            wait_until(f"the end of all in {cgroup}", partial(_removed, cgroup), seconds=20)
    if settings.state.exists():
        shutil.rmtree(settings.state)


def start_component(settings: Settings, name: str, command: Sequence[str | Path]) -> None:
    """Start a program in the node, on its own; its log is named after it."""
    enter = ["nsenter", f"--target={first_process(settings)}", "--net", "--mount", "--pid", "--"]
    with (settings.logs / f"{name}.log").open("ab") as output:
        subprocess.run(
            [*enter, "setsid", "--fork", *map(str, command)],
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
        )


def processes(settings: Settings) -> dict[int, str]:
    """What runs in the node's process namespace, without the pods: process numbers of the machine, and programs."""
    namespaces = {_namespace(pid) for pid in _first_processes(settings)} - {""}
    return {pid: _program(pid) for pid in _numbers() if _namespace(pid) in namespaces}


def tail(log: Path) -> str:
    """The last lines of a log."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])


def _first_processes(settings: Settings) -> Iterator[int]:
    """By its whole command line, which names the state folder: no file can be out of date."""
    for pid in _numbers():
        command = _command(pid)
        if len(command) == 4 and Path(command[2]).name == INIT.name and command[3] == str(settings.state):
            yield pid


def _has_ended(pid: int) -> bool:
    """A dying first process gives up its memory, and with it its command line, before the kernel has ended all others.

    When it is gone, or waits to be buried, they have ended.
    """
    try:
        state = (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in ("Z", "X")


def _numbers() -> list[int]:
    return [int(path.name) for path in PROCESSES.iterdir() if path.name.isdigit()]


def _command(pid: int) -> list[str]:
    try:
        return (PROCESSES / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _program(pid: int) -> str:
    """A process that `start_component` has just made may still be setsid, about to become the program."""
    command = _command(pid)
    if command[:2] == ["setsid", "--fork"]:
        command = command[2:]
    return Path(command[0]).name if command else ""


def _environment(settings: Settings) -> dict[str, str]:
    """Nothing of this machine's: no proxy, no secret."""
    return {"PATH": f"{settings.programs}:{SYSTEM_PATH}", "HOME": str(settings.state)}


def _namespace(pid: int) -> str:
    try:
        return str((PROCESSES / str(pid) / "ns/pid").readlink())
    except OSError:
        return ""


def _link(settings: Settings, first: int) -> None:
    """A pair of interfaces, and a route by it to nodes, pods and Services."""
    run("ip", "link", "add", settings.name, "type", "veth", "peer", "name", "machine", "netns", str(first))
    run("ip", "address", "add", str(settings.machine_end), "dev", settings.name)
    run("ip", "link", "set", settings.name, "up")
    inside = ["nsenter", f"--target={first}", "--net", "--", "ip"]
    run(*inside, "address", "add", str(settings.node_end), "dev", "machine")
    run(*inside, "link", "set", "machine", "up")
    run("ip", "route", "add", str(settings.network), "via", str(settings.node_end.ip), "dev", settings.name)


def _cgroups(settings: Settings) -> list[Path]:
    """The cgroup that is the pods' root, in every hierarchy that the machine has."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS / settings.name]
    hierarchies = [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]
    return [path / settings.name for path in hierarchies]


def _make_cgroups(settings: Settings) -> None:
    """A kubelet wants its root to have the machine's CPUs (version 1) or the controllers switched on (version 2)."""
    with contextlib.suppress(OSError):
        (CGROUPS / "cgroup.subtree_control").write_text("+cpuset +cpu +memory +pids")
    for cgroup in _cgroups(settings):
        cgroup.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            with contextlib.suppress(OSError):
                (cgroup / name).write_text((cgroup.parent / name).read_text())


def _removed(cgroup: Path) -> bool:
    """Remove a cgroup from its leaves upwards; False while a process is still ending there."""
    folders = sorted((path for path in cgroup.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
    try:
        for folder in (*folders, cgroup):
            folder.rmdir()
    except OSError:
        return False
    return True
