"""The routes of a plan: who answers which request; the servers behind a cluster's name are for the clusters."""

from __future__ import annotations

from canario.model.split import RouterPlan, Split
from canario.router.clusters import ClusterName, Document, Protocol, Role

ROUTES_NAME = "canario"
VERSION_HEADER = "x-canario-version"
SPLIT_METADATA = "canario.split"
SPLIT_ROUTE = "split"
SHARES = 10_000
"""A weight is a whole number of shares: steps of 0.01 %."""


def route_configuration(plan: RouterPlan) -> Document:
    """All routes. The split is written beside them, so that what is read back is what these very routes came from."""
    return {
        "name": ROUTES_NAME,
        "metadata": {"filter_metadata": {SPLIT_METADATA: _split_metadata(plan.split)}},
        "virtual_hosts": [
            {
                "name": plan.model,
                "domains": ["*"],
                "include_request_attempt_count": True,
                "request_body_buffer_limit": plan.longest_body_bytes,
                "routes": [route for protocol in (Protocol.GRPC, Protocol.REST) for route in _routes(plan, protocol)],
            }
        ],
    }


def _split_metadata(split: Split) -> Document:
    return {
        "stable": split.stable,
        "candidate": split.candidate,
        "weight_percent": split.weight_percent,
        "shadow_percent": split.shadow_percent,
        "sticky_header": split.sticky_header,
    }


def _routes(plan: RouterPlan, protocol: Protocol) -> list[Document]:
    """In the order in which they are tried."""
    return [
        _refuse_pickle(protocol),
        *(_version_route(plan, backend.version, protocol) for backend in plan.backends),
        _unknown_version(plan, protocol),
        _split_route(plan, protocol),
    ]


def _match(protocol: Protocol, *headers: Document) -> Document:
    match: Document = {"prefix": "/", "headers": list(headers)}
    return match | {"grpc": {}} if protocol is Protocol.GRPC else match


def _refuse_pickle(protocol: Protocol) -> Document:
    pickle = {"name": "content-type", "string_match": {"contains": "pickle", "ignore_case": True}}
    return _refusal("pickle", _match(protocol, pickle), protocol, 415, 3, "pickled content is not accepted")


def _unknown_version(plan: RouterPlan, protocol: Protocol) -> Document:
    versions = ", ".join(backend.version for backend in plan.backends) or "none"
    message = f"{plan.model} has no such version here; there are: {versions}"
    any_version = {"name": VERSION_HEADER, "present_match": True}
    return _refusal("unknown-version", _match(protocol, any_version), protocol, 404, 5, message)


def _refusal(name: str, match: Document, protocol: Protocol, status: int, grpc_status: int, message: str) -> Document:
    refusal: Document = {
        "name": name,
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": message}},
    }
    if protocol is Protocol.GRPC:
        refusal["response_headers_to_add"] = [
            {
                "header": {"key": "grpc-status", "value": str(grpc_status)},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ]
    return refusal


def _version_route(plan: RouterPlan, version: str, protocol: Protocol) -> Document:
    """Who names a version gets that version or an error: an answer of another one would be a wrong answer."""
    named = {"name": VERSION_HEADER, "string_match": {"exact": version}}
    name = ClusterName(version, protocol, Role.DIRECT)
    return {
        "name": "named",
        "match": _match(protocol, named),
        "route": {"cluster": str(name), **_common_action(plan)},
    }


def _split_route(plan: RouterPlan, protocol: Protocol) -> Document:
    split = plan.split
    stable = str(ClusterName(split.stable, protocol, Role.DIRECT))
    candidate_shares = round(split.weight_percent * SHARES / 100) if split.candidate else 0
    action = _common_action(plan)
    if split.candidate:
        trial = str(ClusterName(split.candidate, protocol, Role.TRIAL))
        action["weighted_clusters"] = {
            # The candidate comes first: its part of the range grows from 0 upwards, and whoever is in it stays in it.
            "clusters": [
                {"name": trial, "weight": candidate_shares},
                {"name": stable, "weight": SHARES - candidate_shares},
            ],
        }
        if split.sticky_header:
            action["weighted_clusters"]["use_hash_policy"] = True
            action["hash_policy"] = [{"header": {"header_name": split.sticky_header}}]
    else:
        action["cluster"] = stable
    if split.candidate and split.shadow_percent > 0:
        action["request_mirror_policies"] = [
            {
                "cluster": str(ClusterName(split.candidate, protocol, Role.SHADOW)),
                "runtime_fraction": {
                    "default_value": {
                        "numerator": round(split.shadow_percent * SHARES / 100),
                        "denominator": "TEN_THOUSAND",
                    }
                },
            }
        ]
    return {"name": SPLIT_ROUTE, "match": _match(protocol), "route": action}


def _common_action(plan: RouterPlan) -> Document:
    return {
        "timeout": f"{plan.timeout_seconds}s",
        "retry_policy": {
            "retry_on": "5xx,reset,connect-failure,refused-stream,retriable-headers",
            "retriable_headers": [
                {"name": "grpc-status", "string_match": {"safe_regex": {"regex": "2|4|12|13|14|15"}}}
            ],
            "num_retries": 3,
            "per_try_timeout": f"{plan.timeout_seconds / 2}s",
            "retry_priority": {
                "name": "envoy.retry_priorities.previous_priorities",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                    "update_frequency": 1,
                },
            },
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                    },
                }
            ],
            "host_selection_retry_max_attempts": 5,
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.02s"},
        },
    }
