"""Starts KEDA beside a cluster that runs, for tests of scaling: its operator and its metrics API, on the node; it ends with the cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from canario.errors import Unavailable
from tests.cluster import certificates, node, programs
from tests.cluster.running import Progress, run, try_run, wait_until
from tests.cluster.settings import Settings

NAMESPACE = "keda"
SERVICE = "keda-metrics"
METRICS_API = "v1beta1.external.metrics.k8s.io"
SERVICES_LINK = "services"
OPERATOR, ADAPTER = "keda-operator", "keda-adapter"
METRICS_PORT = 26443
"""Of the node's own network, as all ports here: another cluster has the same."""
OPERATOR_PORT = 9666
START_SECONDS = 90
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
            _wait(settings, name, lambda: _metrics_are_served(settings))
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
        f"--cert-dir={_keys(settings)}",
        "--metrics-bind-address=127.0.0.1:28080",
        "--health-probe-bind-address=127.0.0.1:28081",
        f"--metrics-service-bind-address=127.0.0.1:{OPERATOR_PORT}",
        "--enable-apiservice-patching=false",
        "--enable-webhook-patching=false",
    )


def adapter(settings: Settings) -> Sequence[str | Path]:
    """What Kubernetes' own autoscaler asks for the figures."""
    kubeconfig, keys = settings.state / "keda.kubeconfig", _keys(settings)
    return _in_the_cluster(
        settings,
        settings.programs / ADAPTER,
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--lister-kubeconfig={kubeconfig}",
        f"--secure-port={METRICS_PORT}",
        "--port=28090",
        f"--cert-dir={keys}",
        f"--tls-cert-file={keys / 'tls.crt'}",
        f"--tls-private-key-file={keys / 'tls.key'}",
        f"--metrics-service-address=localhost:{OPERATOR_PORT}",
    )


def objects(settings: Settings) -> dict[str, Any]:
    """The namespace, and the metrics API as the API server finds it: by a Service without a selector, with this cluster's authority."""
    port = {"name": "https", "port": METRICS_PORT, "protocol": "TCP"}
    service = {"name": SERVICE, "namespace": NAMESPACE}
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Service", "metadata": service, "spec": {"ports": [port]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": service | {"labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": [{"addresses": [str(settings.node_end.ip)]}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": METRICS_API},
            "spec": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": base64.b64encode((settings.keys / "ca.crt").read_bytes()).decode(),
                "service": service | {"port": METRICS_PORT},
            },
        },
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _prepare(settings: Settings) -> None:
    """Keys, names and objects: KEDA's programs find them when they start."""
    certificates.issue(settings.keys, "keda", "/O=system:masters/CN=keda")
    certificates.write_kubeconfig(settings, "keda", settings.state / "keda.kubeconfig")
    keys = _keys(settings)
    keys.mkdir(exist_ok=True)
    names = [f"DNS:{SERVICE}.{NAMESPACE}.svc", "DNS:localhost", "IP:127.0.0.1"]
    certificates.issue(settings.keys, "keda-serving", "/CN=keda", names)
    for source, name in (("ca.crt", "ca.crt"), ("keda-serving.crt", "tls.crt"), ("keda-serving.key", "tls.key")):
        (keys / name).write_bytes((settings.keys / source).read_bytes())
    _names(settings).write_text(f"search svc.cluster.local cluster.local\nnameserver {settings.dns_service}\n")
    module = next(module for module in programs.ALL if module.name == "keda")
    definitions = module.kept_files(settings.programs)
    _kubectl(settings, "apply", "--server-side", f"--filename={definitions}")
    _kubectl(settings, "apply", "--server-side", "--filename=-", text=json.dumps(objects(settings)))


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
    names = f'mount --bind {_names(settings)} /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", names, "sh", "env", *words, program, *flags]


def _environment() -> Mapping[str, str]:
    return {
        "WATCH_NAMESPACE": "",
        "POD_NAMESPACE": NAMESPACE,
        "POD_NAME": "keda",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
        "KEDA_HTTP_DEFAULT_TIMEOUT": LEAST_MILLISECONDS,
    }


def _keys(settings: Settings) -> Path:
    return settings.state / "keda"


def _names(settings: Settings) -> Path:
    return settings.state / "keda-resolv.conf"


def _wait(settings: Settings, name: str, holds: Callable[[], bool]) -> None:
    try:
        wait_until(name, holds, seconds=START_SECONDS)
    except Unavailable as error:
        log = settings.logs / f"{name}.log"
        raise Unavailable(f"{error.message}; the last lines of its log:\n{node.tail(log)}", at=str(log)) from error


def _metrics_are_served(settings: Settings) -> bool:
    """Whether the API server itself gets an answer from the metrics API."""
    kubectl, path = str(settings.programs / "kubectl"), f"/apis/{METRICS_API.removeprefix('v1beta1.')}/v1beta1"
    command = (kubectl, f"--kubeconfig={settings.kubeconfig}", "--request-timeout=5s", "get", "--raw", path)
    return try_run(*command).returncode == 0


def _kubectl(settings: Settings, *arguments: str, text: str = "") -> str:
    return run(settings.programs / "kubectl", f"--kubeconfig={settings.kubeconfig}", *arguments, text=text)
