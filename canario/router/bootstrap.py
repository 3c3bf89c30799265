"""The fixed part of the router: its port, its operator's port, and what it counts; who answers is for the routes."""

from __future__ import annotations

import math

from canario.model.split import RouterPlan
from canario.router.clusters import HOST_METADATA, Document
from canario.router.operator import operator_cluster, operator_listener
from canario.router.replies import local_replies

STATISTICS = "canario"
"""The prefix of the counters below."""
ATTEMPTS = "attempts"
"""Counter: first attempts that have ended."""
SLOW = "slow"
"""Counter: those of them that took as long as the objective or longer."""
UNSERVED = "unserved"
"""Counter: requests for which there was no server, so that no attempt was made."""
CLIENTS_STATISTICS = "canario_clients"
"""The prefix of what clients saw: after every retry and rescue, so no evidence about one version. Objectives are judged by it."""
ANSWERS = "answers"
"""Counter: requests that have ended for their client."""
SLOW_ANSWERS = "slow_answers"
"""Counter: those of them that took as long as the objective or longer."""
SLOW_KEY = "canario.slow_milliseconds"
"""The runtime value that holds the objective, so that another one needs no restart."""
MOST_CONNECTIONS = 10_000

_UNTOLD = (
    # Twenty series each, of interest to Envoy's makers. How long requests take is not among them.
    (
        r".*(_cx_length_ms|_cx_connect_ms|_rq_per_cx|[.]connections_accepted_per_socket_event"
        r"|[.]update_duration|[.]initialization_time_ms|[.]refresh_interval_delay)"
    ),
    # What operators ask, and what the process itself is busy with.
    r"(http[.](admin|operator)|listener[.]admin|dns|dns_cares|main_thread|workers|thread_local_cluster_manager)[.].*",
    # What this configuration never uses.
    r".*[.](passthrough_internal_redirect|tracing|circuit_breakers[.]high|lb_)[^.]*([.].*)?",
)
"""Statistics that the router does not keep, as expressions over their whole names: each would be a series in every scrape."""

_TYPE = "type.googleapis.com/envoy.extensions"
_LOGGER = "envoy.access_loggers.stats"

_TAGS = {
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "version": f"%UPSTREAM_METADATA({HOST_METADATA}:version)%",
    "code": "%RESPONSE_CODE%",
    "grpc": "%GRPC_STATUS_NUMBER%",
    "flags": "%RESPONSE_FLAGS%",
}
"""What is known of an attempt when it has ended; what it means is for the evidence."""

_CLIENT_TAGS = {tag: _TAGS[tag] for tag in ("route", "version", "code", "grpc", "flags")}
"""What is known of a request when it has ended; `version` is the one that answered in the end."""

_FIRST: Document = {"header_filter": {"header": {"name": "x-envoy-attempt-count", "string_match": {"exact": "1"}}}}


def bootstrap(plan: RouterPlan, routes: Document, sources: Document) -> Document:
    """The whole process; `routes` and `sources` say where the moving parts are read from."""
    monitor = "downstream_connections.v3.DownstreamConnectionsConfig"
    return {
        "node": {"id": "router", "cluster": plan.model},
        "admin": {"address": _address("127.0.0.1", plan.admin_port)},
        "stats_config": {
            "stats_matcher": {"exclusion_list": {"patterns": [{"safe_regex": {"regex": each}} for each in _UNTOLD]}}
        },
        "static_resources": _fixed(plan, routes),
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{_TYPE}.resource_monitors.{monitor}",
                        "max_active_downstream_connections": MOST_CONNECTIONS,
                    },
                }
            ]
        },
        **sources,
    }


def slow_milliseconds(plan: RouterPlan) -> int:
    """From how many whole milliseconds an attempt is slow; Envoy measures in whole ones."""
    return math.ceil(plan.latency_milliseconds)


def _address(host: str, port: int) -> Document:
    return {"socket_address": {"address": host, "port_value": port}}


def _fixed(plan: RouterPlan, routes: Document) -> Document:
    if not plan.operator_port:
        return {"listeners": [_listener(plan, routes)], "clusters": []}
    return {"listeners": [_listener(plan, routes), operator_listener(plan)], "clusters": [operator_cluster(plan)]}


def _listener(plan: RouterPlan, routes: Document) -> Document:
    manager = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": _http_connections(plan, routes),
    }
    return {
        "name": "clients",
        "address": _address(plan.listen_host, plan.port),
        "per_connection_buffer_limit_bytes": plan.longest_body_bytes,
        # Only clients are sent away when the router drains, and only then: failing readiness alone changes nothing.
        "traffic_direction": "INBOUND",
        "drain_type": "MODIFY_ONLY",
        "filter_chains": [{"filters": [manager]}],
    }


def _http_connections(plan: RouterPlan, routes: Document) -> Document:
    return {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "clients",
        # HTTP/1.1 and HTTP/2 without TLS on one port, told apart by their first bytes: REST and gRPC.
        "codec_type": "AUTO",
        "server_name": "canario",
        # Clients are strangers: their x-envoy-* headers and their request ids are not taken over. A request id is
        # part of every prediction's id, so two requests must never have the same one.
        "use_remote_address": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        "request_headers_timeout": "10s",
        "local_reply_config": local_replies(plan),
        "access_log": [
            _counter(UNSERVED, _all({"response_flag_filter": {"flags": ["UH"]}}, _FIRST)),
            _clients_counter(ANSWERS),
            _clients_counter(SLOW_ANSWERS, _slow(plan)),
        ],
        **routes,
        "http_filters": [
            {
                # A request is held until it is whole: only so can it be refused as too large, or be sent again.
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
                    "upstream_log": [_counter(ATTEMPTS, _FIRST), _counter(SLOW, _all(_FIRST, _slow(plan)))],
                },
            },
        ],
    }


def _slow(plan: RouterPlan) -> Document:
    objective = {"default_value": slow_milliseconds(plan), "runtime_key": SLOW_KEY}
    return {"duration_filter": {"comparison": {"op": "GE", "value": objective}}}


def _all(*filters: Document) -> Document:
    return {"and_filter": {"filters": list(filters)}}


def _counter(name: str, which: Document) -> Document:
    return {"name": _LOGGER, "filter": which, "typed_config": _counting(STATISTICS, name, _TAGS)}


def _clients_counter(name: str, which: Document | None = None) -> Document:
    """Without `which` every request is counted."""
    counting = {"name": _LOGGER, "typed_config": _counting(CLIENTS_STATISTICS, name, _CLIENT_TAGS)}
    return counting | {"filter": which} if which else counting


def _counting(prefix: str, name: str, tags: dict[str, str]) -> Document:
    stat = {"name": name, "tags": [{"name": tag, "value_format": value} for tag, value in tags.items()]}
    return {
        "@type": f"{_TYPE}.access_loggers.stats.v3.Config",
        "stats_scope": {"prefix": prefix},
        "counters": [{"stat": stat, "value_fixed": 1}],
    }
