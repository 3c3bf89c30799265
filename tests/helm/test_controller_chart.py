"""The chart of the controller: what it installs, what it may do, and what stays when it goes."""

from __future__ import annotations

from typing import Any

import pytest

from canario.platforms.kubernetes.naming import LEASE_NAME
from tests.helm.charts import ALL_OF_THE_CONTROLLER, Helm, Object, find, names, pod_specs

READ = ["list", "watch"]
OWN = [*READ, "get", "create", "patch", "delete"]
ALLOWED: dict[tuple[str, str], list[str]] = {
    ("canario.dev", "modeldeployments"): READ,
    ("canario.dev", "modeldeployments/status"): ["patch"],
    ("apps", "deployments"): OWN,
    ("", "services"): OWN,
    ("", "configmaps"): [*OWN, "update"],
    ("", "pods"): [*READ, "patch"],
    ("autoscaling", "horizontalpodautoscalers"): OWN,
    ("keda.sh", "scaledobjects"): OWN,
    ("batch", "cronjobs"): OWN,
    ("batch", "jobs"): READ,
    ("events.k8s.io", "events"): ["create"],
}
"""All that the controller may do where it rolls out models."""
ALLOWED_TO_RETRAIN: dict[tuple[str, str], list[str]] = {
    ("batch", "jobs"): [*READ, "create"],
}
"""What it may do there besides, where retrainings are on."""
ALLOWED_TO_LEAD: dict[tuple[str, str], list[str]] = {("coordination.k8s.io", "leases"): ["get", "create", "update"]}
"""All that it may do besides, in its own namespace."""


def granted(role: Object) -> dict[tuple[str, str], set[str]]:
    """What a Role grants, by API group and resource."""
    rights: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                rights.setdefault((group, resource), set()).update(rule["verbs"])
    return rights


def as_sets(allowed: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], set[str]]:
    return {what: set(verbs) for what, verbs in allowed.items()}


def controller(helm: Helm, *settings: str, namespace: str = "live") -> list[Object]:
    return helm.render("canario", *settings, release="canario", namespace=namespace)


def arguments_of(rendered: list[Object]) -> dict[str, Any]:
    """The controller's command line, by option."""
    words = pod_specs(rendered)["canario"]["containers"][0]["args"]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_it_installs_eight_objects(helm: Helm) -> None:
    """By default there is the resource, the controller, its lease, an identity and its rights, and nothing else."""
    assert names(controller(helm)) == {
        ("CustomResourceDefinition", "modeldeployments.canario.dev"),
        ("ServiceAccount", "canario"),
        ("Role", "canario-models"),
        ("RoleBinding", "canario-models"),
        ("Role", "canario-leader"),
        ("RoleBinding", "canario-leader"),
        ("Deployment", "canario"),
        ("Lease", LEASE_NAME),
    }


def test_the_controller_may_do_what_is_allowed_and_no_more(helm: Helm) -> None:
    """Every right is on the list, and every right on the list is given."""
    rendered = controller(helm)
    assert granted(find(rendered, "Role", "canario-models")) == as_sets(ALLOWED)
    assert granted(find(rendered, "Role", "canario-leader")) == as_sets(ALLOWED_TO_LEAD)


def test_the_controller_is_told_of_prometheus_only_where_there_is_one(helm: Helm) -> None:
    """Its address is one value; without it nothing is asked."""

    def arguments(*settings: str) -> list[str]:
        rendered = helm.render("canario", *settings)
        (spec,) = pod_specs(rendered).values()
        return list(spec["containers"][0]["args"])

    url = "http://prometheus.monitoring.svc:9090"
    assert arguments("--set", f"prometheus.url={url}")[-2:] == ["--prometheus-url", url]
    assert "--prometheus-url" not in arguments()


@pytest.mark.parametrize("settings", [(), ALL_OF_THE_CONTROLLER])
def test_nothing_but_the_definition_is_cluster_wide(helm: Helm, settings: tuple[str, ...]) -> None:
    """A person without rights over the cluster can install it, once the definition is there."""
    rendered = controller(helm, *settings)
    without_namespace = [one["kind"] for one in rendered if "namespace" not in one["metadata"]]
    assert without_namespace == ["CustomResourceDefinition"]
    assert not [one["kind"] for one in rendered if one["kind"].startswith("Cluster")]


def test_each_namespace_gets_the_rights_and_the_others_none(helm: Helm) -> None:
    """Models are rolled out where the values say; there alone the controller has rights over them."""
    rendered = controller(helm, "--set", "namespaces={team-a,team-b}")
    places = {(one["metadata"]["name"], one["metadata"]["namespace"]) for one in rendered if one["kind"] == "Role"}
    assert places == {("canario-models", "team-a"), ("canario-models", "team-b"), ("canario-leader", "live")}
    for binding in (one for one in rendered if one["kind"] == "RoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "canario", "namespace": "live"}]
    assert arguments_of(rendered)["--namespaces"] == "team-a,team-b"


def test_by_default_it_serves_its_own_namespace(helm: Helm) -> None:
    """Without settings the controller looks where it was installed, and nowhere else."""
    rendered = controller(helm, namespace="models")
    assert arguments_of(rendered) == {"--namespaces": "$(POD_NAMESPACE)", "--port": "8081"}
    assert {one["metadata"]["namespace"] for one in rendered if one["kind"] == "Role"} == {"models"}


def test_the_definition_stays_unless_somebody_says_otherwise(helm: Helm) -> None:
    """Uninstalling the controller removes no model, unless `crds.keep` was switched off."""

    def annotations(*settings: str) -> Any:
        rendered = controller(helm, *settings)
        return find(rendered, "CustomResourceDefinition", "modeldeployments.canario.dev")["metadata"].get("annotations")

    assert annotations() == {"helm.sh/resource-policy": "keep"}
    assert annotations("--set", "crds.keep=false") is None
    left_out = controller(helm, "--set", "crds.install=false")
    assert "CustomResourceDefinition" not in {one["kind"] for one in left_out}


def test_several_controllers_are_drained_one_at_a_time(helm: Helm) -> None:
    """With replicas there is a disruption budget; a single controller holds up no drain."""
    rendered = controller(helm, "--set", "replicas=2")
    assert find(rendered, "PodDisruptionBudget", "canario")["spec"]["maxUnavailable"] == 1
    assert "PodDisruptionBudget" not in {one["kind"] for one in controller(helm)}


def test_the_lease_is_the_controllers_to_fill(helm: Helm) -> None:
    """The lease goes with the release, and an upgrade in the middle of a term ends no term."""
    assert "spec" not in find(controller(helm), "Lease", LEASE_NAME)


def test_its_probes_and_placing_are_those_of_the_values(helm: Helm) -> None:
    """The controller is probed on its metrics port, and runs where and as important as its values say."""
    rendered = controller(helm, "--set", "priorityClassName=high,nodeSelector.disk=fast,podLabels.team=ml")
    spec = pod_specs(rendered)["canario"]
    (container,) = spec["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 8081}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert (spec["priorityClassName"], spec["nodeSelector"]) == ("high", {"disk": "fast"})
    labels = find(rendered, "Deployment", "canario")["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "ml"


def test_prometheus_finds_it_when_asked(helm: Helm) -> None:
    """A ServiceMonitor selects the Service that comes with it, by the labels that the Prometheus at hand looks for."""
    rendered = controller(helm, "--set", "serviceMonitor.enabled=true,serviceMonitor.labels.release=prometheus")
    monitor = find(rendered, "ServiceMonitor", "canario")
    service = find(rendered, "Service", "canario-metrics")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert service["spec"]["ports"][0]["name"] == endpoint["port"]
    assert endpoint["honorLabels"], "its series name the namespaces of the models"


def test_only_metrics_can_be_reached_when_fenced(helm: Helm) -> None:
    """The optional NetworkPolicy lets Prometheus in, on one port."""
    peers = '[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]'
    rendered = controller(
        helm, "--set", "networkPolicy.enabled=true", "--set-json", f"networkPolicy.prometheus={peers}"
    )
    (rule,) = find(rendered, "NetworkPolicy", "canario")["spec"]["ingress"]
    assert rule["ports"] == [{"port": "metrics"}]
    assert rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == "monitoring"


def test_retraining_gives_the_right_to_make_jobs_and_a_door_for_alerts(helm: Helm) -> None:
    """With `retraining.enabled`, and only then, the controller may make Jobs, and Alertmanager finds it by a Service."""
    rendered = controller(helm, "--set", "retraining.enabled=true")
    assert granted(find(rendered, "Role", "canario-models")) == as_sets(ALLOWED | ALLOWED_TO_RETRAIN)
    (port,) = find(rendered, "Service", "canario-alerts")["spec"]["ports"]
    (container,) = pod_specs(rendered)["canario"]["containers"]
    assert {"name": port["targetPort"], "containerPort": port["port"]} in container["ports"]
    assert arguments_of(rendered)["--alerts-port"] == str(port["port"])


def test_alerts_are_taken_from_whom_the_fence_lets_in(helm: Helm) -> None:
    """Alertmanager and Prometheus are let in each on its own port."""
    peers = '[{"podSelector":{"matchLabels":{"app":"alertmanager"}}}]'
    settings = ("--set", "networkPolicy.enabled=true,retraining.enabled=true")
    rendered = controller(helm, *settings, "--set-json", f"networkPolicy.alertmanager={peers}")
    alerts, scrapes = find(rendered, "NetworkPolicy", "canario")["spec"]["ingress"]
    assert alerts["ports"] == [{"port": "alerts"}]
    assert alerts["from"][0]["podSelector"]["matchLabels"] == {"app": "alertmanager"}
    assert scrapes["ports"] == [{"port": "metrics"}]


def test_the_database_s_address_stays_in_its_secret(helm: Helm) -> None:
    """The controller gets it from the Secret that the values name, and has no right to read Secrets."""
    (container,) = pod_specs(controller(helm, "--set", "feedback.secret=labels"))["canario"]["containers"]
    (given,) = [each for each in container["env"] if each["name"] == "CANARIO_FEEDBACK_URL"]
    assert given["valueFrom"] == {"secretKeyRef": {"name": "labels", "key": "url"}}
