"""The cluster as a person at a terminal has it: kubectl, helm, and the API for what is looked at often; it knows nothing of models."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from kubernetes.client import ApiClient, Configuration

from canario.adapters.kubernetes_api import KubernetesApi, Object, Resource, config
from canario.errors import CanarioError
from tests.cluster.cluster import Cluster

ROOT = Path(__file__).parents[3]
POLL_SECONDS = 0.1
LONGEST_COMMAND_SECONDS = 150
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass
class Kube:
    """One cluster."""

    cluster: Cluster
    namespaces: list[str] = field(default_factory=list)

    @cached_property
    def api(self) -> KubernetesApi:
        """The API server, spoken to without a process of its own."""
        configuration = Configuration()
        config.load_kube_config(config_file=str(self.cluster.kubeconfig), client_configuration=configuration)
        return KubernetesApi(ApiClient(configuration), "default")

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """What kubectl prints. Raises AssertionError with its own words."""
        return self._run(str(self.cluster.kubectl), *arguments, text=text)

    def helm(self, *arguments: str, values: Object | None = None) -> str:
        """What helm prints; `values` as with `--values`."""
        more = ("--values", "-") if values is not None else ()
        return self._run(str(self.cluster.helm), *arguments, *more, text=json.dumps(values or {}))

    def get(self, resource: Resource, name: str, namespace: str) -> Object | None:
        """An object; None too while the API server cannot be asked, as a watcher has it."""
        try:
            return self.api.get(resource, name, namespace)
        except CanarioError:
            return None

    def make_namespace(self, name: str) -> str:
        """A namespace in which only pods of the level `restricted` may run."""
        content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
        self.kubectl("create", "--filename=-", text=json.dumps(content))
        self.namespaces.append(name)
        return name

    def remove_namespaces(self) -> None:
        """All that were made here, and wait until they are gone."""
        if self.namespaces:
            self.kubectl("delete", "namespace", "--ignore-not-found", "--timeout=120s", *self.namespaces)

    def objects(self, namespace: str) -> set[str]:
        """Every object of every kind in a namespace, as `kind/name`, but for events, which tell of the past."""
        listed = self.kubectl("get", self._kinds, f"--namespace={namespace}", "--output=name", "--ignore-not-found")
        return set(listed.split())

    @cached_property
    def _kinds(self) -> str:
        listed = self.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
        return ",".join(name for name in listed if not name.startswith("events"))

    def _run(self, *command: str, text: str = "") -> str:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=self.cluster.environment(),
            timeout=LONGEST_COMMAND_SECONDS,
        )
        assert done.returncode == 0, f"{' '.join(command)[:300]}: {done.stderr[-1500:]}"
        return done.stdout


def until(holds: Callable[[], Any], what: str, seconds: float = 60.0, told: Callable[[], object] | None = None) -> Any:
    """What `holds` gives once it is something; fail with what was waited for, and how things stand."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            stands = f"; it stands at {told()}" if told else ""
            raise AssertionError(f"waited {seconds:.0f} s for {what}{stands}")
        time.sleep(POLL_SECONDS)
    return cast("Any", found)
