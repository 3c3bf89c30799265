"""The command line of every component; in which order they start is for tests.cluster.cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.cluster.settings import Settings

NODE_NAME = "node"
ETCD = "http://127.0.0.1:2379"


def etcd(settings: Settings) -> Sequence[str | Path]:
    """The store. It lives no longer than the test, so it need not reach the disk."""
    peers = "http://127.0.0.1:2380"
    return [
        settings.programs / "etcd",
        f"--data-dir={settings.state / 'etcd'}",
        "--unsafe-no-fsync",
        "--log-level=error",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
    ]


def api_server(settings: Settings) -> Sequence[str | Path]:
    """The API server, with an audit log and with what aggregated APIs need."""
    keys = settings.keys
    return [
        settings.programs / "kube-apiserver",
        f"--etcd-servers={ETCD}",
        f"--advertise-address={settings.node_end.ip}",
        "--secure-port=6443",
        f"--tls-cert-file={keys / 'apiserver.crt'}",
        f"--tls-private-key-file={keys / 'apiserver.key'}",
        f"--client-ca-file={keys / 'ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged",
        f"--service-account-key-file={keys / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={keys / 'service-accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={settings.services}",
        f"--kubelet-client-certificate={keys / 'admin.crt'}",
        f"--kubelet-client-key={keys / 'admin.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={keys / 'ca.crt'}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--enable-aggregator-routing",
        f"--proxy-client-cert-file={keys / 'front-proxy.crt'}",
        f"--proxy-client-key-file={keys / 'front-proxy.key'}",
        f"--audit-policy-file={settings.state / 'audit-policy.json'}",
        f"--audit-log-path={settings.audit_log}",
        "--audit-log-maxsize=2048",
    ]


def built_in_controllers(settings: Settings) -> Sequence[str | Path]:
    """All of Kubernetes' controllers; the autoscaler looks every five seconds, so that a test need not wait."""
    kubeconfig = settings.state / "controller-manager.kubeconfig"
    return [
        settings.programs / "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--service-account-private-key-file={settings.keys / 'service-accounts.key'}",
        f"--root-ca-file={settings.keys / 'ca.crt'}",
        "--use-service-account-credentials",
        "--horizontal-pod-autoscaler-sync-period=5s",
    ]


def scheduler(settings: Settings) -> Sequence[str | Path]:
    """Kubernetes' own scheduler."""
    kubeconfig = settings.state / "scheduler.kubeconfig"
    return [
        settings.programs / "kube-scheduler",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
    ]


def containerd(settings: Settings) -> Sequence[str | Path]:
    """The container runtime."""
    return [settings.programs / "containerd", f"--config={settings.state / 'containerd.toml'}"]


def kubelet(settings: Settings) -> Sequence[str | Path]:
    """The node's agent."""
    return [
        settings.programs / "kubelet",
        f"--kubeconfig={settings.state / 'kubelet.kubeconfig'}",
        f"--config={settings.state / 'kubelet.json'}",
        f"--root-dir={settings.state / 'kubelet'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={settings.node_end.ip}",
    ]


def kube_proxy(settings: Settings) -> Sequence[str | Path]:
    """Services as iptables rules, in the node's own tables. The connection table's size is the machine's: left alone."""
    return [
        settings.programs / "kube-proxy",
        f"--kubeconfig={settings.state / 'kube-proxy.kubeconfig'}",
        f"--hostname-override={NODE_NAME}",
        f"--cluster-cidr={settings.pods}",
        "--proxy-mode=iptables",
        "--oom-score-adj=0",
        "--conntrack-max-per-core=0",
    ]


def coredns(settings: Settings) -> Sequence[str | Path]:
    """The cluster's names."""
    return [settings.programs / "coredns", f"-conf={settings.state / 'Corefile'}"]


USERS = ("controller-manager", "scheduler", "kube-proxy", "kubelet", "coredns")
"""Who has a kubeconfig of its own, so that the audit log tells them apart."""
EXPECTED = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
)
"""The programs of a whole cluster."""
