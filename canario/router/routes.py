"""The routes of a plan: who answers which request; the servers behind a cluster's name are for the clusters."""

from __future__ import annotations

from dataclasses import asdict

from canario.model.split import RouterPlan, Split
from canario.router.clusters import HOST_METADATA, ClusterName, Document, Protocol, Role

ROUTES_NAME = "canario"
VERSION_HEADER = "x-canario-version"
"""In a request: the version that is wanted. In an answer: the version that gave it."""
SHADOW_HEADER = "x-canario-shadow"
"""Marks copies for the servers; clients cannot send it."""
SPLIT_METADATA = "canario.split"
SPLIT_ROUTE = "split"
"""The name of the route that deals requests at the split's weights; all others were asked for by name."""
SHARES = 10_000
"""A weight is a whole number of shares: steps of 0.01 %."""

_TYPE = "type.googleapis.com/envoy.extensions"


def route_configuration(plan: RouterPlan) -> Document:
    """All routes. The split is written beside them, so that what is read back is what these very routes came from."""
    return {
        "name": ROUTES_NAME,
        "metadata": {"filter_metadata": {SPLIT_METADATA: asdict(plan.split)}},
        "request_headers_to_remove": [SHADOW_HEADER],
        "response_headers_to_add": [_header(VERSION_HEADER, f"%UPSTREAM_METADATA({HOST_METADATA}:version)%")],
        "virtual_hosts": [
            {
                "name": plan.model,
                "domains": ["*"],
                "include_request_attempt_count": True,
                "request_body_buffer_limit": plan.longest_body_bytes,
                "routes": [
                    _about_the_server(plan.split.stable),
                    *(route for protocol in (Protocol.GRPC, Protocol.REST) for route in _routes(plan, protocol)),
                ],
            }
        ],
    }


def clusters_in(routes: Document) -> set[str]:
    """The names of the clusters that a route configuration points to."""
    actions = [route.get("route", {}) for host in routes["virtual_hosts"] for route in host["routes"]]
    return {
        each
        for action in actions
        for each in (
            action.get("cluster", ""),
            *(share["name"] for share in action.get("weighted_clusters", {}).get("clusters", [])),
            *(copies["cluster"] for copies in action.get("request_mirror_policies", [])),
        )
        if each
    }


def _routes(plan: RouterPlan, protocol: Protocol) -> list[Document]:
    """In the order in which they are tried."""
    return [
        _refuse_pickle(protocol),
        *(_named_route(plan, backend.version, protocol) for backend in plan.backends),
        _unknown_version(plan, protocol),
        _split_route(plan, protocol),
    ]


def _match(protocol: Protocol, *headers: Document) -> Document:
    match: Document = {"prefix": "/", "headers": list(headers)}
    return match | {"grpc": {}} if protocol is Protocol.GRPC else match


def _header(name: str, value: str) -> Document:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _about_the_server(stable: str) -> Document:
    """GRPC's own services, health and reflection: streams that stay open, so neither buffered nor timed."""
    return {
        "name": "service",
        "match": {"prefix": "/grpc.", "grpc": {}},
        "route": {"cluster": str(ClusterName(stable, Protocol.GRPC, Role.DIRECT)), "timeout": "0s"},
        "typed_per_filter_config": {
            "envoy.filters.http.buffer": {"@type": f"{_TYPE}.filters.http.buffer.v3.BufferPerRoute", "disabled": True}
        },
    }


def _refuse_pickle(protocol: Protocol) -> Document:
    pickle = {"name": "content-type", "string_match": {"contains": "pickle", "ignore_case": True}}
    return _refusal("pickle", _match(protocol, pickle), 415, "pickled content is not accepted")


def _unknown_version(plan: RouterPlan, protocol: Protocol) -> Document:
    versions = ", ".join(backend.version for backend in plan.backends) or "none"
    any_version = {"name": VERSION_HEADER, "present_match": True}
    message = f"{plan.model} has no such version here; there are: {versions}"
    return _refusal("unknown-version", _match(protocol, any_version), 404, message)


def _refusal(name: str, match: Document, status: int, message: str) -> Document:
    return {"name": name, "match": match, "direct_response": {"status": status, "body": {"inline_string": message}}}


def _named_route(plan: RouterPlan, version: str, protocol: Protocol) -> Document:
    """Who names a version gets that version or an error: an answer of another one would be a wrong answer."""
    named = {"name": VERSION_HEADER, "string_match": {"exact": version}}
    action: Document = {"cluster": str(ClusterName(version, protocol, Role.DIRECT)), **_patience(plan)}
    return {"name": "named", "match": _match(protocol, named), "route": action}


def _split_route(plan: RouterPlan, protocol: Protocol) -> Document:
    split = plan.split
    action = _shares(split, protocol) | _patience(plan)
    if split.candidate and split.shadow_percent > 0:
        action["request_mirror_policies"] = [_copies(split, protocol)]
    return {"name": SPLIT_ROUTE, "match": _match(protocol), "route": action}


def _shares(split: Split, protocol: Protocol) -> Document:
    stable = str(ClusterName(split.stable, protocol, Role.DIRECT))
    if not split.candidate:
        return {"cluster": stable}
    trial = str(ClusterName(split.candidate, protocol, Role.TRIAL))
    shares = round(split.weight_percent * SHARES / 100)
    # The candidate comes first: its part of the range grows from 0 upwards, and whoever is in it stays in it.
    weighted: Document = {"clusters": [{"name": trial, "weight": shares}, {"name": stable, "weight": SHARES - shares}]}
    if not split.sticky_header:
        return {"weighted_clusters": weighted}
    # Salted with the candidate, so that it is not always the same users who try what is new.
    salted = {"pattern": {"regex": "^"}, "substitution": f"{split.candidate} "}
    sticky = {"header": {"header_name": split.sticky_header, "regex_rewrite": salted}}
    return {"weighted_clusters": weighted | {"use_hash_policy": True}, "hash_policy": [sticky]}


def _copies(split: Split, protocol: Protocol) -> Document:
    share = {"numerator": round(split.shadow_percent * SHARES / 100), "denominator": "TEN_THOUSAND"}
    return {
        "cluster": str(ClusterName(split.candidate, protocol, Role.SHADOW)),
        "runtime_fraction": {"default_value": share},
        "request_headers_mutations": [{"append": _header(SHADOW_HEADER, "1")}],
    }


def _patience(plan: RouterPlan) -> Document:
    """How long, and how often: a failed first attempt is made again elsewhere while the client waits.

    A version on trial has stable behind it, so its second attempt goes there; others go to another of their servers.
    What the client did wrong (4xx, INVALID_ARGUMENT and the like) is not tried again.
    """
    return {
        "timeout": f"{plan.timeout_seconds:.3f}s",
        "retry_policy": {
            "retry_on": "5xx,reset,connect-failure,refused-stream,retriable-headers",
            "retriable_headers": [
                # CANCELLED, 1, is what a gRPC server says of a call that reached it as it stopped. A client that cancels
                # resets its stream, and is gone before anything could be tried again.
                {"name": "grpc-status", "string_match": {"safe_regex": {"regex": "1|2|4|12|13|14|15"}}}
            ],
            # candidate, stable, candidate, stable's other server: also while one of stable's has just died.
            "num_retries": 3,
            "per_try_timeout": f"{plan.timeout_seconds / 2:.3f}s",
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.02s"},
            "retry_priority": {
                "name": "envoy.retry_priorities.previous_priorities",
                "typed_config": {
                    "@type": f"{_TYPE}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                    "update_frequency": 1,
                },
            },
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {"@type": f"{_TYPE}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                }
            ],
            "host_selection_retry_max_attempts": 50,
        },
    }
