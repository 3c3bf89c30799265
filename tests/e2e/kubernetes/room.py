"""A namespace with one ModelDeployment that no controller steers, for tests of the controller's parts against a real API server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from canario.adapters.kubernetes_api import MODEL_DEPLOYMENTS, KubernetesApi, Object, connect
from canario.platforms.kubernetes.resource import API_VERSION, GROUP, KIND
from tests.parts import missing

MODEL = "fraud"


@dataclass
class Room:
    """One namespace."""

    api: KubernetesApi
    resource: Object

    @property
    def namespace(self) -> str:
        return self.api.namespace

    def another_api(self) -> KubernetesApi:
        """Another client of the same server, as another process has it."""
        return connect(namespace=self.namespace)


def model_deployment(image: str = f"{MODEL}:v1", name: str = MODEL) -> Object:
    return {
        "apiVersion": f"{GROUP}/{API_VERSION}",
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {"image": image},
    }


@contextmanager
def a_room() -> Iterator[Room]:
    """A room that is gone afterwards."""
    if not os.environ.get("KUBECONFIG"):
        missing("no KUBECONFIG: `make cluster` starts a cluster")
    name = f"unit-test-{uuid.uuid4().hex[:8]}"
    api = connect(namespace=name)
    _namespaces("POST", api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield Room(api, api.create(MODEL_DEPLOYMENTS, model_deployment()))
    finally:
        _namespaces("DELETE", api, {}, name)


def _namespaces(method: str, api: KubernetesApi, content: Object, name: str = "") -> None:
    """Namespaces lie in no namespace."""
    api._json(method, f"/api/v1/namespaces/{name}".rstrip("/"), content)
