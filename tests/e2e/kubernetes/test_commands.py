"""The commands on a real cluster: what a person types, reads and gets as an exit code while a controller steers the model."""

from __future__ import annotations

import os
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from canario.model.rollout import Phase
from canario.platforms.kubernetes.naming import LEASE_NAME
from tests.cli.program import Canario, Ended
from tests.e2e.kubernetes.controller import RELEASE, Controller
from tests.e2e.kubernetes.kube import until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary

DONE, FAILED, ROLLED_BACK = 0, 1, 3
QUICK = {
    "strategy": "canary",
    "steps": [{"weight_percent": 50, "minimum_requests": 30}, {"weight_percent": 100, "minimum_requests": 30}],
    "gates": [{"kind": "errors", "margin_percent": 15}],
    "watch_seconds": 1,
    "watch_error_percent": 50,
    "watch_slow_percent": 100,
}
"""A plan that a good version passes in seconds."""
HELD = {**QUICK, "steps": [{"weight_percent": 20, "minimum_requests": 1_000_000}, {"weight_percent": 100}]}
"""A plan that stays at its first step."""

Run = Callable[..., Ended]


@pytest.fixture
def run(model: Model, tmp_path: Path) -> Run:
    """`canario ... --on kubernetes -n NAMESPACE`, as a program; two plans lie where it runs."""
    for name, plan in (("quick", QUICK), ("held", HELD)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(plan))
    program, environment = Canario(tmp_path), cluster_environment(model)
    return lambda *words, **changes: program(
        *words, "--on", "kubernetes", "-n", model.namespace, **environment, **changes
    )


@pytest.fixture
def fraud(model: Model, run: Run) -> Model:
    """The model with v1 as its stable version and nothing under way, brought there by the commands themselves."""
    if not model.resource():
        model.install("v1", canary())
    if model.status().get("rollout"):
        run("abort", model.name)
        until(lambda: not model.status().get("rollout"), "the rollout to end", 90, model.told)
    if model.status()["stable"] != "v1":
        done(run("rollback", model.name, "v1", "--wait"))
    model.wait_ready()
    return model


def cluster_environment(model: Model) -> dict[str, str]:
    """What kubectl and canario need to find the cluster, and each other."""
    environment = model.kube.cluster.environment()
    return {
        "KUBECONFIG": environment["KUBECONFIG"],
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
    }


def done(ended: Ended) -> Ended:
    """A run that has to end well."""
    assert ended.exit_code == DONE, f"{ended.stdout[-1000:]}{ended.stderr[-1500:]}"
    return ended


def begin(fraud: Model, run: Run, image: str = "v2", plan: str = "held") -> str:
    """Start a rollout by the command; the version's name, one that this model never had."""
    version = fraud.fresh(image)
    done(run("rollout", f"{fraud.name}:{version}", "--image", f"localhost/fraud:{image}", "--plan", f"{plan}.yaml"))
    return version


@contextmanager
def no_controller(controller: Controller) -> Iterator[None]:
    """Nobody steers for a while."""
    scale = ("scale", f"deployment/{RELEASE}", f"--namespace={controller.namespace}")
    controller.kube.kubectl(*scale, "--replicas=0")
    until(lambda: not controller.pods(), "the controller to be gone", 60)
    try:
        yield
    finally:
        controller.kube.kubectl(*scale, "--replicas=1")
        controller.leader()


def commands_in_the_journal(fraud: Model) -> Counter[str]:
    """How often each reason was given to the engine."""
    entries = fraud.assert_whole_journal()
    return Counter(command.reason for entry in entries for command in entry.evidence.commands)


def test_status_is_that_of_a_cluster(fraud: Model, run: Run) -> None:
    """`status` names namespace, address, pods and the next commands with the flags that lead there; no processes, no local ports."""
    page = done(run("status", fraud.name)).stdout
    assert f"fraud in namespace {fraud.namespace}" in page
    assert f"http://fraud.{fraud.namespace}.svc:8080 (REST and gRPC)" in page
    assert "v1        stable   100 %   100 %    2 ready" in page
    assert f"canario rollout fraud:TAG --on kubernetes -n {fraud.namespace}" in page
    assert "127.0.0.1" not in page
    (told,) = done(run("status", "--output", "json")).json()
    assert (told["stable"], told["is_up"], told["is_supervised"]) == ("v1", True, True)
    assert told["heartbeat_age_seconds"] < 15
    pods = {server["pod"] for server in told["servers"]}
    assert len(pods) == 2
    assert pods <= {name.rpartition("/")[2] for name in fraud.kubectl("get", "pods", "--output=name").split()}


def test_a_good_version_is_rolled_out_and_its_records_are_kept(fraud: Model, run: Run) -> None:
    """`rollout --wait` ends with 0 when it was promoted; history, explain, replay and watch tell of it afterwards."""
    version = fraud.fresh("v2")
    with fraud.traffic():
        words = ("--image", "localhost/fraud:v2", "--plan", "quick.yaml", "--wait", "--output", "json")
        past = done(run("rollout", f"{fraud.name}:{version}", *words)).json()
    assert (past["candidate"], past["phase"], past["stable"]) == (version, "promoted", "v1")
    (newest, *_) = done(run("history", fraud.name, "--output", "json")).json()
    assert newest == past
    assert f"of {version} over v1" in done(run("explain", fraud.name)).stdout
    unknown = run("explain", fraud.name, "fraud-9999")
    assert unknown.exit_code == FAILED
    assert "fraud has no rollout 'fraud-9999'" in unknown.stderr
    assert newest["rollout"] in unknown.stderr
    assert done(run("replay", fraud.name, "--output", "json")).json()["mismatches"] == []
    assert done(run("watch", fraud.name, "--output", "json")).json() == past
    page = done(run("status", fraud.name)).stdout
    assert "The same spec again changes nothing" in " ".join(page.split())


def test_a_bad_version_ends_with_3(fraud: Model, run: Run) -> None:
    """A version that the judge throws back is exit code 3 for who waits and for who watches, and v1 answers."""
    version = fraud.fresh("v4")
    with fraud.traffic():
        words = ("--image", "localhost/fraud:v4", "--plan", "held.yaml", "--wait")
        ended = run("rollout", f"{fraud.name}:{version}", *words)
    assert ended.exit_code == ROLLED_BACK, ended.stderr[-1500:]
    assert f"fraud:{version} was judged bad and rolled back" in ended.stderr
    assert f"canario explain fraud {past_rollout(run)} --on kubernetes -n {fraud.namespace}" in ended.stderr
    assert run("watch", fraud.name).exit_code == ROLLED_BACK
    assert fraud.status()["stable"] == "v1"


def test_a_person_steers(fraud: Model, run: Run) -> None:
    """Pause, resume, promote and abort are taken before the command returns; an aborted rollout ends a watch with 1."""
    begin(fraud, run)
    fraud.wait_for(Phase.STEPPING)
    done(run("pause", fraud.name, "--reason", "lunch"))
    assert done(run("status", fraud.name, "--output", "json")).json()["rollout"]["state"]["phase"] == "paused"
    done(run("resume", fraud.name))
    done(run("promote", fraud.name, "--reason", "looks good"))
    done(run("abort", fraud.name, "--reason", "enough seen"))
    watched = run("watch", fraud.name)
    assert watched.exit_code == FAILED
    assert "enough seen" in watched.stderr
    reasons = commands_in_the_journal(fraud)
    assert [reasons[reason] for reason in ("lunch", "looks good", "enough seen")] == [1, 1, 1]
    refused = run("promote", fraud.name)
    assert refused.exit_code == FAILED
    assert "no rollout of fraud is under way" in refused.stderr
    assert f"canario status fraud --on kubernetes -n {fraud.namespace}" in refused.stderr


def test_rollback_tells_of_the_spec(fraud: Model, run: Run) -> None:
    """`rollback` goes back to the version before without a gate, and says that the spec still asks for the newer one."""
    version = fraud.fresh("v2")
    with fraud.traffic():
        fraud.upgrade(version, canary(50, 100, minimum_requests=30))
        assert fraud.the_end(version)["phase"] == Phase.PROMOTED
        ended = done(run("rollback", fraud.name, "--wait"))
    assert fraud.status()["stable"] == "v1"
    assert f"the spec of modeldeployment/fraud still asks for {version}" in ended.stderr
    assert "applying it again changes nothing" in ended.stderr


def test_rollback_ends_the_rollout_under_way(fraud: Model, run: Run) -> None:
    """In the middle of a rollout `rollback` is its end, and that is success."""
    begin(fraud, run)
    done(run("rollback", fraud.name, "--wait"))
    assert past(run)["phase"] == "rolled-back"
    assert fraud.status()["stable"] == "v1"


def test_of_several_people_at_once_nobody_overwrites_another(fraud: Model, run: Run) -> None:
    """Wishes of the same moment are all taken, one after the other, each once."""
    begin(fraud, run)
    reasons = [f"person {number} {uuid.uuid4().hex[:6]}" for number in range(4)]
    ended: list[Ended] = []

    def pause(reason: str) -> None:
        ended.append(run("pause", fraud.name, "--reason", reason))

    people = [threading.Thread(target=pause, args=(reason,)) for reason in reasons]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert [each.exit_code for each in ended] == [DONE] * 4, [each.stderr for each in ended]
    taken = commands_in_the_journal(fraud)
    assert [taken[reason] for reason in reasons] == [1] * 4


def test_a_wish_is_kept_while_no_controller_runs(fraud: Model, run: Run, controller: Controller) -> None:
    """Without a controller the first wish is kept and the person told so; nobody else replaces it; it is taken when one runs."""
    begin(fraud, run)
    fraud.wait_for(Phase.STEPPING)
    with no_controller(controller):
        kept = run("pause", fraud.name, "--reason", "kept for later")
        assert kept.exit_code == FAILED
        assert "it is kept, and will be when a controller runs" in kept.stderr
        assert "canario.dev/request-" in kept.stderr
        second = run("abort", fraud.name)
        assert second.exit_code == FAILED
        assert "has not been taken yet, so nothing was asked" in second.stderr
        page = done(run("status", fraud.name)).stdout
        assert "not running" in page
        assert f"kubectl get lease {LEASE_NAME} -n {controller.namespace}" in page
    fraud.wait_for(Phase.PAUSED)
    assert commands_in_the_journal(fraud)["kept for later"] == 1


def test_kubectl_finds_the_plugin(fraud: Model, tmp_path: Path) -> None:
    """`kubectl canario ...` is the same program: same page, exit codes that reach the shell, a help in its own name."""
    kubectl = str(fraud.kube.cluster.kubectl)
    program, environment = Canario(tmp_path), cluster_environment(fraud)

    def plugin(*words: str) -> Ended:
        return program.of(kubectl, "canario", *words, **environment)

    page = done(plugin("status", fraud.name, "-n", fraud.namespace)).stdout
    assert f"fraud in namespace {fraud.namespace}" in page
    assert f"kubectl canario rollout fraud:TAG -n {fraud.namespace}" in page
    assert done(plugin("--help")).stdout.startswith("Usage: kubectl canario ")
    missing = plugin("status", "nothing", "-n", fraud.namespace)
    assert missing.exit_code == FAILED
    assert "there: fraud" in missing.stderr
    assert plugin("statsu").exit_code == 2


def test_tab_completes_the_models_of_the_cluster(fraud: Model, tmp_path: Path) -> None:
    """After `--on kubernetes -n NAMESPACE` Tab offers what is deployed there."""
    line = f"canario status --on kubernetes -n {fraud.namespace} f"
    asked = {"COMP_WORDS": line, "COMP_CWORD": "6", "_CANARIO_COMPLETE": "bash_complete"}
    assert done(Canario(tmp_path)(**asked, **cluster_environment(fraud))).stdout.strip() == "plain,fraud"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("status", "nothing"), "there is no ModelDeployment nothing", "helm install nothing helm/model"),
        (("rollout", "fraud:v1"), "v1 is the stable version already", "canario history fraud --on kubernetes"),
        (("rollout", "fraud"), "fraud does not say which version", "canario rollout fraud:TAG --on kubernetes"),
        (("rollback", "fraud", "v99"), "was never served as v99 here", "--image IMAGE"),
        (("rollout", "fraud:v9", "--steps", "50,10"), "the weights do not rise", "small to large"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_way_out(
    fraud: Model, run: Run, words: tuple[str, ...], message: str, hint: str
) -> None:
    """Each refusal names the next command, with the flags that reach this cluster; nothing has begun."""
    ended = run(*words)
    assert ended.exit_code != DONE
    assert ended.stdout == ""
    assert message in ended.stderr
    assert hint in ended.stderr
    assert "rollout" not in fraud.status()


def past(run: Run) -> Any:
    """How the last rollout ended."""
    return done(run("history", "fraud", "--output", "json")).json()[0]


def past_rollout(run: Run) -> str:
    """The name of the last rollout that ended."""
    return str(past(run)["rollout"])
