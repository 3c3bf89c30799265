"""Starts the metrics server beside a cluster that runs, for tests of scaling by the CPU; it ends with the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.cluster import node, programs
from tests.cluster.aggregation import NodeApi, keys_of
from tests.cluster.running import Progress
from tests.cluster.settings import Settings

PROGRAM = "metrics-server"
API = NodeApi(group="metrics.k8s.io", version="v1beta1", namespace="metrics-server", service=PROGRAM, port=26444)


def start(settings: Settings, progress: Progress) -> None:
    """Have the use of CPU and memory told, in a cluster that runs; built when it is missing. Raises Unavailable with what stands in the way."""
    programs.build(settings, progress, (PROGRAM,))
    with programs.only_one(settings.cache / "starting-and-ending.lock"):
        node.first_process(settings)
        if PROGRAM in node.processes(settings).values():
            progress.say("the metrics server runs already")
            return
        API.prepare(settings, PROGRAM)
        node.start_component(settings, PROGRAM, command(settings))
        API.wait(settings, PROGRAM)
        progress.say("the metrics server answers")


def command(settings: Settings) -> Sequence[str | Path]:
    """It asks the kubelet, whose certificate is its own, as often as it may."""
    kubeconfig, keys = settings.state / f"{PROGRAM}.kubeconfig", keys_of(settings, PROGRAM)
    return [
        settings.programs / PROGRAM,
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--secure-port={API.port}",
        f"--tls-cert-file={keys / 'tls.crt'}",
        f"--tls-private-key-file={keys / 'tls.key'}",
        "--kubelet-insecure-tls",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]
