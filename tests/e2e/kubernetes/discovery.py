"""`python3 discovery.py FILE NAMESPACE...`: writes what Prometheus shall read, beside it in its pod, for Debian's cannot ask Kubernetes itself.

It needs nothing but the standard library. Each target carries the labels `namespace`, `pod` and `part`, and a router's its model.
"""

from __future__ import annotations

import http
import http.client
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVER = "kubernetes.default.svc"
POLL_SECONDS = 1.0
COMPONENT_LABEL, MODEL_LABEL = "canario.dev/component", "canario.dev/model"
PLACES = {
    "server": ("operator", "/metrics"),
    "router": ("operator", "/stats/prometheus"),
    "controller": ("metrics", "/metrics"),
}
"""By a pod's component: the name of the port where it tells its figures, and the path."""


def targets(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The running pods of canario in the words of a file of targets."""
    found = []
    for pod in pods:
        words = pod["metadata"].get("labels") or {}
        part = words.get(COMPONENT_LABEL, "")
        address = pod.get("status", {}).get("podIP", "")
        if part not in PLACES or not address or pod["status"].get("phase") != "Running":
            continue
        name, path = PLACES[part]
        containers = pod["spec"]["containers"]
        ports = [
            port["containerPort"] for each in containers for port in each.get("ports", []) if port.get("name") == name
        ]
        labels = {
            "namespace": pod["metadata"]["namespace"],
            "pod": pod["metadata"]["name"],
            "part": part,
            "__metrics_path__": path,
        }
        if part == "router":
            labels["model"] = words[MODEL_LABEL]
        found += [{"targets": [f"{address}:{port}"], "labels": labels} for port in ports]
    return sorted(found, key=lambda each: str(each["targets"]))


def main() -> None:
    """Write the file whenever something has changed, for as long as the pod lives."""
    file, namespaces = Path(sys.argv[1]), sys.argv[2:]
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    written = None
    while True:
        try:
            found = targets([pod for namespace in namespaces for pod in pods_of(namespace, context)])
        except OSError as away:
            sys.stderr.write(f"{away}\n")
        else:
            if found != written:
                part = file.with_suffix(".part")
                part.write_text(json.dumps(found))
                part.replace(file)
                written = found
        time.sleep(POLL_SECONDS)


def pods_of(namespace: str, context: ssl.SSLContext) -> list[dict[str, Any]]:
    """All pods of a namespace. Raises OSError when the API server is out of reach."""
    connection = http.client.HTTPSConnection(SERVER, context=context, timeout=5.0)
    try:
        words = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"}
        connection.request("GET", f"/api/v1/namespaces/{namespace}/pods", headers=words)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"{namespace}: {answer.status} {answer.read(500)!r}")
        listed: dict[str, Any] = json.load(answer)
    finally:
        connection.close()
    return [pod for pod in listed["items"] or [] if "deletionTimestamp" not in pod["metadata"]]


if __name__ == "__main__":
    main()
