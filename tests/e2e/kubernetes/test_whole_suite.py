"""What only the whole suite can show, after all other scenarios: no request failed, no right is unused, and a cluster at rest is left alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from canario.adapters.kubernetes_api import CONFIG_MAPS, DEPLOYMENTS, MODEL_DEPLOYMENTS, PODS, SERVICES, Object
from tests.cluster.cluster import Cluster
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kills import pids_of
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.steady import Ledger
from tests.helm.test_controller_chart import ALLOWED, ALLOWED_TO_LEAD

WHOLE_SUITE_REQUESTS = 50_000
QUIET_SECONDS = 30.0
MEASURED_SECONDS = 10.0
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
Right = tuple[str, str, str]
RARE: set[Right] = {("", "configmaps", "delete"), ("coordination.k8s.io", "leases", "create")}
"""Rights that are needed when a journal has grown so long that its oldest part goes, and when somebody has deleted the lease."""


def test_a_cluster_at_rest_is_not_written_to(at_rest: Model, controller: Controller, cluster: Cluster) -> None:
    """With nothing to do, the controller writes nothing for half a minute but the sign that it lives."""
    model = at_rest
    time.sleep(3)  # the status of what has just ended
    before, since = versions(model), time.time()
    time.sleep(QUIET_SECONDS)
    assert versions(model) == before
    if cluster.audit_log is not None:
        writes = [
            entry
            for entry in requests_of(controller, cluster.audit_log)
            if entry["verb"] in WRITES and since < moment(entry) < since + QUIET_SECONDS
        ]
        assert {entry["objectRef"]["resource"] for entry in writes} <= {"leases"}


def test_the_footprint_is_told(at_rest: Model, controller: Controller, report: Callable[[str], None]) -> None:
    """Memory and CPU of controller and routers, at rest and at 200 requests a second."""
    model = at_rest
    pods = {"controller": [controller.leader()], "router": model.killer.pods(model=model.name, component="router")}
    processes = {what: [psutil.Process(pid) for pod in each for pid in pids_of(pod)] for what, each in pods.items()}
    if not all(processes.values()):
        pytest.skip("the pods run on another machine")
    with measured("at rest", processes, report):
        time.sleep(MEASURED_SECONDS)
    with model.traffic(200), measured("at 200 requests/s", processes, report):
        time.sleep(MEASURED_SECONDS)
    installed = controller.kube.objects(controller.namespace)
    report(f"objects in the controller's namespace: {len(installed)}")
    for process in processes["controller"]:
        assert process.memory_info().rss < 256 * 2**20


def test_the_controller_uses_its_rights_and_no_others(
    controller: Controller, cluster: Cluster, request: pytest.FixtureRequest, report: Callable[[str], None]
) -> None:
    """Every request that it made is on the list of what it may do; and what is on the list, it needed."""
    if cluster.audit_log is None:
        pytest.skip("there is no audit log of somebody else's cluster")
    allowed = {(*what, verb) for what, verbs in (ALLOWED | ALLOWED_TO_LEAD).items() for verb in verbs}
    entries = list(requests_of(controller, cluster.audit_log))
    assert {entry["responseStatus"]["code"] for entry in entries}.isdisjoint({401, 403})
    used = {right for entry in entries for right in rights_of(entry)}
    assert used <= allowed
    unused = sorted(allowed - used - RARE)
    report(f"{len(entries):,} requests of the controller; rights not used: {unused}")
    if is_whole(request):
        assert unused == []


def test_no_request_failed(ledger: Ledger, request: pytest.FixtureRequest, report: Callable[[str], None]) -> None:
    """At least 50,000 requests through the routers' Service, over REST and gRPC, and every one was answered."""
    report(ledger.told())
    assert ledger.failed == 0
    if is_whole(request):
        assert ledger.requests >= WHOLE_SUITE_REQUESTS
        assert {"server deleted", "server killed", "router deleted", "router killed"} <= set(ledger.killed)
        assert {"controller deleted", "controller killed"} <= set(ledger.killed)


def is_whole(request: pytest.FixtureRequest) -> bool:
    """Whether every file of scenarios was run, and not one that somebody is working on."""
    here = Path(__file__).parent
    return {item.path for item in request.session.items} >= set(here.glob("test_*.py"))


def versions(model: Model) -> dict[str, str]:
    """The resource version of everything that the controller may write."""
    found: dict[str, str] = {}
    for kind in (MODEL_DEPLOYMENTS, DEPLOYMENTS, SERVICES, CONFIG_MAPS, PODS):
        for each in model.kube.api.list(kind, model.namespace)[0]:
            found[f"{kind.plural}/{each['metadata']['name']}"] = each["metadata"]["resourceVersion"]
    return found


def requests_of(controller: Controller, audit_log: Path) -> Iterator[Object]:
    """What the controller's service account has asked of the API server, object by object."""
    account = f"system:serviceaccount:{controller.namespace}:"
    with audit_log.open() as lines:
        for line in lines:
            if account in line:
                entry = json.loads(line)
                if entry["user"]["username"].startswith(account) and "resource" in (entry.get("objectRef") or {}):
                    yield entry


def rights_of(entry: Object) -> Iterator[Right]:
    """The rights that a request needed: one that applies an object that was not there also creates it."""
    target = entry["objectRef"]
    resource = "/".join([target["resource"], *([target["subresource"]] if "subresource" in target else [])])
    group = target.get("apiGroup", "")
    yield group, resource, entry["verb"]
    if entry["verb"] == "patch" and entry["responseStatus"]["code"] == 201:
        yield group, resource, "create"


def moment(entry: Object) -> float:
    """When a request was answered, in seconds since 1970."""
    return datetime.fromisoformat(entry["stageTimestamp"]).timestamp()


@contextmanager
def measured(when: str, processes: dict[str, list[psutil.Process]], report: Callable[[str], None]) -> Iterator[None]:
    """Memory and CPU of a while, told when it is over."""
    before = {what: cpu_seconds(each) for what, each in processes.items()}
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    for what, each in processes.items():
        busy = 100 * (cpu_seconds(each) - before[what]) / seconds
        memory = sum(process.memory_info().rss for process in each) / 2**20
        report(f"{what} {when}: {memory:.0f} MiB, {busy:.1f} % of a core, {len(each)} processes")


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """The CPU time that they have used so far."""
    return sum(process.cpu_times().user + process.cpu_times().system for process in processes)
