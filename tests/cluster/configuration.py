"""The configuration files of the node's components, as functions of the settings; writing them is all that it does."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.settings import Settings

PAUSE_IMAGE = "localhost/canario-pause:1"
DNS_PORT = 53
_CONTAINERD = """version = 3
root = "{state}/containerd"
state = "{state}/containerd-state"
# Without CAP_SYS_RESOURCE a process may not lower its oom_score_adj, nor its containers'.
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
address = "{socket}"
[ttrpc]
address = "{socket}.ttrpc"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "{state}/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"""
_COREDNS = """cluster.local in-addr.arpa {{
    errors
    bind {address}
    kubernetes {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    cache 5
}}
. {{
    bind {address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
"""Names outside the cluster do not exist, and the answer is immediate: the node has no way out."""


def write_all(settings: Settings) -> None:
    """Write every component's file into the state folder."""
    state = settings.state
    (state / "cni").mkdir(exist_ok=True)
    (state / "cni/10-bridge.conflist").write_text(json.dumps(pod_network(settings)))
    (state / "containerd.toml").write_text(
        _CONTAINERD.format(state=state, socket=settings.containerd_socket, pause=PAUSE_IMAGE)
    )
    (state / "kubelet.json").write_text(json.dumps(kubelet(settings)))
    (state / "audit-policy.json").write_text(json.dumps(audit_policy()))
    (state / "Corefile").write_text(
        _COREDNS.format(address=settings.node_end.ip, kubeconfig=state / "coredns.kubeconfig")
    )
    # Pods get the cluster's names and nothing of this machine's.
    (state / "resolv.conf").write_text("")


def pod_network(settings: Settings) -> dict[str, Any]:
    """One bridge, one subnet: what the container network plugins are told."""
    addresses = {
        "type": "host-local",
        "dataDir": str(settings.state / "addresses"),
        "ranges": [[{"subnet": str(settings.pods)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def kubelet(settings: Settings) -> dict[str, Any]:
    """The kubelet's settings; images are never thrown away, because nothing can pull them again."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(settings.keys / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.name}",
        "clusterDNS": [str(settings.dns_service)],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{settings.containerd_socket}",
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "resolvConf": str(settings.state / "resolv.conf"),
    }


def audit_policy() -> dict[str, Any]:
    """Every request once, when it is answered, without bodies."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }


def dns_objects(settings: Settings) -> dict[str, Any]:
    """The Service by which pods ask CoreDNS, which runs beside the pods: it needs no selector."""
    ports = [{"name": f"dns-{protocol.lower()}", "port": DNS_PORT, "protocol": protocol} for protocol in ("UDP", "TCP")]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system"},
        "spec": {"clusterIP": str(settings.dns_service), "ports": ports},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns-node",
            "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": "kube-dns"},
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [{"addresses": [str(settings.node_end.ip)]}],
    }
    return {"apiVersion": "v1", "kind": "List", "items": [service, endpoints]}
