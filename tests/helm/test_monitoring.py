"""What the controller's chart gives to a cluster's Prometheus and Grafana: the very rules and dashboards of monitoring/."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.helm.charts import ROOT, Helm, find, names

OPERATOR = ("--api-versions", "monitoring.coreos.com/v1")
MONITORING = ROOT / "monitoring"


def test_the_rules_are_those_of_the_project(helm: Helm) -> None:
    """A cluster with the Prometheus operator gets the rules that promtool has tested, with the labels that its Prometheus asks for."""
    rendered = helm.render("canario", *OPERATOR, "--set", "rules.enabled=true,rules.labels.release=prometheus")
    rule = find(rendered, "PrometheusRule", "fraud")
    assert rule["spec"] == yaml.safe_load((MONITORING / "rules.yaml").read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_runbooks_may_lie_elsewhere(helm: Helm) -> None:
    """Every alert leads to the runbook of its name, in whatever wiki a house has put them."""
    chosen = "rules.enabled=true,rules.runbooks=https://wiki.example/canario/"
    rule = find(helm.render("canario", *OPERATOR, "--set", chosen), "PrometheusRule", "fraud")
    found = {
        one["alert"]: one["annotations"]["runbook_url"]
        for group in rule["spec"]["groups"]
        for one in group["rules"]
        if "alert" in one
    }
    assert found
    assert all(url == f"https://wiki.example/canario/{alert}.md" for alert, url in found.items())


@pytest.mark.parametrize("arguments", [("--set", "rules.enabled=true"), OPERATOR])
def test_no_rules_where_nobody_reads_them(helm: Helm, arguments: tuple[str, ...]) -> None:
    """A cluster that does not know the operator's resources still takes the chart, and nothing is made that nobody asked for."""
    assert "PrometheusRule" not in {kind for kind, _ in names(helm.render("canario", *arguments))}


def test_the_dashboards_are_those_of_the_project(helm: Helm) -> None:
    """Grafana's sidecar finds every dashboard by its label, whole."""
    rendered = helm.render("canario", "--set", "dashboards.enabled=true")
    found = find(rendered, "ConfigMap", "fraud-dashboards")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    pages = {path.name: json.loads(path.read_text()) for path in (MONITORING / "dashboards").glob("*.json")}
    assert {name: json.loads(text) for name, text in found["data"].items()} == pages


def test_a_runbook_address_that_is_none_is_refused(helm: Helm) -> None:
    """A path without its last slash would lead to no runbook: refused when the chart is installed."""
    assert "runbooks" in helm.refusal("canario", "--set", "rules.runbooks=https://wiki.example/canario")
