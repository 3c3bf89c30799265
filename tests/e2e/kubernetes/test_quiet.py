"""A controller's loop on a real API server: it writes what is needed once, then nothing; it follows the spec, and mends what is taken away."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from canario.adapters.kubernetes_api import (
    AUTOSCALERS,
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    MODEL_DEPLOYMENTS,
    SCALED_OBJECTS,
    KubernetesApi,
    Object,
)
from canario.platforms.kubernetes.cache import Cache
from canario.platforms.kubernetes.events import Teller
from canario.platforms.kubernetes.leadership import Leadership
from canario.platforms.kubernetes.loop import ModelLoop
from canario.platforms.kubernetes.naming import state_object
from tests.e2e.kubernetes.room import MODEL, Room, a_room

IMAGE = "localhost/canario-pause:1"


@dataclass
class Steered:
    """A room whose model is steered by one loop, with every request to the API server counted."""

    room: Room
    calls: Counter[str] = field(default_factory=Counter)

    def written(self) -> Counter[str]:
        """What was written since the last look, the lease left out."""
        found = Counter({what: number for what, number in self.calls.items() if not what.startswith(("GET", "leases"))})
        self.calls.clear()
        return found

    def spec(self, **spec: Any) -> None:
        self.room.api.merge(MODEL_DEPLOYMENTS, MODEL, {"spec": spec})

    def deployment(self) -> Object | None:
        return self.room.api.get(DEPLOYMENTS, "fraud-v1")

    def condition(self, kind: str) -> Object:
        found = self.room.api.get(MODEL_DEPLOYMENTS, MODEL) or {}
        conditions = (found.get("status") or {}).get("conditions") or []
        return next((each for each in conditions if each["type"] == kind), {})


@contextmanager
def _steered(monkeypatch: pytest.MonkeyPatch, prometheus_url: str = "") -> Iterator[Steered]:
    with a_room() as room:
        steered = Steered(room)
        steered.spec(image=IMAGE, version="v1", replicas=2, imagePullPolicy="Never")
        asked = KubernetesApi._open

        def counted(api: KubernetesApi, method: str, path: str, *arguments: Any, **named: Any) -> Any:
            if api is not room.api:
                steered.calls[f"leases {method}" if "/leases" in path else f"{method} {path.partition(MODEL)[2]}"] += 1
            return asked(api, method, path, *arguments, **named)

        monkeypatch.setattr(KubernetesApi, "_open", counted)
        api, ending = room.another_api(), threading.Event()
        cache = Cache(api, room.namespace)
        cache.start(ending)
        assert cache.is_synced(10.0)
        leadership = Leadership(api, "canario-controller", "me")
        loop = ModelLoop(api, cache, MODEL, leadership, Teller(api, "me"), prometheus_url)
        threads = [threading.Thread(target=each, args=(ending,)) for each in (leadership.watch, loop.run)]
        for thread in threads:
            thread.start()
        try:
            yield steered
        finally:
            ending.set()
            for thread in threads:
                thread.join(10.0)
            assert not any(thread.is_alive() for thread in threads)


@pytest.fixture
def steered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steered]:
    with _steered(monkeypatch) as found:
        soon(lambda: found.deployment() is not None)
        yield found


def soon(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


def rest(steered: Steered, quiet_seconds: float = 8.0) -> None:
    """Wait until nothing has been written for so long."""
    quiet_since = time.monotonic()
    end = quiet_since + quiet_seconds + 40.0
    while time.monotonic() - quiet_since < quiet_seconds:
        assert time.monotonic() < end, "it never came to rest"
        time.sleep(1.0)
        if steered.written():
            quiet_since = time.monotonic()


def test_an_unchanged_cluster_is_written_to_by_nobody(steered: Steered) -> None:
    """Once everything stands there is no write but the lease's, however many turns go by."""
    rest(steered, 20.0)


WEEKLY = {"name": "weekly", "input": "rows", "output": "scores", "claim": "data", "partitions": 8}


def test_a_schedule_of_rows_is_made_once_and_goes_with_its_entry(steered: Steered) -> None:
    """One CronJob, of the stable version, in no need of a second write; another version is not its next run's until it is stable."""
    steered.spec(batch=[WEEKLY])
    soon(lambda: steered.room.api.get(CRON_JOBS, "fraud-score-weekly") is not None)
    rest(steered)
    steered.spec(image=IMAGE, version="v2")  # it never becomes ready here, so v1 stays stable
    soon(lambda: steered.room.api.get(DEPLOYMENTS, "fraud-v2") is not None)
    found = steered.room.api.get(CRON_JOBS, "fraud-score-weekly")
    assert found
    assert found["metadata"]["generation"] == 1
    assert found["spec"]["jobTemplate"]["metadata"]["labels"]["canario.dev/version"] == "v1"
    steered.spec(batch=None)
    soon(lambda: steered.room.api.get(CRON_JOBS, "fraud-score-weekly") is None)
    soon(lambda: not steered.condition("Batch"))


def test_a_schedule_that_the_cluster_refuses_stands_in_no_way_of_the_servers(steered: Steered) -> None:
    """A time zone that nobody knows, a name that belongs to somebody else: a condition tells, and everything else is followed."""
    theirs = {
        "metadata": {"name": "fraud-score-theirs"},
        "spec": {
            "schedule": "@weekly",
            "jobTemplate": {
                "spec": {
                    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": IMAGE}]}}
                }
            },
        },
    }
    steered.room.api.create(CRON_JOBS, {"apiVersion": "batch/v1", "kind": "CronJob", **theirs})
    steered.spec(batch=[{**WEEKLY, "timeZone": "Mars/Olympus"}])
    soon(lambda: steered.condition("Batch").get("reason") == "ClusterRefuses")
    assert "Mars/Olympus" in steered.condition("Batch")["message"]
    steered.spec(batch=[WEEKLY, {**WEEKLY, "name": "theirs"}], replicas=3)
    soon(lambda: steered.condition("Batch").get("reason") == "NameTaken")
    soon(lambda: (steered.deployment() or {"spec": {}})["spec"].get("replicas") == 3)
    assert steered.room.api.get(CRON_JOBS, "fraud-score-weekly") is not None
    assert steered.condition("Accepted")["status"] == "True"


@contextmanager
def nobody_judges_cron_jobs(room: Room) -> Iterator[None]:
    """The API server asks a webhook that is away about every CronJob of this namespace."""
    place, name = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", room.namespace
    rule = {"operations": ["*"], "apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["cronjobs"]}
    webhook = {
        "name": "judge.canario.dev",
        "clientConfig": {"service": {"namespace": room.namespace, "name": "nobody"}},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": room.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    room.api._json("POST", place, {**kind, "metadata": {"name": name}, "webhooks": [webhook]})
    try:
        yield
    finally:
        room.api._json("DELETE", f"{place}/{name}", {})


def test_a_schedule_that_nobody_can_judge_stands_in_no_way_either(steered: Steered) -> None:
    """With an admission webhook for CronJobs that is away, servers and status follow; a schedule comes and goes once it is back."""
    with nobody_judges_cron_jobs(steered.room):
        steered.spec(batch=[WEEKLY], replicas=3)
        soon(lambda: steered.condition("Batch").get("reason") == "ClusterRefuses")
        assert "webhook" in steered.condition("Batch")["message"]
        soon(lambda: (steered.deployment() or {"spec": {}})["spec"].get("replicas") == 3)
    soon(lambda: steered.room.api.get(CRON_JOBS, "fraud-score-weekly") is not None)
    soon(lambda: steered.condition("Batch").get("status") == "True")
    with nobody_judges_cron_jobs(steered.room):
        steered.spec(batch=None, replicas=2)
        soon(lambda: steered.condition("Batch").get("reason") == "ClusterRefuses")
        soon(lambda: (steered.deployment() or {"spec": {}})["spec"].get("replicas") == 2)
    soon(lambda: steered.room.api.get(CRON_JOBS, "fraud-score-weekly") is None)


def test_servers_that_an_autoscaler_takes_over_stay(steered: Steered) -> None:
    """From four servers by the spec to an autoscaler of four to eight: never fewer than four are asked for; and back again."""
    fewest = 4

    def replicas() -> int:
        found = steered.deployment()
        return found["spec"]["replicas"] if found else 0

    steered.spec(replicas=4, resources={"requests": {"cpu": "10m"}})
    soon(lambda: replicas() == 4)
    autoscaling = {"minReplicas": 4, "maxReplicas": 8, "cpuPercent": 70}
    steered.spec(replicas=None, autoscaling=autoscaling)
    soon(lambda: steered.room.api.get(AUTOSCALERS, "fraud-v1") is not None)
    for _ in range(20):
        fewest = min(fewest, replicas())
        time.sleep(0.1)
    assert fewest == 4
    steered.spec(replicas=3, autoscaling=None)
    soon(lambda: replicas() == 3 and steered.room.api.get(AUTOSCALERS, "fraud-v1") is None)


def test_a_load_that_nobody_can_measure_is_told_once_and_costs_no_server(steered: Steered) -> None:
    """A controller without Prometheus: a condition says what to set, the servers that are there stay, and nothing is written again."""
    steered.spec(replicas=None, autoscaling={"minReplicas": 1, "maxReplicas": 4, "requestsPerSecond": 50})
    soon(lambda: steered.condition("Scaling").get("reason") == "NoPrometheus")
    assert "prometheus.url" in steered.condition("Scaling")["message"]
    rest(steered)
    found = steered.deployment()
    assert found
    assert found["spec"]["replicas"] == 2


def test_keda_scales_where_it_is_and_is_asked_for_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a Prometheus: one ScaledObject a version, made once, gone with the wish for it; or a condition that says what is missing."""
    with _steered(monkeypatch, "http://prometheus.nowhere.svc:9090") as steered:
        soon(lambda: steered.deployment() is not None)
        steered.spec(replicas=None, autoscaling={"minReplicas": 1, "maxReplicas": 4, "waitingRequests": 2})
        soon(lambda: bool(steered.condition("Scaling")))
        if steered.condition("Scaling")["reason"] == "NoKeda":
            assert "install KEDA" in steered.condition("Scaling")["message"]
            rest(steered)
            return
        soon(lambda: steered.room.api.get(SCALED_OBJECTS, "fraud-v1") is not None)
        rest(steered)
        found = steered.deployment()
        assert found
        assert found["spec"]["replicas"] == 2
        steered.spec(autoscaling={"waitingRequests": None, "cpuPercent": 70}, resources={"requests": {"cpu": "10m"}})
        soon(lambda: steered.room.api.get(AUTOSCALERS, "fraud-v1") is not None)
        soon(lambda: steered.room.api.get(SCALED_OBJECTS, "fraud-v1") is None)


def test_a_deployment_that_somebody_removes_comes_back(steered: Steered) -> None:
    """And one that somebody has changed is as it should be again."""
    first = steered.deployment()
    assert first
    steered.room.api.delete(DEPLOYMENTS, "fraud-v1")
    soon(lambda: (steered.deployment() or first)["metadata"]["uid"] != first["metadata"]["uid"])
    steered.room.api.merge(DEPLOYMENTS, "fraud-v1", {"spec": {"replicas": 7}})
    soon(lambda: (steered.deployment() or {"spec": {"replicas": 7}})["spec"]["replicas"] == 2)


def test_a_state_that_is_broken_is_told_and_the_hint_mends_it(steered: Steered) -> None:
    """The condition says what to type; after it the stable version is the one that was, and nothing was lost from the status."""
    soon(lambda: steered.condition("Accepted").get("status") == "True")
    steered.room.api.merge(CONFIG_MAPS, state_object(MODEL), {"data": {"state.json": "{ not json"}})
    steered.spec(image=IMAGE, version="v2")
    soon(lambda: steered.condition("Accepted").get("reason") == "StateBroken")
    told = steered.condition("Accepted")["message"]
    assert "kubectl delete configmap fraud-state" in told
    found = steered.room.api.get(MODEL_DEPLOYMENTS, MODEL)
    assert found
    assert found["status"]["stable"] == "v1"
    steered.room.api.delete(CONFIG_MAPS, state_object(MODEL))
    soon(lambda: steered.condition("Accepted").get("reason") != "StateBroken")
    found = steered.room.api.get(MODEL_DEPLOYMENTS, MODEL)
    assert found
    assert found["status"]["stable"] == "v1"


def test_a_state_that_was_removed_is_made_anew_and_the_next_version_is_tried(steered: Steered) -> None:
    """With the loop running: the next decision misses it, takes what the status remembers, and goes on."""
    soon(lambda: steered.condition("Accepted").get("status") == "True")
    steered.room.api.delete(CONFIG_MAPS, state_object(MODEL))
    steered.spec(image=IMAGE, version="v2")
    soon(lambda: steered.room.api.get(CONFIG_MAPS, state_object(MODEL)) is not None)
    found = steered.room.api.get(MODEL_DEPLOYMENTS, MODEL)
    assert found
    assert found["status"]["stable"] == "v1"


def test_a_cluster_that_refuses_is_not_asked_again_and_again(steered: Steered) -> None:
    """A name that belongs to somebody else: the condition tells, and the loop asks every other second, not every turn."""
    room = steered.room
    taken = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "fraud-v2"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
    }
    room.api._json("POST", f"/api/v1/namespaces/{room.namespace}/services", taken)
    steered.spec(image=IMAGE, version="v2")
    soon(lambda: steered.condition("Ready").get("reason") == "NameTaken")
    time.sleep(2.0)
    steered.calls.clear()
    time.sleep(8.0)
    assert steered.calls["GET -v2"] <= 8
