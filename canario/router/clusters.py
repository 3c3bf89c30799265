"""The clusters of a plan and who is in them, as Envoy wants them; which of them answers a request is for the routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from canario.model.split import Backend, Endpoint, RouterPlan

Document = dict[str, Any]
"""A piece of Envoy's configuration: the JSON of a protocol buffer."""

HOST_METADATA = "canario"
"""The namespace of what the router knows of an endpoint: its version."""


class Protocol(StrEnum):
    """What clients and servers speak; each version has servers for both."""

    REST = "rest"
    GRPC = "grpc"


class Role(StrEnum):
    """Why a request is sent to a version; each role has clusters of its own, so that each is counted on its own."""

    DIRECT = "direct"
    """Stable's share of the split, and requests that name the version."""
    TRIAL = "trial"
    """The candidate's share of the split: stable stands behind it."""
    SHADOW = "shadow"
    """Copies that nobody sees."""


@dataclass(frozen=True, slots=True, order=True)
class ClusterName:
    """A cluster's name, `v2/grpc/trial`, in its parts; whatever a version is called, it has two slashes."""

    version: str
    protocol: Protocol
    role: Role

    def __str__(self) -> str:
        return f"{quote(self.version, safe='')}/{self.protocol}/{self.role}"


def cluster_names(plan: RouterPlan) -> list[ClusterName]:
    """The clusters that the plan's routes need."""
    wanted = [
        (version, Role.DIRECT)
        for version in dict.fromkeys((plan.split.stable, *(backend.version for backend in plan.backends)))
    ]
    if plan.split.candidate:
        wanted += [(plan.split.candidate, Role.TRIAL)]
    if plan.split.candidate and plan.split.shadow_percent > 0:
        wanted += [(plan.split.candidate, Role.SHADOW)]
    return [ClusterName(version, protocol, role) for version, role in wanted for protocol in Protocol]


def cluster(name: ClusterName) -> Document:
    """One cluster, without its endpoints and how they are found."""
    return {
        "name": str(name),
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "1s",
        "ignore_health_on_host_removal": True,
        "common_lb_config": {
            # Only when every server is unhealthy are they all tried: an answer may come, a refusal is certain.
            "healthy_panic_threshold": {"value": 1},
            # Otherwise what is learnt of a server's health may wait for up to a second before it counts.
            "update_merge_window": "0s",
        },
        "circuit_breakers": {"thresholds": [_LIMITS]},
        "health_checks": [_HEALTH | _PROBES[name.protocol]],
        "outlier_detection": _OUTLIERS,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                # Shorter than the servers' own keep-alive (75 s): nobody closes a connection that the other takes up.
                "common_http_protocol_options": {"idle_timeout": "30s"},
                "explicit_http_config": _PROTOCOL_OPTIONS[name.protocol],
            }
        },
    }


def found_by_name(name: ClusterName, plan: RouterPlan) -> Document:
    """The way to a cluster's endpoints when DNS knows them: Envoy looks their names up every second."""
    return {
        "cluster_type": {"name": "envoy.clusters.dns", "typed_config": _LOOKED_UP},
        "load_assignment": load_assignment(name, plan),
    }


def load_assignment(name: ClusterName, plan: RouterPlan) -> Document:
    """Who is in a cluster: its version's servers; behind a version on trial, stable's."""
    versions = [name.version, plan.split.stable] if name.role is Role.TRIAL else [name.version]
    return {
        "cluster_name": str(name),
        "endpoints": [
            {
                "priority": priority,
                "locality": {"zone": str(priority)},
                "lb_endpoints": [host for backend in plan.backends for host in _hosts(backend, version, name.protocol)],
            }
            for priority, version in enumerate(versions)
        ],
        # One healthy server of the candidate takes all that is dealt to it: the rest is not silently stable's.
        "policy": {"overprovisioning_factor": 100_000},
    }


def _hosts(backend: Backend, version: str, protocol: Protocol) -> Iterator[Document]:
    if backend.version == version:
        yield from (_host(version, endpoint, protocol) for endpoint in backend.endpoints)
        yield from (_host(version, endpoint, protocol) | {"health_status": "DRAINING"} for endpoint in backend.draining)


def _host(version: str, endpoint: Endpoint, protocol: Protocol) -> Document:
    port = endpoint.http_port if protocol is Protocol.REST else endpoint.grpc_port
    return {
        "endpoint": {"address": {"socket_address": {"address": endpoint.host, "port_value": port}}},
        "metadata": {"filter_metadata": {HOST_METADATA: {"version": quote(version, safe="")}}},
    }


_LOOKED_UP: Document = {
    "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
    "dns_refresh_rate": "1s",
    "dns_failure_refresh_rate": {"base_interval": "0.25s", "max_interval": "1s"},
    # A server that has gone must not be remembered for as long as the name's owner thinks.
    "respect_dns_ttl": False,
    "dns_lookup_family": "V4_PREFERRED",
    "typed_dns_resolver_config": {
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            # A lost question is asked again after a second, not after five.
            "query_timeout_seconds": 1,
            "query_tries": 3,
        },
    },
}

_HEALTH: Document = {
    "timeout": "1s",
    "interval": "0.5s",
    "no_traffic_interval": "0.5s",
    "unhealthy_interval": "0.25s",
    "unhealthy_threshold": 2,
    "healthy_threshold": 1,
}

_PROBES: dict[Protocol, Document] = {
    Protocol.REST: {"http_health_check": {"path": "/readyz"}},
    Protocol.GRPC: {"grpc_health_check": {}},
}

_LIMITS: Document = {
    "max_connections": 10_000,
    "max_pending_requests": 10_000,
    "max_requests": 10_000,
    # When one of two servers dies, all that it had under way is tried again at once: a budget in proportion to what is
    # active would refuse the half of it. Three retries a request are the bound.
    "max_retries": 10_000,
}

_OUTLIERS: Document = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 2,
    "consecutive_gateway_failure": 5,
    "enforcing_consecutive_gateway_failure": 100,
    # An answer of 500 is evidence about the version, not about one server: it is counted, and ejects nobody.
    "enforcing_consecutive_5xx": 0,
    "enforcing_success_rate": 0,
    "enforcing_local_origin_success_rate": 0,
    "interval": "0.5s",
    "base_ejection_time": "1s",
    "max_ejection_time": "5s",
    "max_ejection_percent": 100,
}

_PROTOCOL_OPTIONS: dict[Protocol, Document] = {
    Protocol.REST: {"http_protocol_options": {}},
    Protocol.GRPC: {"http2_protocol_options": {}},
}
