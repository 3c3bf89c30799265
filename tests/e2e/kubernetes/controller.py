"""The controller's release in the words of a scenario: install it, find who leads, end it; what it decides is looked at elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from canario.adapters.kubernetes_api import LEASES, PODS, Object
from canario.platforms.kubernetes.naming import LEASE_NAME
from tests.e2e.kubernetes.kills import Killer, is_ready
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.steady import Ledger

CHART = "helm/canario"
RELEASE = "canario"
DEFINITION = "modeldeployments.canario.dev"


@dataclass
class Controller:
    """The release `canario`."""

    kube: Kube
    namespace: str
    models: list[str]
    image: str
    ledger: Ledger

    def install(self, **values: Any) -> None:
        """`helm upgrade --install`, and wait until its pods are ready.

        On a cluster that knows the resource already, by another release or by hand, its definition is left alone.
        """
        given = {
            "image": self.image,
            "namespaces": self.models,
            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
            "crds": {"install": self.owns_definition(), "keep": False},
            **values,
        }
        words = ("upgrade", "--install", RELEASE, CHART, f"--namespace={self.namespace}", "--wait", "--timeout=90s")
        self.kube.helm(*words, values=given)

    def uninstall(self) -> None:
        """`helm uninstall`."""
        self.kube.helm("uninstall", RELEASE, f"--namespace={self.namespace}", "--ignore-not-found", "--wait")

    def owns_definition(self) -> bool:
        """Whether the definition is this release's, or nobody's yet."""
        annotation = r"{.metadata.annotations.meta\.helm\.sh/release-namespace}"
        found = self.kube.kubectl(
            "get", "crd", DEFINITION, "--ignore-not-found", f"--output=jsonpath=found {annotation}"
        )
        return not found or found.split()[1:] == [self.namespace]

    def pods(self) -> list[Object]:
        """Its pods that nobody has deleted yet."""
        found, _ = self.kube.api.list(PODS, self.namespace, "app.kubernetes.io/component=controller")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def leader(self) -> Object:
        """The pod that leads, once one does."""

        def leads() -> Object | None:
            lease = self.kube.get(LEASES, LEASE_NAME, self.namespace) or {"spec": {}}
            holder = lease["spec"].get("holderIdentity")
            return next((pod for pod in self.pods() if pod["metadata"]["name"] == holder and is_ready(pod)), None)

        return cast("Object", until(leads, "a leader"))

    def kill(self) -> None:
        """SIGKILL for whoever leads."""
        Killer(self.kube, self.namespace, self.ledger).kill(self.leader())

    def delete(self) -> None:
        """`kubectl delete pod` for whoever leads."""
        Killer(self.kube, self.namespace, self.ledger).delete(self.leader())

    def renew(self) -> None:
        """Put a new pod in the place of one that was killed."""
        for pod in self.pods():
            restarts = [each["restartCount"] for each in pod["status"].get("containerStatuses") or []]
            if any(restarts):
                self.kube.kubectl("delete", "pod", pod["metadata"]["name"], f"--namespace={self.namespace}", "--wait")
        self.leader()

    def metrics(self) -> str:
        """What Prometheus would read of whoever leads now."""
        pod = self.leader()
        ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
        (port,) = [port["containerPort"] for port in ports if port["name"] == "metrics"]
        place = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}:{port}/proxy/metrics"
        return self.kube.kubectl("get", "--raw", place)

    def log(self) -> str:
        """What its pods have said lately."""
        return self.kube.kubectl(
            "logs", f"--namespace={self.namespace}", "--selector=app.kubernetes.io/component=controller", "--tail=60"
        )
