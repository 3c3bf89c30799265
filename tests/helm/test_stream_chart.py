"""What helm/model brings for messages: workers that ask the model's router, and KEDA's objects that follow the queues."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canario.model.stream import Priority, queue_name
from canario.platforms.kubernetes.naming import CLIENTS_PORT, WORKER, selector, worker_object
from tests.helm.charts import MODEL, Helm, Object, find, names, objects
from tests.helm.test_notes import notes

NAME = worker_object("fraud")
ON = (*MODEL, "--set", "stream.enabled=true,stream.brokerSecret=broker")
SCALED = (*ON, "--set-json", 'stream.autoscaling={"minReplicas":0,"maxReplicas":7,"urgentMessages":3}')


def worker(helm: Helm, *settings: str) -> Object:
    """The workers' Deployment."""
    return find(helm.render("model", *ON, *settings), "Deployment", NAME)


def container(helm: Helm, *settings: str) -> Object:
    """The only container of their pods."""
    (found,) = worker(helm, *settings)["spec"]["template"]["spec"]["containers"]
    made: Object = found
    return made


def environment(helm: Helm, *settings: str) -> dict[str, Any]:
    """By name: a variable's value, or the name and the key of the Secret that holds it."""
    return {
        each["name"]: each["value"] if "value" in each else tuple(_reference(each["valueFrom"]))
        for each in container(helm, *settings)["env"]
    }


def _reference(source: Object) -> list[str]:
    return [source["secretKeyRef"]["name"], source["secretKeyRef"]["key"]] if "secretKeyRef" in source else []


def test_there_is_none_unless_asked(helm: Helm) -> None:
    """Without `stream.enabled` no worker, no budget for one and no object of KEDA's."""
    assert not [one for one in names(helm.render("model", *MODEL)) if WORKER in one[1]]
    with_it = names(helm.render("model", *SCALED)) - names(helm.render("model", *MODEL))
    assert with_it == {
        ("Deployment", NAME),
        ("PodDisruptionBudget", "fraud-workers"),
        ("ScaledObject", NAME),
        ("TriggerAuthentication", NAME),
    }


def test_it_needs_a_broker(helm: Helm) -> None:
    """Workers that could never take a message are refused at the installation, with the value that is missing."""
    assert "stream.brokerSecret" in helm.refusal("model", *MODEL, "--set", "stream.enabled=true")


def test_a_worker_is_a_client_of_the_model(helm: Helm) -> None:
    """It asks the Service that all clients ask, so a rollout needs nothing of it; the broker's address comes from the Secret."""
    told = environment(helm)
    service = find(helm.render("model", *ON), "Service", "fraud")
    assert told["CANARIO_ROUTER_URL"] == f"http://{service['metadata']['name']}:{CLIENTS_PORT}"
    assert service["spec"]["ports"][0]["port"] == CLIENTS_PORT
    assert told["CANARIO_BROKER_URL"] == ("broker", "url")
    found = container(helm, "--set", "stream.concurrency=8,stream.prefetch=4")
    assert found["command"] == ["python", "-m", "canario.stream"]
    assert found["args"] == ["fraud", "--concurrency=8", "--prefetch=4", "--operator-port=9000"]


@pytest.mark.parametrize(
    ("settings", "secret"),
    [
        ("stream.ledgerSecret=answered", ("answered", "url")),
        ("feedbackSecret=labels", ("labels", "url")),
        ("feedbackSecret=labels,stream.ledgerSecret=answered", ("answered", "url")),
        ("replicas=2", None),
    ],
)
def test_pods_share_one_memory_of_what_is_answered(helm: Helm, settings: str, secret: tuple[str, str] | None) -> None:
    """Their own database, else that of labels; with neither each pod's own volume, and the notes say what that means."""
    told = environment(helm, "--set", settings)
    assert told.get("CANARIO_LEDGER_URL") == secret
    assert "CANARIO_LEDGER_SPACE" in told
    assert told["CANARIO_LEDGER_HOURS"] == "48"
    warned = "answered twice" in notes(helm, "model", "fraud", *ON, "--set", settings)
    assert warned == (secret is None)


def test_a_worker_may_write_to_its_own_volumes_alone(helm: Helm) -> None:
    """Its home is a volume of the pod, which outlives the container."""
    pod = worker(helm)["spec"]["template"]["spec"]
    places = {each["mountPath"] for each in container(helm)["volumeMounts"]}
    assert environment(helm)["CANARIO_HOME"] in places
    assert all("emptyDir" in volume for volume in pod["volumes"])
    assert pod["automountServiceAccountToken"] is False


def test_a_worker_that_leaves_ends_what_it_has(helm: Helm) -> None:
    """Its drain ends before the pod is killed, and is longer than any answer that it may wait for."""
    pod = worker(helm)["spec"]["template"]["spec"]
    drain_seconds = int(environment(helm)["CANARIO_DRAIN_SECONDS"])
    assert 15 < drain_seconds < pod["terminationGracePeriodSeconds"]
    said = helm.refusal("model", *ON, "--set", "traffic.timeoutSeconds=56")
    assert "set `stream.terminationGracePeriodSeconds` above 61" in said
    assert worker(helm, "--set", "traffic.timeoutSeconds=56,stream.terminationGracePeriodSeconds=62")


def test_probes_ask_the_operators_port(helm: Helm) -> None:
    """A worker without its broker is not ready, and is not restarted for it."""
    found = container(helm)
    assert found["ports"] == [{"name": "operator", "containerPort": 9000}]
    assert found["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "operator"}
    assert found["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "operator"}


def test_workers_go_where_they_are_told(helm: Helm) -> None:
    """Image, priority, nodes and taints are values of their own; the image is the router's where none is set."""
    placed = {
        "nodeSelector": {"pool": "cheap"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "priorityClassName": "low",
        "image": "registry.example/canario:8",
    }
    settings = [word for key, value in placed.items() for word in ("--set-json", f"stream.{key}={json.dumps(value)}")]
    pod = worker(helm, *settings)["spec"]["template"]["spec"]
    assert [pod[key] for key in ("nodeSelector", "tolerations", "priorityClassName")] == list(placed.values())[:3]
    assert pod["containers"][0]["image"] == placed["image"]
    assert container(helm, "--set", "router.image=registry.example/canario:7")["image"] == "registry.example/canario:7"


def test_the_number_is_fixed_or_follows_the_queues(helm: Helm) -> None:
    """Nobody but KEDA says how many workers there are where it does; otherwise the value does."""
    assert worker(helm)["spec"]["replicas"] == 2
    assert worker(helm, "--set", "stream.replicas=0")["spec"]["replicas"] == 0
    rendered = helm.render("model", *SCALED)
    assert "replicas" not in find(rendered, "Deployment", NAME)["spec"]
    scaled = find(rendered, "ScaledObject", NAME)["spec"]
    assert scaled["scaleTargetRef"] == {"name": NAME}
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 7)


def test_keda_looks_at_the_three_queues_of_the_model(helm: Helm) -> None:
    """Each class has its own number of messages a worker, over AMQP, by the Secret that the workers read."""
    rendered = helm.render("model", *SCALED)
    triggers = find(rendered, "ScaledObject", NAME)["spec"]["triggers"]
    told = {each["metadata"]["queueName"]: each["metadata"]["value"] for each in triggers}
    assert told == {
        queue_name("fraud", Priority.URGENT): "3",
        queue_name("fraud", Priority.NORMAL): "100",
        queue_name("fraud", Priority.BULK): "1000",
    }
    assert {(each["type"], each["metadata"]["protocol"], each["metadata"]["mode"]) for each in triggers} == {
        ("rabbitmq", "amqp", "QueueLength")
    }
    assert {each["authenticationRef"]["name"] for each in triggers} == {NAME}
    assert all(each["useCachedMetrics"] for each in triggers)
    (host,) = find(rendered, "TriggerAuthentication", NAME)["spec"]["secretTargetRef"]
    assert host == {"parameter": "host", "name": "broker", "key": "url"}


def test_more_at_least_than_at_most_is_refused(helm: Helm) -> None:
    """Bounds that no number lies between are a mistake, and said at once."""
    said = helm.refusal("model", *ON, "--set", "stream.autoscaling.minReplicas=3,stream.autoscaling.maxReplicas=2")
    assert "3 workers at least are more than 2 at most" in said


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("stream.broker=amqp://x", "at '/stream': additional properties 'broker' not allowed"),
        ("stream.prefetch=0", "at '/stream/prefetch': minimum: got 0, want 1"),
        ("stream.autoscaling.messages=5", "at '/stream/autoscaling': additional properties 'messages' not allowed"),
        ("stream.brokerSecret=Broker", "at '/stream/brokerSecret': 'Broker' does not match pattern"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is(helm: Helm, setting: str, complaint: str) -> None:
    """The schema is closed: a typing error is named."""
    assert complaint in helm.refusal("model", *ON, "--set", setting)


def test_fenced_workers_ask_and_are_asked_for_figures_alone(helm: Helm) -> None:
    """With the NetworkPolicy on, the router takes workers beside the clients that are named, and only Prometheus reaches a worker."""
    fence = ("--set", "networkPolicy.enabled=true")
    clients = ("--set-json", 'networkPolicy.clients=[{"podSelector":{"matchLabels":{"app":"shop"}}}]')
    rendered = helm.render("model", *ON, *fence, *clients)
    asking = find(rendered, "NetworkPolicy", "fraud-router")["spec"]["ingress"][0]["from"]
    assert {"podSelector": {"matchLabels": selector("fraud", WORKER)}} in asking
    policy = find(rendered, "NetworkPolicy", "fraud-workers")["spec"]
    assert (policy["podSelector"]["matchLabels"], policy["ingress"]) == (selector("fraud", WORKER), [])
    prometheus = ("--set-json", 'networkPolicy.prometheus=[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]')
    (figures,) = find(helm.render("model", *ON, *fence, *prometheus), "NetworkPolicy", "fraud-workers")["spec"][
        "ingress"
    ]
    assert [port["port"] for port in figures["ports"]] == [9000]


def test_workers_are_watched_when_asked(helm: Helm) -> None:
    """Prometheus reads them at the operator's port, as `part=worker`."""
    rendered = helm.render("model", *ON, "--set", "podMonitor.enabled=true")
    monitor = find(rendered, "PodMonitor", NAME)["spec"]
    assert monitor["selector"]["matchLabels"] == selector("fraud", WORKER)
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("operator", "/metrics")
    assert {"targetLabel": "part", "replacement": "worker"} in endpoint["relabelings"]
    assert not [
        one for one in names(helm.render("model", *MODEL, "--set", "podMonitor.enabled=true")) if one[1] == NAME
    ]


@pytest.mark.parametrize(
    "command",
    [
        "kubectl --namespace live rollout status deployment/fraud-worker\n",
        "canario enqueue fraud rows.jsonl --priority urgent\n",
        "canario tail fraud --dead\n",
        "kubectl --namespace live get scaledobject fraud-worker\n",
    ],
)
def test_messages_are_followed_by_the_commands_for_them(helm: Helm, command: str) -> None:
    """Send, look, look for what went wrong, see the number of workers: each is there to copy, and only where there are workers."""
    assert f"  {command}" in notes(helm, "model", "fraud", *SCALED)
    assert command not in notes(helm, "model", "fraud", *MODEL)


def test_the_example_for_people_without_helm_shows_it(helm: Helm) -> None:
    """k8s/stream has workers, their database and KEDA's objects."""
    text = helm.run("template", "fraud", "helm/model", "--values", "helm/examples/stream.yaml").stdout
    assert {("Deployment", NAME), ("ScaledObject", NAME)} <= names(objects(text))
