"""The chart of one model: what it installs, and that the parts find each other."""

from __future__ import annotations

import pytest

from tests.helm.charts import ALL_OF_THE_MODEL, CHARTS, MODEL, Helm, Object, find, names, objects, pod_specs


def smoke(helm: Helm, *settings: str) -> Object:
    """The pod that `helm test` runs."""
    chart = str(CHARTS / "model")
    text = helm.run("template", "fraud", chart, "--show-only", "templates/tests/smoke.yaml", *MODEL, *settings).stdout
    (pod,) = objects(text)
    return pod


def test_it_installs_six_objects(helm: Helm) -> None:
    """By default a model is the resource, a router with its Service, budgets and an identity; the controller makes the rest."""
    assert names(helm.render("model", *MODEL)) == {
        ("ModelDeployment", "fraud"),
        ("Deployment", "fraud-router"),
        ("Service", "fraud"),
        ("PodDisruptionBudget", "fraud-router"),
        ("PodDisruptionBudget", "fraud-servers"),
        ("ServiceAccount", "fraud"),
    }


@pytest.mark.parametrize(
    ("kind", "name", "component"),
    [("Service", "fraud", "router"), ("PodDisruptionBudget", "fraud-router", "router")],
)
def test_what_selects_routers_finds_them(helm: Helm, kind: str, name: str, component: str) -> None:
    """Service and budget select the router's pods, by labels that no version changes."""
    rendered = helm.render("model", *MODEL)
    pods = find(rendered, "Deployment", "fraud-router")["spec"]["template"]["metadata"]["labels"]
    selector = find(rendered, kind, name)["spec"]["selector"]
    assert selector.get("matchLabels", selector) == {"canario.dev/model": "fraud", "canario.dev/component": component}
    assert selector.get("matchLabels", selector).items() <= pods.items()


def test_the_budget_of_the_servers_covers_all_versions(helm: Helm) -> None:
    """A drain takes one server at a time, whichever version it is of."""
    budget = find(helm.render("model", *MODEL), "PodDisruptionBudget", "fraud-servers")["spec"]
    assert budget["selector"]["matchLabels"] == {"canario.dev/model": "fraud", "canario.dev/component": "server"}
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_a_router_leaves_only_after_its_successor_and_its_last_request(helm: Helm) -> None:
    """Rolling the router fails no request: a ready one more before one less, a drain, and time for it."""
    deployment = find(helm.render("model", *MODEL), "Deployment", "fraud-router")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    spec = deployment["template"]["spec"]
    (container,) = spec["containers"]
    drain_seconds = int(container["command"][container["command"].index("--drain-time-s") + 1])
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["python", "-m", "canario.router.drain"]
    assert spec["terminationGracePeriodSeconds"] > drain_seconds
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "operator"}


def test_the_router_reads_the_configuration_that_the_controller_writes(helm: Helm) -> None:
    """The ConfigMap is mounted whole, so that a change reaches the running Envoy."""
    spec = pod_specs(helm.render("model", *MODEL))["fraud-router"]
    (container,) = spec["containers"]
    mount = next(one for one in container["volumeMounts"] if one["name"] == "configuration")
    assert mount == {"name": "configuration", "mountPath": "/etc/canario/router", "readOnly": True}
    assert spec["volumes"][0] == {"name": "configuration", "configMap": {"name": "fraud-router"}}
    assert container["command"][:3] == ["envoy", "--config-path", "/etc/canario/router/bootstrap.json"]


def test_autoscaling_takes_the_place_of_replicas(helm: Helm) -> None:
    """The resource never says both how many servers and that the number follows the load."""
    fixed = find(helm.render("model", *MODEL), "ModelDeployment", "fraud")["spec"]
    scaled = find(helm.render("model", *MODEL, "--set", "autoscaling.maxReplicas=5"), "ModelDeployment", "fraud")[
        "spec"
    ]
    assert (fixed["replicas"], "autoscaling" in fixed) == (2, False)
    assert (scaled["autoscaling"], "replicas" in scaled) == ({"maxReplicas": 5}, False)


def test_the_model_is_named_by_the_release_or_by_hand(helm: Helm) -> None:
    """Every object carries the model's name, which is the release's unless it is set."""
    rendered = helm.render("model", *ALL_OF_THE_MODEL, "--set", "nameOverride=churn", release="team-churn")
    assert {one["metadata"]["name"].removesuffix("s").split("-")[0] for one in rendered} == {"churn"}
    assert {one["metadata"]["labels"]["canario.dev/model"] for one in rendered} == {"churn"}


def test_router_and_servers_share_an_identity_without_rights(helm: Helm) -> None:
    """No pod of a model carries a token, and one's own service account is used as it is."""
    rendered = helm.render("model", *MODEL, "--set", "serviceAccount.create=false,serviceAccount.name=scorer")
    assert "ServiceAccount" not in {one["kind"] for one in rendered}
    assert find(rendered, "ModelDeployment", "fraud")["spec"]["serviceAccountName"] == "scorer"
    router = pod_specs(rendered)["fraud-router"]
    assert (router["serviceAccountName"], router["automountServiceAccountToken"]) == ("scorer", False)


def test_fenced_servers_are_reached_through_the_router_alone(helm: Helm) -> None:
    """With the NetworkPolicy on, requests come through the router, and operators' ports open to the controller only."""
    rendered = helm.render("model", *ALL_OF_THE_MODEL)
    requests, operator = find(rendered, "NetworkPolicy", "fraud-servers")["spec"]["ingress"]
    assert [port["port"] for port in requests["ports"]] == [3000, 3001]
    assert requests["from"][0]["podSelector"]["matchLabels"]["canario.dev/component"] == "router"
    assert [port["port"] for port in operator["ports"]] == [3002]
    assert operator["from"] == [
        {
            "podSelector": {"matchLabels": {"canario.dev/component": "controller"}},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "canario"}},
        }
    ]


def test_fenced_routers_are_asked_by_named_clients_and_the_smoke_test(helm: Helm) -> None:
    """Who may ask the model is a value, and `helm test` passes with any."""
    rendered = helm.render("model", *ALL_OF_THE_MODEL)
    clients, operator = find(rendered, "NetworkPolicy", "fraud-router")["spec"]["ingress"]
    own, _workers, shop = clients["from"]
    assert own["podSelector"]["matchLabels"].items() <= smoke(helm)["metadata"]["labels"].items()
    assert shop == {"podSelector": {"matchLabels": {"app": "shop"}}}
    assert [port["port"] for port in operator["ports"]] == [9901]


def test_the_smoke_test_predicts_through_the_service_and_leaves_nothing(helm: Helm) -> None:
    """`helm test` asks where clients ask, and its pod goes whether it passed or failed."""
    pod = smoke(helm, "--set", "router.image=registry.example/canario:7")
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "-m", "canario.serving.smoke"]
    assert container["args"] == ["--target", "fraud:8080", "--model", "fraud"]
    assert container["image"] == "registry.example/canario:7"
    policies = set(pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"].split(","))
    assert {"hook-succeeded", "hook-failed", "before-hook-creation"} == policies
    service = find(helm.render("model", *MODEL), "Service", "fraud")["spec"]
    assert service["selector"].items().isdisjoint({("canario.dev/component", "test")})


def test_each_component_has_a_pod_monitor_when_asked(helm: Helm) -> None:
    """Prometheus reads routers and servers at their operator's port, with model, version and part as labels, and no idle statistics."""
    rendered = helm.render("model", *ALL_OF_THE_MODEL)
    for component in ("router", "server"):
        monitor = find(rendered, "PodMonitor", f"fraud-{component}")["spec"]
        assert monitor["selector"]["matchLabels"]["canario.dev/component"] == component
        (endpoint,) = monitor["podMetricsEndpoints"]
        assert (endpoint["port"], endpoint["honorLabels"]) == ("operator", True)
        told = {each["targetLabel"]: each.get("replacement") for each in endpoint["relabelings"]}
        assert told == {"part": component, "model": None}
    assert endpoint.get("params") is None
    router = find(rendered, "PodMonitor", "fraud-router")["spec"]["podMetricsEndpoints"][0]
    assert router["params"] == {"usedonly": ["yes"]}
