"""Fraud changes under a model on a real cluster: it is seen, told, learned from, tried in a canary and answered, and nobody lends a hand.

Prometheus, Alertmanager, PostgreSQL and KEDA run as pods; every figure is measured by them or by the clients.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from canario.adapters.kubernetes_api import CRON_JOBS, JOBS, PODS, Object
from canario.model.rollout import Phase
from canario.monitoring.alertmanager import alertmanager
from canario.monitoring.files import to_yaml
from canario.monitoring.rules import rules
from canario.monitoring.table import DEFAULT_TABLE, read_table
from canario.platforms.kubernetes.naming import COMPONENT_LABEL, RETRAINING, retraining_object, state_object
from demo.payments import Payments, payments
from tests.cluster import keda, model_images
from tests.cluster.cluster import Cluster
from tests.cluster.monitoring_images import monitoring_image
from tests.cluster.running import Progress
from tests.cluster.settings import Settings
from tests.e2e.kubernetes.archives import CLAIM, Archives
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kills import pids_of
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.model import SMALL, Model
from tests.e2e.kubernetes.monitoring import Monitoring
from tests.e2e.kubernetes.plans import canary
from tests.e2e.kubernetes.steady import MODEL, Ledger
from tests.e2e.kubernetes.test_whole_suite import requests_of, rights_of
from tests.helm.test_controller_chart import ALLOWED_TO_RETRAIN, READ

SHIFT = dt.date(2026, 7, 1)
BEFORE = SHIFT - dt.timedelta(days=365)
LATER = SHIFT + dt.timedelta(days=3650)
ROWS_PER_SECOND = 1000.0
SECRET = "labels"
SETTINGS = {"cohortSeconds": 2, "maturitySeconds": 3, "qualityWindowSeconds": 25}
"""A test's hours are seconds: labels come after one, count from three on, and the present quality is that of the last 25."""
COOL_DOWN, COOL_DOWN_SECONDS = "--cool-down", 30
GATES = [{"kind": "errors", "marginPercent": 5}, {"kind": "recall", "marginPercent": 10}]
SCALING = {"minReplicas": 1, "maxReplicas": 2, "requestsPerSecond": 200, "windowSeconds": 8, "scaleDownSeconds": 5}
LONGEST_RETRAINING_SECONDS = 180
pytestmark = pytest.mark.timeout(600)


def quick_table(folder: Path) -> Path:
    """The table of objectives with seconds for hours: the same rules, in a hurry."""
    table: dict[str, Any] = yaml.safe_load(DEFAULT_TABLE.read_text())
    table |= {"scrape": "1s", "evaluate": "1s"}
    table["drift"]["windows"] = ["10s", "30s"]
    table["alerts"]["CanarioInputDrift"] |= {"after": "2s", "kept": "1m"}
    table["alerts"]["CanarioDegradation"] |= {"after": "3s", "kept": "5s"}
    table["telling"] |= {"wait": "1s", "interval": "5s", "repeat": "1m", "retraining_repeat": "15s"}
    path = folder / "objectives.yaml"
    path.write_text(yaml.safe_dump(table))
    return path


@dataclass
class Loop:
    """Everything of the scenario."""

    model: Model
    monitoring: Monitoring
    archives: Archives
    controller: Controller

    def recall(self, version: str, bound: str = "value") -> float | None:
        """The present recall of a version, as Prometheus has it; None while nothing is measured."""
        words = f'namespace="{self.model.namespace}",version="{version}",measure="recall",bound="{bound}"'
        return self.monitoring.value(f"canario_quality{{{words}}}")

    def reference(self, version: str, bound: str = "value") -> float | None:
        """The recall when the version was made."""
        words = f'namespace="{self.model.namespace}",version="{version}",measure="recall",bound="{bound}"'
        return self.monitoring.value(f"max(canario_reference_quality{{{words}}})")

    def jobs(self) -> list[Object]:
        """The retrainings that were asked for, oldest first."""
        found, _ = self.model.kube.api.list(JOBS, self.model.namespace, f"{COMPONENT_LABEL}={RETRAINING}")
        return sorted(found, key=lambda job: str(job["metadata"]["creationTimestamp"]))

    def end_retraining(self) -> None:
        """From here on every retraining falls into the cool-down of the last one, and nothing of one is under way."""
        name = retraining_object(MODEL)
        found = self.model.kube.get(CRON_JOBS, name, self.model.namespace)
        assert found
        place = "/spec/jobTemplate/spec/template/spec/containers/0/args"
        arguments = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
        changed = [f"{COOL_DOWN}=36000" if each.startswith(COOL_DOWN) else each for each in arguments]
        assert changed != arguments
        patch = json.dumps([{"op": "replace", "path": place, "value": changed}])
        self.model.kubectl("patch", f"cronjob/{name}", "--type=json", "--patch", patch)

        def is_quiet() -> bool:
            states: list[Object] = [job.get("status") or {} for job in self.jobs()]
            return all(each.get("succeeded") or each.get("failed") for each in states)

        until(is_quiet, "the end of the last retraining", LONGEST_RETRAINING_SECONDS, self.told)
        self.model.rest()

    def kill_database(self) -> None:
        """SIGKILL for PostgreSQL, which comes back by itself."""
        kube, watching = self.model.kube, self.monitoring.namespace
        (pod,) = kube.api.list(PODS, watching, "app=postgresql")[0]
        pids = pids_of(pod)
        if not pids:
            pytest.skip("the pods run on another machine")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def told(self) -> str:
        """How things stand, for the words of a failure."""
        logs = [
            self.model.kubectl("logs", f"job/{job['metadata']['name']}", "--tail=15", "--ignore-errors")
            for job in self.jobs()[-1:]
        ]
        return f"{self.monitoring.alerts()}; recall of v1 {self.recall('v1')}; jobs {logs}; {self.model.told()}"


@pytest.fixture(scope="module")
def loop(
    cluster: Cluster, kube: Kube, canario_image: str, ledger: Ledger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loop]:
    """The model v1 with its database, its volume and its CronJob; a controller that takes alerts; those who watch."""
    folder = tmp_path_factory.mktemp("degradation")
    (image,) = model_images.e2e_images(["v1"]).values()
    cluster.load(image, trainer := model_images.trainer_image(), monitoring_image())
    if cluster.audit_log is not None:
        keda.start(Settings.from_environment(), Progress())
    names = [f"{what}-{uuid.uuid4().hex[:6]}" for what in ("fraud", "canario", "watching")]
    models, steering, watching = (kube.make_namespace(name) for name in names)
    monitoring = Monitoring(kube, watching)
    monitoring.start_postgresql()
    secret = {"url": monitoring.database_url, **SETTINGS}
    for namespace in (models, steering):
        literals = [f"--from-literal={key}={value}" for key, value in secret.items()]
        kube.kubectl("create", "secret", "generic", SECRET, f"--namespace={namespace}", *literals)
    table = read_table(quick_table(folder))
    monitoring.start_alertmanager(alertmanager(table, f"http://canario-alerts.{steering}.svc:8082/alerts"))
    monitoring.start_prometheus([models], controllers=[steering], rules=to_yaml(rules(table)))
    controller = Controller(kube, steering, [models], canario_image, ledger)
    controller.install(
        feedback={"secret": SECRET}, retraining={"enabled": True}, prometheus={"url": monitoring.prometheus_url}
    )
    archives = Archives(kube, models, folder / "volume")
    archives.make()
    model = Model(kube, models, ledger, canario_image)
    model.install(
        "v1",
        canary(30, 100, minimum_requests=60, gates=GATES),
        feedbackSecret=SECRET,
        archivesClaim=CLAIM,
        autoscaling=SCALING,
        retraining={
            "enabled": True,
            "image": trainer,
            "coolDownSeconds": COOL_DOWN_SECONDS,
            "resources": SMALL,
        },
    )
    yield Loop(model, monitoring, archives, controller)
    model.uninstall()
    archives.remove()
    controller.uninstall()


def test_the_whole_loop(loop: Loop, report: Callable[[str], None]) -> None:
    """Recall falls; inputs and labels tell it; a Job learns, a canary tries, and it is back: seen, told and answered."""
    model, monitoring = loop.model, loop.monitoring
    with Payments(model.target, payments(BEFORE), rows_per_second=ROWS_PER_SECOND) as clients:
        until(lambda: (loop.recall("v1") or 0) > 0, "the first quality", 60, loop.told)
        time.sleep(5)
        report(f"before the shift: {clients.seen.told('v1')}; Prometheus: {loop.recall('v1'):.1%}")
        assert not monitoring.alerts(), monitoring.alerts()
        began = time.monotonic()
        calm = clients.go_on_with(payments(SHIFT))
        told: dict[str, float] = {}

        def has_fired(name: str) -> bool:
            if any(labels["alertname"] == name for labels in monitoring.alerts()):
                told.setdefault(name, time.monotonic() - began)
            return name in told

        def is_told() -> bool:
            drift, degradation = has_fired("CanarioInputDrift"), has_fired("CanarioDegradation")
            return drift and degradation

        until(is_told, "the alarms", 90, loop.told)
        fallen, lowest = loop.recall("v1"), loop.reference("v1", "low")
        told_by = f"Prometheus: {fallen:.1%}, at its making {loop.reference('v1'):.1%} and {lowest:.1%} at least"
        report(f"after it: {clients.seen.told('v1')}; {told_by}")
        report(f"alarms: {', '.join(f'{name} after {seconds:.0f} s' for name, seconds in told.items())}")
        until(loop.jobs, "a retraining", 60, loop.told)
        asked = time.monotonic() - began
        rollout = until(lambda: model.status().get("rollout"), "a rollout", LONGEST_RETRAINING_SECONDS, loop.told)
        candidate = str(model.status()["candidate"])
        report(f"a Job after {asked:.0f} s; {rollout['name']} of {candidate} after {time.monotonic() - began:.0f} s")
        end = model.the_end(candidate, 150)
        assert end["phase"] == Phase.PROMOTED, end
        promoted = time.monotonic() - began
        trial = clients.count_anew()
        assert until(lambda: clients.seen.frauds[candidate] >= 400, "400 frauds more", 120, loop.told)
        now, measured = clients.seen, loop.recall(candidate)
    report(f"v1 in all, after the shift: {trial.told('v1')}")
    report(f"promoted after {promoted:.0f} s: {now.told(candidate)}; Prometheus: {measured:.1%}")
    assert calm.recall("v1") > 0.7
    assert trial.recall("v1") < 0.62
    assert fallen is not None
    assert lowest is not None
    assert fallen < lowest
    assert now.recall(candidate) >= 0.75
    assert measured is not None
    assert measured >= 0.75
    assert not sum(each.failures.total() for each in (calm, trial, now)), (calm.failures, trial.failures)
    told_of = {each["name"]: each for each in model.status()["versions"]}[candidate]
    assert told_of["archive"].startswith(f"{MODEL}/{MODEL}-{candidate}.canario#sha256:")
    assert model.condition("Scaling")["status"] == "True"
    assert_no_alert_of(loop, candidate)
    model.assert_whole_journal()


def test_a_version_that_misses_more_is_thrown_back_by_its_labels(loop: Loop, report: Callable[[str], None]) -> None:
    """A version of before the shift waits while no labels come, the database's death included, and is thrown back when they do."""
    loop.end_retraining()
    model, good = loop.model, loop.model.stable
    old = loop.archives.train("old", str(SHIFT - dt.timedelta(days=1)))
    with Payments(model.target, payments(LATER), rows_per_second=ROWS_PER_SECOND) as clients:
        clients.has_labels = False
        model.remember()
        assert model.answer_to(model.wish("start", version="old", archive=old)) == ""
        model.wait_for(Phase.STEPPING, weight=30)
        until(lambda: clients.seen.rows["old"] > 3000, "requests to it", 60, loop.told)
        loop.kill_database()
        until(lambda: clients.seen.rows["old"] > 5000, "requests to it without a database", 60, loop.told)
        verdict = model.status()["evidence"]
        assert (model.status()["weightPercent"], model.status()["verdict"]) == (30, "unknown"), verdict
        clients.has_labels = True
        end = model.the_end("old", 120)
    report(f"{clients.seen.told('old')} against {clients.seen.told(good)}: {end['reason']}")
    assert end["phase"] == Phase.ROLLED_BACK
    assert "recall" in end["reason"]
    assert model.stable == good
    assert not clients.seen.failures


def assert_no_alert_of(loop: Loop, version: str) -> None:
    """The new version is not worse than it was made."""

    def is_calm() -> bool:
        fired = {labels["alertname"] for labels in loop.monitoring.alerts() if labels.get("version") == version}
        return "CanarioDegradation" not in fired

    until(is_calm, "an alarm to end", 30, loop.told)


def test_nobody_has_a_right_that_is_not_needed(loop: Loop, cluster: Cluster) -> None:
    """What the controller may do with Jobs it did, and nothing else; a retraining was refused nothing and asked for nothing else."""
    if cluster.audit_log is None:
        pytest.skip("there is no audit log of somebody else's cluster")
    entries = list(requests_of(loop.controller, cluster.audit_log))
    assert {entry["responseStatus"]["code"] for entry in entries}.isdisjoint({401, 403})
    used = {right for entry in entries for right in rights_of(entry) if right[0] == "batch"}
    asked_for = {(*what, verb) for what, verbs in ALLOWED_TO_RETRAIN.items() for verb in verbs}
    assert used == asked_for | {("batch", "cronjobs", verb) for verb in ("get", *READ)}
    account = f"system:serviceaccount:{loop.model.namespace}:{retraining_object(MODEL)}"
    asked = [
        entry
        for line in cluster.audit_log.read_text().splitlines()
        if account in line and "resource" in ((entry := json.loads(line)).get("objectRef") or {})
    ]
    assert {entry["responseStatus"]["code"] for entry in asked} <= {200, 409}
    objects = {(entry["objectRef"]["resource"], entry["objectRef"].get("name"), entry["verb"]) for entry in asked}
    assert objects == {
        ("modeldeployments", MODEL, "get"),
        ("modeldeployments", MODEL, "patch"),
        ("configmaps", state_object(MODEL), "get"),
    }


def test_retrainings_are_recorded(loop: Loop) -> None:
    """What came of each is in the database, and Prometheus knows when the last one succeeded."""
    words = f'namespace="{loop.model.namespace}",outcome="rolled-out"'
    at_seconds = loop.monitoring.wait_for_value(f"canario_retraining_timestamp_seconds{{{words}}}")
    assert time.time() - at_seconds < 900
    made = loop.jobs()[-1]["metadata"]
    assert made["name"].startswith(retraining_object(MODEL))
    assert made["ownerReferences"][0]["kind"] == "CronJob"
