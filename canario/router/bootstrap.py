"""The fixed part of the router: its port, its operator's port, what it counts and how it words its own errors."""

from __future__ import annotations

import math

from canario.model.split import RouterPlan
from canario.router.clusters import Document
from canario.router.evidence import ATTEMPTS, SLOW

STATISTICS = "canario"
"""The prefix of the counters of attempts."""

_TYPE = "type.googleapis.com/envoy.extensions"


def bootstrap(plan: RouterPlan, routes: Document, clusters: Document) -> Document:
    """The whole process; `routes` and `clusters` say where the moving parts are read from."""
    return {
        "node": {"id": "router", "cluster": plan.model},
        "admin": {"address": _address("127.0.0.1", plan.admin_port)},
        "static_resources": {"listeners": [_listener(plan, routes)]},
        **clusters,
    }


def _address(host: str, port: int) -> Document:
    return {"socket_address": {"address": host, "port_value": port}}


def _listener(plan: RouterPlan, routes: Document) -> Document:
    return {
        "name": "clients",
        "address": _address(plan.listen_host, plan.port),
        "per_connection_buffer_limit_bytes": plan.longest_body_bytes,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _connection_manager(plan, routes),
                    }
                ]
            }
        ],
    }


def _connection_manager(plan: RouterPlan, routes: Document) -> Document:
    return {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "clients",
        "codec_type": "AUTO",
        "server_name": "canario",
        "use_remote_address": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        **routes,
        "http_filters": [
            {
                "name": "envoy.filters.http.buffer",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.http.buffer.v3.Buffer",
                    "max_request_bytes": plan.longest_body_bytes,
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                    "upstream_log": _counting(plan),
                },
            },
        ],
    }


_TAGS = {
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "version": "%UPSTREAM_METADATA(canario:version)%",
    "code": "%RESPONSE_CODE%",
    "grpc": "%GRPC_STATUS_NUMBER%",
    "flags": "%RESPONSE_FLAGS%",
}
"""What is known of an attempt when it has ended; evidence.py says what it means."""


def _counting(plan: RouterPlan) -> list[Document]:
    """One entry an attempt: of first attempts, all are counted, and once more those that took too long."""
    first = {"header_filter": {"header": {"name": "x-envoy-attempt-count", "string_match": {"exact": "1"}}}}
    late = {"default_value": math.ceil(plan.latency_milliseconds), "runtime_key": "canario.late_milliseconds"}
    slow = {"and_filter": {"filters": [first, {"duration_filter": {"comparison": {"op": "GE", "value": late}}}]}}
    return [_counter(ATTEMPTS, first), _counter(SLOW, slow)]


def _counter(name: str, which: Document) -> Document:
    tags = [{"name": tag, "value_format": value} for tag, value in _TAGS.items()]
    return {
        "name": "envoy.access_loggers.stats",
        "filter": which,
        "typed_config": {
            "@type": f"{_TYPE}.access_loggers.stats.v3.Config",
            "stats_scope": {"prefix": STATISTICS},
            "counters": [{"stat": {"name": name, "tags": tags}, "value_fixed": 1}],
        },
    }
