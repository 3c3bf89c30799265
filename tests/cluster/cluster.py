"""A real Kubernetes for tests: `up()` gives one, `down()` leaves the machine as it was.

When KUBECONFIG names a cluster that is not this one, that cluster is used: nothing is built, started or ended.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from canario.errors import Unavailable, UsageError
from tests.cluster import certificates, components, configuration, images, node, packages, programs
from tests.cluster.running import Progress, run, try_run, wait_until
from tests.cluster.settings import Settings

LOAD_VARIABLE = "CANARIO_CLUSTER_LOAD"
"""For a cluster of one's own: the command that copies an image into its nodes, such as `kind load docker-image`."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers."""

    kubeconfig: Path
    kubectl: Path
    helm: Path
    audit_log: Path | None
    """None when the cluster is somebody else's."""
    _load: Callable[[str], bool]

    def load(self, *names: str) -> None:
        """Have these images of buildah's store in the cluster, as `fraud:v2` and as `localhost/fraud:v2`."""
        for name in names:
            self._load(name)

    def environment(self) -> dict[str, str]:
        """The environment in which kubectl, helm and canario find the cluster."""
        path = f"{self.kubectl.parent}:{self.helm.parent}:{os.environ['PATH']}"
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}


def foreign_kubeconfig(settings: Settings) -> str:
    """What KUBECONFIG says, unless it is this very cluster."""
    named = os.environ.get("KUBECONFIG", "")
    return "" if named == str(settings.kubeconfig) else named


def up(settings: Settings | None = None) -> Cluster:
    """The cluster, started if it does not run. Raises Unavailable with the last lines of the log that tells why not."""
    settings = settings or Settings.from_environment()
    progress = Progress()
    if foreign := foreign_kubeconfig(settings):
        progress.say(f"KUBECONFIG is set: using {foreign}; nothing is built or started")
        return _foreign_cluster(Path(foreign))
    packages.install(progress)
    programs.build(settings, progress, programs.CLUSTER)
    with programs.only_one(settings.cache / "starting-and-ending.lock"):
        if is_ready(settings):
            progress.say("the cluster runs already")
        else:
            node.end_node(settings)
            start(settings, progress)
    return own_cluster(settings)


def down(settings: Settings | None = None) -> None:
    """End the cluster, whatever state it is in, and remove all that it made."""
    settings = settings or Settings.from_environment()
    if settings.cache.exists() or settings.state.exists():
        with programs.only_one(settings.cache / "starting-and-ending.lock"):
            node.end_node(settings)


def start(settings: Settings, progress: Progress) -> None:
    """Start node and components, and wait until pods can run. What it has begun when it fails is left to be looked at."""
    node.refuse_taken_network(settings)
    settings.logs.mkdir(parents=True)
    certificates.issue_all(settings)
    certificates.write_kubeconfig(settings, "admin", settings.kubeconfig)
    for user in components.USERS:
        certificates.write_kubeconfig(settings, user, settings.state / f"{user}.kubeconfig")
    configuration.write_all(settings)
    progress.say("keys and configuration are written")
    node.start_node(settings)
    _start(settings, "etcd", components.etcd(settings))
    _start(settings, "kube-apiserver", components.api_server(settings))
    _start(settings, "containerd", components.containerd(settings))
    _wait(settings, "containerd", lambda: images.answers(settings), seconds=30)
    images.load_pause(settings)
    progress.say("containerd answers")
    _wait(settings, "kube-apiserver", lambda: _succeeds(settings, "get", "--raw", "/readyz"), seconds=90)
    progress.say("the API server answers")
    _start(settings, "kube-controller-manager", components.built_in_controllers(settings))
    _start(settings, "kube-scheduler", components.scheduler(settings))
    _start(settings, "kubelet", components.kubelet(settings))
    _start(settings, "kube-proxy", components.kube_proxy(settings))
    _start(settings, "coredns", components.coredns(settings))
    _kubectl(settings, "apply", "--server-side", "--filename=-", text=json.dumps(configuration.dns_objects(settings)))
    _wait(settings, "kubelet", lambda: _node_is_ready(settings), seconds=60)
    _wait(
        settings, "kube-controller-manager", lambda: _succeeds(settings, "get", "serviceaccount", "default"), seconds=30
    )
    progress.say("the node is ready")


def is_ready(settings: Settings) -> bool:
    """Whether every component runs and the node takes pods."""
    running = set(node.processes(settings).values())
    return running.issuperset(components.EXPECTED) and _node_is_ready(settings)


def own_cluster(settings: Settings) -> Cluster:
    """The cluster of these settings; it is not asked whether it runs."""
    return Cluster(
        kubeconfig=settings.kubeconfig,
        kubectl=settings.programs / "kubectl",
        helm=settings.programs / "helm",
        audit_log=settings.audit_log,
        _load=lambda image: images.load_image(settings, image),
    )


def _foreign_cluster(kubeconfig: Path) -> Cluster:
    found = {name: shutil.which(name) for name in ("kubectl", "helm")}
    for name, path in found.items():
        if path is None:
            raise UsageError(f"KUBECONFIG is set, but there is no {name} on PATH", hint=f"install {name}")
    command = shlex.split(os.environ.get(LOAD_VARIABLE, ""))

    def load(image: str) -> bool:
        if not command:
            raise UsageError(
                f"no way to bring {image} into the cluster of KUBECONFIG",
                at=LOAD_VARIABLE,
                hint=f"set {LOAD_VARIABLE} to a command that takes an image's name, such as `kind load docker-image`",
            )
        run(*command, image)
        return True

    return Cluster(kubeconfig, Path(str(found["kubectl"])), Path(str(found["helm"])), None, load)


def _start(settings: Settings, name: str, command: Sequence[str | Path]) -> None:
    node.start_component(settings, name, command)


def _wait(settings: Settings, name: str, holds: Callable[[], bool], *, seconds: float) -> None:
    """Wait for a component; when it does not come, or one has ended, show the end of the log that tells why."""
    try:
        wait_until(name, lambda: holds() or bool(ended(settings)), seconds=seconds)
        guilty = ended(settings)
        if not guilty:
            return
        name, what = guilty[0], f"{guilty[0]} has ended"
    except Unavailable as error:
        what = error.message
    log = settings.logs / f"{name}.log"
    raise Unavailable(f"{what}; the last lines of its log:\n{node.tail(log)}", at=str(log))


def ended(settings: Settings) -> list[str]:
    """The components that were started and do not run, those first on which the others depend."""
    running = set(node.processes(settings).values())
    return [name for name in components.EXPECTED if (settings.logs / f"{name}.log").exists() and name not in running]


def _node_is_ready(settings: Settings) -> bool:
    condition = "{.status.conditions[?(@.type=='Ready')].status}"
    done = _try_kubectl(settings, "get", "node", components.NODE_NAME, f"--output=jsonpath={condition}")
    return done == "True"


def _succeeds(settings: Settings, *arguments: str) -> bool:
    return _try_kubectl(settings, *arguments) is not None


def _kubectl(settings: Settings, *arguments: str, text: str = "") -> str:
    return run(settings.programs / "kubectl", f"--kubeconfig={settings.kubeconfig}", *arguments, text=text)


def _try_kubectl(settings: Settings, *arguments: str) -> str | None:
    kubectl = str(settings.programs / "kubectl")
    done = try_run(kubectl, f"--kubeconfig={settings.kubeconfig}", "--request-timeout=5s", *arguments)
    return done.stdout if done.returncode == 0 else None
