"""Prometheus, Alertmanager and PostgreSQL as pods of one namespace, for scenarios that need them; what is asked of them is for the tests.

The names are the Services': `prometheus:9090`, `alertmanager:9093` and `postgresql:5432` from within the namespace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from canario.adapters.kubernetes_api import CONFIG_MAPS, SERVICES, Object
from tests.cluster.monitoring_images import MONITORING_IMAGE, USER_ID
from tests.e2e.kubernetes import discovery
from tests.e2e.kubernetes.kube import Kube, until

TARGETS = "/data/targets.json"
DATABASE_USER = "canario"
DATABASE_PASSWORD = "canario-e2e"
START_SECONDS = 90.0
_SMALL = {"requests": {"cpu": "20m", "memory": "64Mi"}}
_POSTGRESQL = f"""
set -e
if [ ! -d /data/pg ]; then
  echo {DATABASE_PASSWORD} > /tmp/password
  initdb --pgdata=/data/making --username={DATABASE_USER} --auth=scram-sha-256 --pwfile=/tmp/password --no-sync --no-instructions
  echo 'host all all all scram-sha-256' >> /data/making/pg_hba.conf
  echo 'create database {DATABASE_USER};' | postgres --single -D /data/making postgres
  mv /data/making /data/pg
fi
exec postgres -D /data/pg -k /tmp -c 'listen_addresses=*' -c max_connections=50 -c shared_buffers=32MB
"""


@dataclass
class Monitoring:
    """What runs in one namespace; it goes with the namespace."""

    kube: Kube
    namespace: str

    def start_prometheus(
        self,
        models: Sequence[str],
        *,
        controllers: Sequence[str] = (),
        rules: str = "",
        scrape_seconds: int = 1,
        evaluation_seconds: int = 1,
    ) -> None:
        """Prometheus, which finds the pods of all models of those namespaces, and the controllers of these, by their labels.

        `rules` is the text of a file of rules. Alerts go to `alertmanager`, whether it is there yet or not.
        """
        configuration = prometheus_configuration(scrape_seconds, evaluation_seconds)
        namespaces = list(dict.fromkeys([*models, *controllers]))
        self._apply(*_rights(self.namespace, namespaces))
        self._run(
            "prometheus",
            9090,
            "/-/ready",
            files={
                "prometheus.yml": json.dumps(configuration),
                "rules.yml": rules or "groups: []\n",
                "discovery.py": Path(discovery.__file__).read_text(),
            },
            beside=["python3", "/etc/given/discovery.py", TARGETS, *namespaces],
            command=[
                "prometheus",
                "--config.file=/etc/given/prometheus.yml",
                "--storage.tsdb.path=/data/prometheus",
                "--web.enable-lifecycle",
                "--rules.alert.resend-delay=5s",
                "--web.listen-address=:9090",
            ],
        )

    def leave(self, *namespaces: str) -> None:
        """Take away the right to look for pods in these namespaces, which outlives Prometheus; the rest goes with its own namespace."""
        for namespace in namespaces:
            self.kube.kubectl(
                "delete",
                "role,rolebinding",
                f"{self.namespace}-prometheus",
                f"--namespace={namespace}",
                "--ignore-not-found",
            )

    def start_alertmanager(self, configuration: Object | None = None) -> None:
        """Alertmanager; without a configuration it keeps all alerts to itself."""
        silent = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
        self._run(
            "alertmanager",
            9093,
            "/-/ready",
            files={"alertmanager.yml": json.dumps(configuration or silent)},
            command=[
                "prometheus-alertmanager",
                "--config.file=/etc/given/alertmanager.yml",
                "--storage.path=/data/alertmanager",
                "--web.listen-address=:9093",
                "--cluster.listen-address=",
            ],
        )

    def start_postgresql(self) -> None:
        """A database that outlives its process, and not its pod."""
        self._run("postgresql", 5432, "", files={}, command=["sh", "-c", _POSTGRESQL])

    @property
    def prometheus_url(self) -> str:
        """Where pods of every namespace, and KEDA, find Prometheus."""
        return f"http://prometheus.{self.namespace}.svc:9090"

    @property
    def database_url(self) -> str:
        """Where pods of every namespace find the database."""
        host = f"postgresql.{self.namespace}.svc:5432"
        return f"postgresql://{DATABASE_USER}:{DATABASE_PASSWORD}@{host}/{DATABASE_USER}"

    def address(self, name: str) -> str:
        """Where this machine reaches one of them: the Service's own address and port."""
        service = self.kube.api.get(SERVICES, name, self.namespace)
        assert service is not None
        return f"{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    def query(self, promql: str) -> list[tuple[Mapping[str, str], float]]:
        """What Prometheus answers now: labels and value of each series."""
        answer = self._ask("query", {"query": promql})
        assert answer["status"] == "success", answer
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]

    def value(self, promql: str) -> float | None:
        """The one value that a query gives; None when it gives none."""
        found = self.query(promql)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def alerts(self, state: str = "firing") -> list[Mapping[str, str]]:
        """The labels of the alerts in this state, as Prometheus has them."""
        answer = self._ask("alerts")
        return [each["labels"] for each in answer["data"]["alerts"] if each["state"] == state]

    def wait_for_alert(self, name: str, seconds: float = 60.0) -> Mapping[str, str]:
        """The labels of an alert, once it fires."""

        def fires() -> Mapping[str, str] | None:
            return next((labels for labels in self.alerts() if labels["alertname"] == name), None)

        return cast("Mapping[str, str]", until(fires, f"the alert {name}", seconds, self.alerts))

    def wait_for_value(self, promql: str, seconds: float = 60.0) -> float:
        """The value of a query, once it gives one."""
        found = until(lambda: [each for _, each in self.query(promql)], f"an answer to {promql}", seconds, self._down)
        return float(found[0])

    def _ask(self, what: str, parameters: Mapping[str, str] | None = None) -> Object:
        """Prometheus' answer; a Service may lag behind a pod that has just come, so it is asked for some seconds."""
        url = f"http://{self.address('prometheus')}/api/v1/{what}"

        def answer() -> Object | None:
            try:
                return cast("Object", httpx.get(url, params=parameters, timeout=10.0, trust_env=False).json())
            except (httpx.TransportError, ValueError):
                return None

        return cast("Object", until(answer, f"an answer from {url}", 30))

    def _down(self) -> list[Mapping[str, str]]:
        return [labels for labels, value in self.query("up") if value == 0]

    def _run(
        self,
        name: str,
        port: int,
        ready: str,
        *,
        files: Mapping[str, str],
        command: Sequence[str],
        beside: Sequence[str] = (),
    ) -> None:
        """A Deployment of one pod and its Service; files are read from /etc/given, /data is the pod's own."""
        metadata = {"name": name, "labels": {"app": name}}
        probe: Object = {"httpGet": {"path": ready, "port": port}} if ready else {"tcpSocket": {"port": port}}
        container = _container(name, command) | {
            "ports": [{"containerPort": port}],
            "readinessProbe": probe | {"periodSeconds": 1},
        }
        pod = {
            "serviceAccountName": "prometheus" if name == "prometheus" else "default",
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER_ID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container, *([_container("beside", beside)] if beside else [])],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "given", "configMap": {"name": name}}],
        }
        template = {"metadata": {"labels": {"app": name}}, "spec": pod}
        selector = {"matchLabels": {"app": name}}
        strategy = {"type": "Recreate"}
        self._apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(files)},
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {"replicas": 1, "selector": selector, "strategy": strategy, "template": template},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
            },
        )
        wait = f"--timeout={START_SECONDS:.0f}s"
        self.kube.kubectl("rollout", "status", f"deployment/{name}", f"--namespace={self.namespace}", wait)

    def give_rules(self, rules: str) -> None:
        """Other rules for a Prometheus that runs: it is started anew, and what it has measured goes."""
        found = self.kube.api.get(CONFIG_MAPS, "prometheus", self.namespace)
        assert found is not None
        self.kube.api.merge(CONFIG_MAPS, "prometheus", {"data": {"rules.yml": rules}}, self.namespace)
        here = f"--namespace={self.namespace}"
        self.kube.kubectl("rollout", "restart", "deployment/prometheus", here)
        self.kube.kubectl("rollout", "status", "deployment/prometheus", here, f"--timeout={START_SECONDS:.0f}s")

    def _apply(self, *objects: Object) -> None:
        here = {"namespace": self.namespace}
        placed = [each | {"metadata": here | each["metadata"]} for each in objects]
        content = json.dumps({"apiVersion": "v1", "kind": "List", "items": placed})
        self.kube.kubectl("apply", "--server-side", "--filename=-", text=content)


def _container(name: str, command: Sequence[str]) -> Object:
    return {
        "name": name,
        "image": MONITORING_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "resources": _SMALL,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "given", "mountPath": "/etc/given"}],
    }


def prometheus_configuration(scrape_seconds: int, evaluation_seconds: int) -> dict[str, Any]:
    """What to read: the pods that `discovery` names. Labels that a series has of its own stay."""
    every_pod = {"job_name": "canario", "honor_labels": True, "file_sd_configs": [{"files": [TARGETS]}]}
    return {
        "global": {"scrape_interval": f"{scrape_seconds}s", "evaluation_interval": f"{evaluation_seconds}s"},
        "rule_files": ["/etc/given/rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
        "scrape_configs": [every_pod],
    }


def _rights(home: str, namespaces: Sequence[str]) -> list[Object]:
    """Who Prometheus is, and that it may look for pods there."""
    account = {"kind": "ServiceAccount", "name": "prometheus", "namespace": home}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role"}
    objects: list[Object] = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "prometheus"}}]
    for namespace in dict.fromkeys(namespaces):
        metadata = {"name": f"{home}-prometheus", "namespace": namespace}
        objects += [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": metadata,
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": role | {"name": metadata["name"]},
                "subjects": [account],
            },
        ]
    return objects
