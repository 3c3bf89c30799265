"""Issues the keys and certificates of one cluster, by one authority of its own, and the kubeconfig that uses them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.cluster.running import run
from tests.cluster.settings import Settings

DAYS = "30"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def issue_all(settings: Settings) -> None:
    """Everything that the components identify themselves with."""
    keys = settings.keys
    keys.mkdir(parents=True, exist_ok=True)
    keys.chmod(0o700)
    run(
        "openssl",
        "req",
        "-x509",
        *NEW_KEY,
        "-keyout",
        keys / "ca.key",
        "-out",
        keys / "ca.crt",
        "-days",
        DAYS,
        "-subj",
        "/CN=canario-cluster",
    )
    names = ["DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:localhost", "IP:127.0.0.1"]
    issue(keys, "apiserver", "/CN=kube-apiserver", [*names, f"IP:{settings.api_service}", f"IP:{settings.node_end.ip}"])
    issue(keys, "admin", "/O=system:masters/CN=admin")
    issue(keys, "controller-manager", "/CN=system:kube-controller-manager")
    issue(keys, "scheduler", "/CN=system:kube-scheduler")
    issue(keys, "kube-proxy", "/CN=system:kube-proxy")
    issue(keys, "kubelet", "/O=system:nodes/CN=system:node:node")
    issue(keys, "coredns", "/O=system:masters/CN=coredns")
    issue(keys, "front-proxy", "/CN=front-proxy")
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", keys / "service-accounts.key")
    run("openssl", "pkey", "-in", keys / "service-accounts.key", "-pubout", "-out", keys / "service-accounts.pub")


def write_kubeconfig(settings: Settings, user: str, path: Path) -> None:
    """A kubeconfig that needs no other file; JSON is YAML."""
    keys = settings.keys
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "canario",
                "cluster": {"server": settings.server, "certificate-authority-data": _encoded(keys / "ca.crt")},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _encoded(keys / f"{user}.crt"),
                    "client-key-data": _encoded(keys / f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": "canario", "context": {"cluster": "canario", "user": user}}],
        "current-context": "canario",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))


def issue(keys: Path, name: str, subject: str, also: list[str] | None = None) -> None:
    """A key and a certificate of the cluster's authority; `also` holds the names that it serves under."""
    request, extensions = keys / f"{name}.csr", keys / f"{name}.extensions"
    run("openssl", "req", *NEW_KEY, "-keyout", keys / f"{name}.key", "-out", request, "-subj", subject)
    extensions.write_text(f"subjectAltName={','.join(also)}\n" if also else "")
    authority = ("-CA", keys / "ca.crt", "-CAkey", keys / "ca.key", "-CAcreateserial")
    run(
        "openssl",
        "x509",
        "-req",
        "-in",
        request,
        *authority,
        "-days",
        DAYS,
        "-extfile",
        extensions,
        "-out",
        keys / f"{name}.crt",
    )
    request.unlink()
    extensions.unlink()


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
