"""What `kubectl get` tells of a model: each condition says how it stands and what to do, and its times change only when it does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from canario.model.evidence import Counts, Evidence
from canario.model.rollout import Phase
from canario.model.split import Split
from canario.platforms.kubernetes.crd import custom_resource_definition
from canario.platforms.kubernetes.status import Problem, Sight, status_of
from canario.platforms.kubernetes.wishes import Wish, WishKind
from tests.platforms.kubernetes.small_cluster import SmallCluster, in_phase, is_quiet

SCHEMA = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
VALID = jsonschema_rs.validator_for(SCHEMA)
NOW = 1_000_000.0
ABORT = Wish(id="no-more", kind=WishKind.ABORT, actor="ana")


def sight(cluster: SmallCluster, **others: Any) -> Sight:
    """What a controller saw of it in its last turn."""
    verdict = cluster.journal[-1].verdict if cluster.phase else None
    seen = Sight(generation=3, wanted=cluster.wanted, evidence=cluster.evidence(), routers=2, verdict=verdict)
    return replace(seen, **others)


def status(cluster: SmallCluster, previous: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """The status, as the API server would take it."""
    told = status_of(cluster.record, sight(cluster, **others), previous or {}, cluster.now_seconds)
    assert not [str(error) for error in VALID.iter_errors(told)]
    return told


def condition(told: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in told["conditions"] if each["type"] == kind)


@pytest.fixture
def at_rest() -> SmallCluster:
    cluster = SmallCluster()
    cluster.until(is_quiet)
    cluster.run(2)
    return cluster


@pytest.fixture
def on_trial(at_rest: SmallCluster) -> SmallCluster:
    at_rest.requests_per_second = 4
    at_rest.edit("v2")
    at_rest.until(in_phase(Phase.STEPPING))
    at_rest.run(2)
    return at_rest


def thrown_back() -> SmallCluster:
    cluster = SmallCluster(failing={"v2"})
    cluster.run(2)
    cluster.edit("v2")
    cluster.until(lambda each: bool(each.deployment.past))
    return cluster


def rolled_back_by_hand() -> SmallCluster:
    cluster = SmallCluster()
    cluster.edit("v2")
    cluster.until(lambda each: each.deployment.stable == "v2")
    cluster.wish = Wish(id="x", kind=WishKind.START, version="v1")
    cluster.until(lambda each: each.deployment.stable == "v1")
    return cluster


def waiting() -> SmallCluster:
    cluster = SmallCluster()
    cluster.edit("v2")
    cluster.until(in_phase(Phase.WATCHING))
    cluster.edit("v3")
    cluster.turn()
    return cluster


def superseding() -> SmallCluster:
    cluster = SmallCluster()
    cluster.edit("v2")
    cluster.until(in_phase(Phase.STEPPING))
    cluster.edit("v3")
    return cluster


def changed_image() -> SmallCluster:
    cluster = SmallCluster(images={"v1": "fraud:v1"})
    cluster.run(2)
    cluster.images["v1"] = "fraud:patched"
    return cluster


def refused() -> SmallCluster:
    cluster = SmallCluster()
    cluster.run(2)
    cluster.edit("v2")
    cluster.plan = replace(cluster.plan, steps=())
    cluster.turn()
    return cluster


def at_peace() -> SmallCluster:
    cluster = SmallCluster()
    cluster.until(is_quiet)
    return cluster


@pytest.mark.parametrize(
    ("made", "others", "state", "reason", "words"),
    [
        (at_peace, {}, "True", "AsSpecified", ""),
        (at_peace, {"wanted": None}, "Unknown", "NotRead", "has not been read"),
        (
            at_peace,
            {"wanted": None, "problem": Problem(reason="InvalidSpec", message="no image; give one")},
            "False",
            "InvalidSpec",
            "give one",
        ),
        (changed_image, {}, "False", "ImageChanged", "give fraud:patched a version of its own"),
        (waiting, {}, "False", "Waiting", "v3 waits: the rollout of v2 ends first (watching)"),
        (superseding, {}, "False", "Waiting", "v3 waits: the rollout of v2 goes back first"),
        (refused, {}, "False", "Refused", "a plan needs at least one step"),
        (thrown_back, {}, "False", "RolledBack", "`canario rollout fraud:v2 --on kubernetes` tries it again"),
        (rolled_back_by_hand, {}, "False", "HeldByHand", "The same spec again changes nothing"),
    ],
)
def test_accepted_says_what_became_of_the_spec(
    made: Any, others: dict[str, Any], state: str, reason: str, words: str
) -> None:
    """Whatever answers, a person reads whether the spec is followed, why not, and what to do."""
    found = condition(status(made(), **others), "Accepted")
    assert (found["status"], found["reason"]) == (state, reason)
    assert words in found["message"]


@pytest.mark.parametrize(
    ("others", "state", "reason", "words"),
    [
        ({}, "True", "Answering", "2 servers of v1 are ready behind 2 routers"),
        ({"routers": 0}, "False", "NoRouter", "kubectl get pods"),
        (
            {"evidence": Evidence(router_split=Split(stable="v1")), "messages": {"v1": "no node has room"}},
            "False",
            "NoReadyServer",
            "no server of v1 is ready: no node has room",
        ),
        ({"evidence": Evidence(ready={"v1": 2})}, "Unknown", "RouterNotRead", "cannot be read"),
        (
            {"hindrance": Problem(reason="ClusterRefuses", message="the cluster refuses: quota")},
            "False",
            "ClusterRefuses",
            "quota",
        ),
    ],
)
def test_ready_says_whether_clients_are_answered(
    at_rest: SmallCluster, others: dict[str, Any], state: str, reason: str, words: str
) -> None:
    """And if not, what is missing; what cannot be read is unknown, not good and not bad."""
    found = condition(status(at_rest, **others), "Ready")
    assert (found["status"], found["reason"]) == (state, reason)
    assert words in found["message"]


def test_progressing_tells_how_the_rollout_goes_and_how_the_last_one_went(at_rest: SmallCluster) -> None:
    """From idle over each phase to the end, always with the reason."""
    assert condition(status(at_rest), "Progressing")["reason"] == "Idle"
    at_rest.edit("v2")
    told = {}
    for _ in range(40):
        at_rest.run()
        found = condition(status(at_rest), "Progressing")
        told[found["reason"]] = found["status"]
        assert found["message"]
    assert told == {
        "Starting": "True",
        "Stepping": "True",
        "Watching": "True",
        "Finishing": "True",
        "Promoted": "False",
    }


def test_evidence_is_needed_only_where_something_is_judged(at_rest: SmallCluster) -> None:
    """Without a rollout, and while a version starts, nobody asks for counts."""
    assert condition(status(at_rest), "EvidenceReadable")["reason"] == "NotNeeded"
    at_rest.edit("v2")
    at_rest.turn()
    assert condition(status(at_rest), "EvidenceReadable")["reason"] == "NotNeeded"


def test_lost_evidence_is_told_with_what_follows(on_trial: SmallCluster) -> None:
    """It holds, and nobody is blamed."""
    assert condition(status(on_trial), "EvidenceReadable")["status"] == "True"
    on_trial.counts_readable = False
    on_trial.turn()
    found = condition(status(on_trial), "EvidenceReadable")
    assert (found["status"], found["reason"]) == ("False", "Lost")
    assert "the rollout holds" in found["message"]


def test_a_condition_s_time_changes_only_with_its_status(on_trial: SmallCluster) -> None:
    """Other words at the same status leave the time, another status changes it, and coming back changes it again."""
    first = status(on_trial)
    on_trial.now_seconds += 60
    same = status(on_trial, first, routers=1)
    assert condition(same, "Ready")["message"] != condition(first, "Ready")["message"]
    assert condition(same, "Ready")["lastTransitionTime"] == condition(first, "Ready")["lastTransitionTime"]
    lost = status(on_trial, same, routers=0)
    assert condition(lost, "Ready")["lastTransitionTime"] > condition(first, "Ready")["lastTransitionTime"]
    assert condition(lost, "Accepted")["lastTransitionTime"] == condition(first, "Accepted")["lastTransitionTime"]
    on_trial.now_seconds += 60
    back = status(on_trial, lost)
    assert condition(back, "Ready")["lastTransitionTime"] > condition(lost, "Ready")["lastTransitionTime"]


def test_the_same_sight_gives_the_same_status(on_trial: SmallCluster) -> None:
    """A cluster in which nothing changes is written to by nobody: only the evidence's moment moves."""
    first = status(on_trial)
    on_trial.now_seconds += 60
    again = status(on_trial, first)
    again["evidence"]["at"] = first["evidence"]["at"]
    assert again == first


def test_a_rollout_is_told_with_asked_and_actual_weight(on_trial: SmallCluster) -> None:
    """What is asked for and what the routers run stand apart, and who cannot be read is left out."""
    told = status(on_trial)
    assert (told["phase"], told["stable"], told["candidate"]) == ("stepping", "v1", "v2")
    assert (told["weightPercent"], told["actualWeightPercent"]) == (50.0, 50.0)
    assert told["rollout"] | {"reason": "", "startedAt": ""} == {
        "name": "fraud-0001",
        "strategy": "canary",
        "phase": "stepping",
        "step": 1,
        "steps": 2,
        "startedAt": "",
        "reason": "",
    }
    on_trial.split_readable = False
    told = status(on_trial)
    assert "actualWeightPercent" not in told
    assert "actual" not in told["split"]


def test_every_version_is_told_with_its_role(on_trial: SmallCluster) -> None:
    """Who answers, who is tried, who is kept for a way back, each with its image and its servers."""
    on_trial.until(is_quiet)
    on_trial.edit("v3")
    on_trial.until(in_phase(Phase.STEPPING))
    told = status(on_trial, messages={"v3": "one server has no node"})
    assert [(each["name"], each["role"], each["ready"], each["replicas"]) for each in told["versions"]] == [
        ("v1", "retired", 0, 0),
        ("v2", "stable", 2, 2),
        ("v3", "candidate", 2, 2),
    ]
    assert told["versions"][2]["message"] == "one server has no node"
    assert [each["image"] for each in told["versions"]] == ["fraud:v1", "fraud:v2", "fraud:v3"]


def test_the_first_start_is_told_as_such_and_only_once(at_rest: SmallCluster) -> None:
    """Before the first server is ready the model starts up; later outages do not take it back there."""
    told = status(SmallCluster(), evidence=Evidence(), routers=0)
    assert told["phase"] == "starting-up"
    told = status(at_rest, told)
    assert told["phase"] == "stable"
    assert status(at_rest, told, evidence=Evidence())["phase"] == "stable"


def test_the_last_evidence_stays_when_the_rollout_has_ended(on_trial: SmallCluster) -> None:
    """Who comes too late for the rollout still reads what it was judged by."""
    during = status(on_trial)
    assert during["evidence"]["gates"]
    on_trial.until(is_quiet)
    assert status(on_trial, during)["evidence"] == during["evidence"]


def test_the_history_is_as_long_as_it_was_asked_to_be() -> None:
    """The oldest go, the newest stay, and the status stays small."""
    cluster = SmallCluster(broken={f"v{number}" for number in range(2, 20)})
    for number in range(2, 14):
        cluster.edit(f"v{number}")
        cluster.until(lambda each, number=number: len(each.deployment.past) == number - 1)  # type: ignore[misc]
    for limit in (1, 10, 50):
        history = status(cluster, history_limit=limit)["history"]
        assert [each["candidate"] for each in history] == [f"v{number}" for number in range(2, 14)][-limit:]


def test_a_wish_is_answered_under_its_own_id(on_trial: SmallCluster) -> None:
    """The person who asked finds the answer; one that was granted has none."""
    on_trial.wish = Wish(id="mine", kind=WishKind.START, version="v9")
    on_trial.turn()
    told = status(on_trial, last_wish="mine")["lastRequest"]
    assert told["id"] == "mine"
    assert "v9 is not kept here" in told["answer"]
    on_trial.wish = ABORT
    on_trial.turn()
    assert status(on_trial, last_wish="no-more")["lastRequest"] == {"id": "no-more", "answer": ""}


def test_a_wish_that_is_not_answered_yet_is_not_told_as_answered(on_trial: SmallCluster) -> None:
    """Who waits for the own id does not read another's answer."""
    assert "lastRequest" not in status(on_trial, last_wish="later")


def test_what_was_counted_is_told_since_the_step_began(on_trial: SmallCluster) -> None:
    """Requests of the whole past are no evidence of this step."""
    on_trial.counts["v1"] = Counts(requests=10_000_000)
    on_trial.until(in_phase(Phase.WATCHING))
    on_trial.run()
    told = status(on_trial)["evidence"]["versions"]
    assert [each["name"] for each in told] == ["v1", "v2"]
    assert all(each["requests"] < 10_000 for each in told)
