"""Starts KEDA beside a cluster that runs, for tests of scaling: its operator and its metrics API, on the node; it ends with the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster import node, programs
from tests.cluster.aggregation import NodeApi, keys_of, kubectl
from tests.cluster.running import Progress, run, try_run
from tests.cluster.settings import Settings

NAMESPACE = USER = "keda"
API = NodeApi(
    group="external.metrics.k8s.io", version="v1beta1", namespace=NAMESPACE, service="keda-metrics", port=26443
)
SERVICES_LINK = "services"
OPERATOR, ADAPTER = "keda-operator", "keda-adapter"
OPERATOR_PORT = 9666
LEAST_MILLISECONDS = "3000"
"""How long Prometheus may take to answer KEDA."""


def start(settings: Settings, progress: Progress) -> None:
    """Have KEDA answer, in a cluster that runs; built when it is missing. Raises Unavailable with the end of the log that tells why not."""
    programs.build(settings, progress, ("keda",))
    with programs.only_one(settings.cache / "starting-and-ending.lock"):
        node.first_process(settings)
        if running(settings).issuperset((OPERATOR, ADAPTER)):
            progress.say("KEDA runs already")
            return
        _prepare(settings)
        _reach_services(settings)
        node.start_component(settings, OPERATOR, operator(settings))
        node.start_component(settings, ADAPTER, adapter(settings))
        for name in (OPERATOR, ADAPTER):
            API.wait(settings, name)
        progress.say("KEDA answers")


def running(settings: Settings) -> set[str]:
    """The programs of KEDA that run."""
    return {OPERATOR, ADAPTER} & set(node.processes(settings).values())


def operator(settings: Settings) -> Sequence[str | Path]:
    """What makes autoscalers of ScaledObjects and asks Prometheus."""
    return _in_the_cluster(
        settings,
        settings.programs / OPERATOR,
        f"--kubeconfig={settings.state / 'keda.kubeconfig'}",
        "--leader-elect=false",
        f"--cert-dir={keys_of(settings, USER)}",
        "--metrics-bind-address=127.0.0.1:28080",
        "--health-probe-bind-address=127.0.0.1:28081",
        f"--metrics-service-bind-address=127.0.0.1:{OPERATOR_PORT}",
        "--enable-apiservice-patching=false",
        "--enable-webhook-patching=false",
    )


def adapter(settings: Settings) -> Sequence[str | Path]:
    """What Kubernetes' own autoscaler asks for the figures."""
    kubeconfig, keys = settings.state / "keda.kubeconfig", keys_of(settings, USER)
    return _in_the_cluster(
        settings,
        settings.programs / ADAPTER,
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--lister-kubeconfig={kubeconfig}",
        f"--secure-port={API.port}",
        "--port=28090",
        f"--cert-dir={keys}",
        f"--tls-cert-file={keys / 'tls.crt'}",
        f"--tls-private-key-file={keys / 'tls.key'}",
        f"--metrics-service-address=localhost:{OPERATOR_PORT}",
    )


def _prepare(settings: Settings) -> None:
    """Keys, names and objects: KEDA's programs find them when they start."""
    API.prepare(settings, USER)
    _names(settings).write_text(f"search svc.cluster.local cluster.local\nnameserver {settings.dns_service}\n")
    module = next(module for module in programs.ALL if module.name == "keda")
    kubectl(settings, "apply", "--server-side", f"--filename={module.kept_files(settings.programs)}")


def _reach_services(settings: Settings) -> None:
    """Give the node a way to Services, as its pods have one: without any route a packet is refused before it is redirected."""
    inside = ["nsenter", f"--target={node.first_process(settings)}", "--net", "--", "ip"]
    if try_run(*inside, "link", "add", SERVICES_LINK, "type", "bridge").returncode == 0:
        run(*inside, "link", "set", SERVICES_LINK, "up")
    source = ("src", str(settings.node_end.ip))
    run(*inside, "route", "replace", str(settings.services), "dev", SERVICES_LINK, *source)


def _in_the_cluster(settings: Settings, program: Path, *flags: str) -> Sequence[str | Path]:
    """A program of the node for which names are the cluster's, as they are for a pod."""
    environment = _environment()
    words = [f"{name}={value}" for name, value in environment.items()]
    # It comes back by itself, as a Deployment's pod does: KEDA 2.20 may panic when a broker has just gone away.
    names = f'mount --bind {_names(settings)} /etc/resolv.conf && while :; do "$@"; sleep 1; done'
    return ["unshare", "--mount", "sh", "-c", names, "sh", "env", *words, program, *flags]


def _environment() -> Mapping[str, str]:
    return {
        "WATCH_NAMESPACE": "",
        "POD_NAMESPACE": NAMESPACE,
        "POD_NAME": "keda",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
        "KEDA_HTTP_DEFAULT_TIMEOUT": LEAST_MILLISECONDS,
    }


def _names(settings: Settings) -> Path:
    return settings.state / "keda-resolv.conf"
