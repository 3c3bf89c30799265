"""Whatever a plan is, its configuration is one that Envoy accepts, and says what the plan says."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from canario.adapters.envoy import validate
from canario.model.split import Backend, Endpoint, RouterPlan, Split
from canario.router.clusters import ClusterName, Protocol, Role, cluster_names, load_assignment
from canario.router.configuration import configuration, standalone
from canario.router.routes import SHARES, route_configuration

VERSIONS = st.sampled_from(["v1", "v2", "20240501-ab12cd", "1.0.2-rc.1", "a_b", "0"]) | st.text(
    string.printable.replace("\n", "").replace("\r", "") + "ção", min_size=1, max_size=20
).filter(str.strip)
PORTS = st.integers(1, 65_535)
NAMES = st.sampled_from(["fraud-v1", "fraud-v2.default.svc"])
ENDPOINTS = st.builds(
    Endpoint, host=st.sampled_from(["127.0.0.1", "10.0.0.7", "::1"]) | NAMES, http_port=PORTS, grpc_port=PORTS
)
SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PERCENT = st.integers(0, 10_000).map(lambda shares: shares / 100)


@st.composite
def plans(draw: st.DrawFn) -> RouterPlan:
    """Any plan: no candidate, versions without servers, versions that only headers reach, a candidate that is stable."""
    versions = draw(st.lists(VERSIONS, min_size=1, max_size=4, unique=True))
    port, admin_port, operator_port = draw(st.lists(PORTS, min_size=3, max_size=3, unique=True))
    return RouterPlan(
        model=draw(st.sampled_from(["fraud", "loan", "a-b_c"])),
        port=port,
        admin_port=admin_port,
        operator_port=draw(st.sampled_from([0, operator_port])),
        split=Split(
            stable=draw(st.sampled_from(versions)),
            candidate=draw(st.sampled_from(["", *versions, "not-here"])),
            weight_percent=draw(PERCENT),
            shadow_percent=draw(PERCENT),
            sticky_header=draw(st.sampled_from(["", "x-user", "X-Session-Id"])),
        ),
        backends=tuple(
            Backend(
                version=version,
                endpoints=tuple(draw(st.lists(ENDPOINTS, max_size=2, unique=True))),
                draining=tuple(draw(st.lists(ENDPOINTS, max_size=1))),
            )
            for version in draw(st.permutations(versions))
        ),
        latency_milliseconds=draw(st.floats(0.001, 1e6)),
        listen_host=draw(st.sampled_from(["127.0.0.1", "0.0.0.0", "::"])),  # noqa: S104 - only read, never bound
        timeout_seconds=draw(st.floats(0.01, 1e5)),
        longest_body_bytes=draw(st.integers(1, 2**32 - 1)),
    )


@pytest.mark.real
@settings(SOME, max_examples=25)
@given(plans())
def test_every_plan_gives_a_configuration_that_envoy_accepts(plan: RouterPlan) -> None:
    """Odd names, no candidate, no servers: Envoy itself validates what is generated."""
    validate(standalone(plan))


@SOME
@given(plans())
def test_every_route_points_to_a_cluster_that_exists(plan: RouterPlan) -> None:
    """No request can be sent to a cluster that the configuration does not have."""
    wanted = configuration(plan, Path("/router"))
    for route in wanted.routes["virtual_hosts"][0]["routes"]:
        action = route.get("route", {})
        named = [action["cluster"]] if "cluster" in action else []
        named += [each["name"] for each in action.get("weighted_clusters", {}).get("clusters", [])]
        named += [policy["cluster"] for policy in action.get("request_mirror_policies", [])]
        assert named or "direct_response" in route
        assert set(named) <= wanted.clusters.keys()
    assert wanted.endpoints.keys() == (set() if plan.finds_by_name else wanted.clusters.keys())


@SOME
@given(plans())
def test_weights_are_whole_shares_and_the_same_for_both_protocols(plan: RouterPlan) -> None:
    """The candidate comes first with its hundredths of a percent; REST and gRPC have the same shares."""
    splits = [
        [each["weight"] for each in route["route"]["weighted_clusters"]["clusters"]]
        for route in route_configuration(plan)["virtual_hosts"][0]["routes"]
        if "weighted_clusters" in route.get("route", {})
    ]
    if plan.split.candidate:
        shares = round(plan.split.weight_percent * 100)
        assert splits == [[shares, SHARES - shares]] * 2
    else:
        assert splits == []


@SOME
@given(plans())
def test_only_a_version_on_trial_has_stable_behind_it(plan: RouterPlan) -> None:
    """Servers of another version stand behind the candidate's share only: never behind a named version or a copy."""
    for name in cluster_names(plan):
        priorities = load_assignment(name, plan)["endpoints"]
        assert len(priorities) == (2 if name.role is Role.TRIAL else 1)


@SOME
@given(plans())
def test_the_same_plan_gives_the_same_text(plan: RouterPlan) -> None:
    """The generated text depends on nothing but the plan, and is JSON."""
    one, other = (configuration(plan, Path("/router")) for _ in range(2))
    assert one == other
    json.loads(one.bootstrap)
    json.dumps([one.routes, one.clusters, one.endpoints, one.runtime], allow_nan=False)


@SOME
@example("a/b", "a", Protocol.REST)
@example("..", "../..", Protocol.GRPC)
@given(VERSIONS, VERSIONS, st.sampled_from(Protocol))
def test_no_two_versions_share_a_cluster(one: str, other: str, protocol: Protocol) -> None:
    """Whatever versions are called, their clusters have names of their own with three parts."""
    names = {str(ClusterName(version, protocol, Role.DIRECT)) for version in (one, other)}
    assert len(names) == len({one, other})
    assert {name.count("/") for name in names} == {2}
