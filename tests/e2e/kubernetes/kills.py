"""How things are made to die: pods deleted as an operator does, or killed with SIGKILL as memory runs out; nothing is mended here."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from canario.adapters.kubernetes_api import PODS, Object
from canario.errors import CanarioError
from tests.e2e.kubernetes.kube import Kube
from tests.e2e.kubernetes.steady import Ledger

PROCESSES = Path("/proc")
PAUSE = "pause"


def pids_of(pod: Object) -> list[int]:
    """The processes of a pod's containers, as this machine numbers them; none when its node is another machine."""
    marks = {f"pod{pod['metadata']['uid']}", f"pod{pod['metadata']['uid'].replace('-', '_')}"}
    found = []
    for path in PROCESSES.iterdir():
        if not path.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            groups = (path / "cgroup").read_text()
            program = Path((path / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")).name
            if any(mark in groups for mark in marks) and program not in ("", PAUSE):
                found.append(int(path.name))
    return sorted(found)


class Killer:
    """Ends pods of one namespace, and books it."""

    def __init__(self, kube: Kube, namespace: str, ledger: Ledger) -> None:
        self._kube, self._namespace, self._ledger = kube, namespace, ledger

    def pods(self, **labels: str) -> list[Object]:
        """The running pods with these `canario.dev/` labels that nobody has deleted yet, oldest first."""
        selector = ",".join(f"canario.dev/{name}={value}" for name, value in labels.items())
        try:
            found, _ = self._kube.api.list(PODS, self._namespace, selector)
        except CanarioError:
            return []
        running = [pod for pod in found if "deletionTimestamp" not in pod["metadata"] and is_ready(pod)]
        return sorted(running, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def delete(self, pod: Object) -> None:
        """As `kubectl delete pod` or a drained node does: with its time to leave in peace."""
        self._kube.api.delete(PODS, pod["metadata"]["name"], namespace=self._namespace)
        self._book(pod, "deleted")

    def kill(self, pod: Object) -> None:
        """With SIGKILL, at once; on a node that is another machine by a deletion without grace, which is the nearest."""
        pids = pids_of(pod)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            name = pod["metadata"]["name"]
            self._kube.kubectl("delete", "pod", name, f"--namespace={self._namespace}", "--grace-period=0", "--force")
        self._book(pod, "killed")

    def _book(self, pod: Object, how: str) -> None:
        labels = pod["metadata"]["labels"]
        what = labels.get("canario.dev/component") or labels["app.kubernetes.io/component"]
        self._ledger.killed[f"{what} {how}"] += 1


def is_ready(pod: Object) -> bool:
    """Whether a pod says so."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
