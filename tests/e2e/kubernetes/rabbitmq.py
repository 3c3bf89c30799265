"""RabbitMQ as a pod of one namespace, for scenarios with messages; it can be killed and comes back with what it had. What is sent is for the tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass

import pytest

from canario.adapters.kubernetes_api import PODS, SERVICES, Object
from tests.cluster.rabbitmq_image import RABBITMQ_IMAGE, USER_ID
from tests.e2e.kubernetes.kills import is_ready, pids_of
from tests.e2e.kubernetes.kube import Kube, until

NAME = "rabbitmq"
PORT = 5672
USER, PASSWORD, VIRTUAL_HOST = "canario", "canario-e2e", "models"
START_SECONDS = 180.0
"""It reads its queues first; on a machine with much to do that takes long."""
_CONFIGURATION = f"""default_user = {USER}
default_pass = {PASSWORD}
default_vhost = {VIRTUAL_HOST}
loopback_users = none
listeners.tcp.default = {PORT}
log.console.level = warning
disk_free_limit.absolute = 10MB
vm_memory_high_watermark.absolute = 256MB
"""
_ENVIRONMENT = {
    # A name that does not change with the pod's, so that it finds its own data again.
    "RABBITMQ_NODENAME": "broker@localhost",
    "RABBITMQ_MNESIA_BASE": "/data/queues",
    "RABBITMQ_LOG_BASE": "/data/log",
    "RABBITMQ_LOGS": "-",
    "RABBITMQ_CONFIG_FILE": "/etc/given/rabbitmq.conf",
    "RABBITMQ_ENABLED_PLUGINS_FILE": "/data/plugins",
    "RABBITMQ_CONF_ENV_FILE": "/dev/null",
    # So the script becomes Erlang instead of waiting for it: signals arrive where they are meant.
    "RABBITMQ_ALLOW_INPUT": "1",
    # One scheduler that sleeps when there is nothing to do: the node has two cores, and other pods.
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
}


@dataclass
class RabbitMq:
    """The broker of one namespace; it goes with the namespace, and what it keeps with its pod."""

    kube: Kube
    namespace: str

    def start(self) -> None:
        """Have it take connections."""
        metadata = {"name": NAME, "labels": {"app": NAME}, "namespace": self.namespace}
        selector = {"app": NAME}
        template = {"metadata": {"labels": selector}, "spec": _pod()}
        self._apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"rabbitmq.conf": _CONFIGURATION}},
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": selector},
                    "strategy": {"type": "Recreate"},
                    "template": template,
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": selector, "ports": [{"port": PORT}]},
            },
        )
        wait = f"--timeout={START_SECONDS:.0f}s"
        self.kube.kubectl("rollout", "status", f"deployment/{NAME}", f"--namespace={self.namespace}", wait)

    def make_secret(self, name: str, namespace: str) -> None:
        """The Secret that a model's chart names, with the address that pods of every namespace use."""
        literal = f"--from-literal=url={self._url(f'{NAME}.{self.namespace}.svc:{PORT}')}"
        self.kube.kubectl("create", "secret", "generic", name, f"--namespace={namespace}", literal)

    @property
    def url(self) -> str:
        """Where this machine reaches it: the Service's own address."""
        service = self.kube.api.get(SERVICES, NAME, self.namespace)
        assert service is not None
        return self._url(f"{service['spec']['clusterIP']}:{PORT}")

    def kill(self) -> None:
        """SIGKILL for all of its processes; its container starts anew, with what was on its volume."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """SIGTERM, as for a broker that is updated."""
        self._end(signal.SIGTERM)

    def wait_back(self) -> None:
        """Until it takes connections again."""
        until(lambda: is_ready(self._running()), "the broker", START_SECONDS)

    def _end(self, sent: signal.Signals) -> None:
        before = _restarts(pod := self._running())
        pids = pids_of(pod)
        if not pids:
            pytest.skip("the pods run on another machine")
        for pid in pids if sent is signal.SIGKILL else pids[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        until(lambda: _restarts(self._running()) > before, "the broker's container to start anew", START_SECONDS)

    def _running(self) -> Object:
        (pod,) = self.kube.api.list(PODS, self.namespace, f"app={NAME}")[0]
        return pod

    def _url(self, place: str) -> str:
        return f"amqp://{USER}:{PASSWORD}@{place}/{VIRTUAL_HOST}"

    def _apply(self, *objects: Object) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kube.kubectl("apply", "--server-side", "--filename=-", text=text)


def _restarts(pod: Object) -> int:
    return sum(int(each["restartCount"]) for each in pod["status"].get("containerStatuses") or [])


def _pod() -> Object:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER_ID, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": NAME,
                "image": RABBITMQ_IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "command": ["rabbitmq-server", "-noinput"],
                "env": [{"name": name, "value": value} for name, value in _ENVIRONMENT.items()],
                "ports": [{"containerPort": PORT}],
                "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "given", "mountPath": "/etc/given"},
                ],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "given", "configMap": {"name": NAME}}],
    }
