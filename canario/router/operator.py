"""The router's second door: its operator reads it from outside and can change nothing; the admin port itself stays on loopback."""

from __future__ import annotations

from canario.model.split import RouterPlan
from canario.router.clusters import Document

READABLE = ("/stats/prometheus", "/clusters", "/server_info")
"""What may be read as it is; besides it the configuration, without what Envoy would know of secrets."""
READY = "/ready"
_ADMIN = "admin"
_CONFIGURATION = "/config_dump"
_TYPE = "type.googleapis.com/envoy.extensions"


def operator_cluster(plan: RouterPlan) -> Document:
    """The admin port, as a cluster of one."""
    host = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": plan.admin_port}}}}
    return {
        "name": _ADMIN,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": _ADMIN, "endpoints": [{"lb_endpoints": [host]}]},
    }


def operator_listener(plan: RouterPlan) -> Document:
    """Only GET, only what is listed; it goes on answering while the router drains, so that the last counts are read."""
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "operator",
        "server_name": "canario",
        "normalize_path": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_headers_timeout": "10s",
        "route_config": {"name": "operator", "virtual_hosts": [_host()]},
        "http_filters": [
            {
                # Answers by itself, and with 503 once the router was told to fail: Envoy's own /ready would not.
                "name": "envoy.filters.http.health_check",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.http.health_check.v3.HealthCheck",
                    "pass_through_mode": False,
                    "headers": [_path(READY + r"(\?.*)?"), _exactly(":method", "GET")],
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router", "suppress_envoy_headers": True},
            },
        ],
    }
    return {
        "name": "operator",
        "address": {"socket_address": {"address": plan.listen_host, "port_value": plan.operator_port}},
        "traffic_direction": "OUTBOUND",
        "drain_type": "MODIFY_ONLY",
        # However many clients there are, the router can be read.
        "ignore_global_conn_limit": True,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _host() -> Document:
    described = {
        "name": "resource",
        "string_match": {"safe_regex": {"regex": "dynamic_(route_configs|active_clusters)"}},
    }
    other = {"name": "resource", "present_match": True}
    return {
        "name": "operator",
        "domains": ["*"],
        "routes": [
            *(_readable({"path": path}) for path in READABLE),
            _secret({"headers": [_path(".*%.*")]}),  # a name in disguise
            _readable({"path": _CONFIGURATION, "query_parameters": [described]}),
            _secret({"query_parameters": [other]}),
            _readable({"path": _CONFIGURATION}),
            *(
                _refusal({"path": path}, 405, "only GET is answered here")
                for path in (*READABLE, _CONFIGURATION, READY)
            ),
            _refusal({"prefix": "/"}, 404, "there is nothing of that name here"),
        ],
    }


def _readable(match: Document) -> Document:
    return {"match": match | {"headers": [_exactly(":method", "GET")]}, "route": {"cluster": _ADMIN, "timeout": "5s"}}


def _secret(match: Document) -> Document:
    headers = [_exactly(":method", "GET"), *match.get("headers", [])]
    return _refusal(match | {"path": _CONFIGURATION, "headers": headers}, 404, "that is not told here")


def _refusal(match: Document, status: int, message: str) -> Document:
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": message + "\n"}}}


def _path(regex: str) -> Document:
    return {"name": ":path", "string_match": {"safe_regex": {"regex": regex}}}


def _exactly(name: str, value: str) -> Document:
    return {"name": name, "string_match": {"exact": value}}
