"""An API that a program on the node serves through the API server: its Service, by whom it is trusted, and whether it answers."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canario.errors import Unavailable
from tests.cluster import certificates, node
from tests.cluster.running import run, try_run, wait_until
from tests.cluster.settings import Settings

START_SECONDS = 90


@dataclass(frozen=True)
class NodeApi:
    """One group of an API, and where it is served: by a Service without a selector, in a namespace of its own."""

    group: str
    version: str
    namespace: str
    service: str
    port: int
    """Of the node's own network: another cluster has the same."""

    def objects(self, settings: Settings) -> dict[str, Any]:
        """The namespace, the Service and the registration, which names the cluster's own authority."""
        port = {"name": "https", "port": self.port, "protocol": "TCP"}
        service = {"name": self.service, "namespace": self.namespace}
        items = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {"apiVersion": "v1", "kind": "Service", "metadata": service, "spec": {"ports": [port]}},
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": service | {"labels": {"kubernetes.io/service-name": self.service}},
                "addressType": "IPv4",
                "ports": [port],
                "endpoints": [{"addresses": [str(settings.node_end.ip)]}],
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{self.version}.{self.group}"},
                "spec": {
                    "group": self.group,
                    "version": self.version,
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "caBundle": base64.b64encode((settings.keys / "ca.crt").read_bytes()).decode(),
                    "service": service | {"port": self.port},
                },
            },
        ]
        return {"apiVersion": "v1", "kind": "List", "items": items}

    def prepare(self, settings: Settings, user: str) -> Path:
        """Have the objects in the cluster, and all that a program needs that serves it as `user`: the folder of its certificates."""
        certificates.issue(settings.keys, user, f"/O=system:masters/CN={user}")
        certificates.write_kubeconfig(settings, user, settings.state / f"{user}.kubeconfig")
        names = [f"DNS:{self.service}.{self.namespace}.svc", "DNS:localhost", "IP:127.0.0.1"]
        certificates.issue(settings.keys, f"{user}-serving", f"/CN={user}", names)
        folder = keys_of(settings, user)
        folder.mkdir(exist_ok=True)
        for source, name in (
            ("ca.crt", "ca.crt"),
            (f"{user}-serving.crt", "tls.crt"),
            (f"{user}-serving.key", "tls.key"),
        ):
            (folder / name).write_bytes((settings.keys / source).read_bytes())
        kubectl(settings, "apply", "--server-side", "--filename=-", text=json.dumps(self.objects(settings)))
        return folder

    def wait(self, settings: Settings, program: str) -> None:
        """Until the API server itself gets an answer. Raises Unavailable with the end of the log that tells why not."""
        try:
            wait_until(program, lambda: self._is_served(settings), seconds=START_SECONDS)
        except Unavailable as error:
            log = settings.logs / f"{program}.log"
            raise Unavailable(f"{error.message}; the last lines of its log:\n{node.tail(log)}", at=str(log)) from error

    def _is_served(self, settings: Settings) -> bool:
        command = (str(settings.programs / "kubectl"), f"--kubeconfig={settings.kubeconfig}", "--request-timeout=5s")
        return try_run(*command, "get", "--raw", f"/apis/{self.group}/{self.version}").returncode == 0


def keys_of(settings: Settings, user: str) -> Path:
    """Where the certificates of a program lie."""
    return settings.state / user


def kubectl(settings: Settings, *arguments: str, text: str = "") -> str:
    """What kubectl prints."""
    return run(settings.programs / "kubectl", f"--kubeconfig={settings.kubeconfig}", *arguments, text=text)
