"""What people and their tools do to a rollout under way, by mistake or in haste: the split does not move, and the status says what it sees."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from canario.adapters.kubernetes_api import CONFIG_MAPS, DEPLOYMENTS, Object
from canario.model.rollout import Phase
from canario.platforms.kubernetes.naming import router_object, version_object
from tests.e2e.kubernetes.kube import until
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary, held

PUT_BACK_SECONDS = 15


@pytest.fixture(scope="module")
def at_ten_percent(model: Model) -> Iterator[tuple[Model, str]]:
    """A canary that stays at 10 %, and its candidate."""
    model.settle("v1")
    candidate = model.fresh("v2")
    model.upgrade(candidate, held())
    model.wait_for(Phase.STEPPING, weight=10)
    until(lambda: model.split_written().get("weight_percent") == 10, "10 % to be written")
    yield model, candidate
    model.rest()


def test_an_edited_weight_is_put_back(at_ten_percent: tuple[Model, str]) -> None:
    """Somebody edits the routers' configuration: in seconds it says again what was decided, and the routers run that."""
    model, candidate = at_ten_percent
    with model.traffic():
        found = model.kube.api.get(CONFIG_MAPS, router_object(model.name), model.namespace)
        assert found is not None
        routes = json.loads(found["data"]["routes.json"])
        edited = json.dumps(give_all_to_the_last(routes)).replace('"weight_percent": 10.0', '"weight_percent": 90.0')
        assert edited != found["data"]["routes.json"]
        model.kube.api.merge(CONFIG_MAPS, router_object(model.name), {"data": {"routes.json": edited}}, model.namespace)
        assert model.split_written()["weight_percent"] == 90
        until(lambda: model.split_written().get("weight_percent") == 10, "the weight to be put back", PUT_BACK_SECONDS)
        until(lambda: model.status().get("actualWeightPercent") == 10, "routers at 10 %", PUT_BACK_SECONDS, model.told)
    with model.traffic() as clients:
        time.sleep(5)
    share = clients.tally.by_version["v2"] / clients.tally.requests
    assert share < 0.25
    assert model.status()["candidate"] == candidate


def test_the_same_chart_again_does_not_move_the_split(at_ten_percent: tuple[Model, str]) -> None:
    """`helm upgrade` and `kubectl apply` of what is there already change nothing in the middle of a canary."""
    model, candidate = at_ten_percent
    before = (model.split_written(), model.status()["rollout"]["name"])
    with model.traffic():
        model.upgrade(candidate, held())
        manifest = model.kube.helm("get", "manifest", model.name, f"--namespace={model.namespace}")
        model.kubectl("apply", "--filename=-", text=manifest)
        model.wait_observed()
        time.sleep(2)  # whatever would follow has by now
    assert (model.split_written(), model.status()["rollout"]["name"]) == before
    assert model.condition("Accepted")["status"] == "True"


@pytest.mark.parametrize("which", ["stable", "candidate"])
def test_a_deleted_deployment_comes_back(at_ten_percent: tuple[Model, str], which: str) -> None:
    """Somebody deletes the servers of a version: they are back, and those who would have asked them are answered by the other."""
    model, candidate = at_ten_percent
    name = version_object(model.name, "v1" if which == "stable" else candidate)
    with model.traffic():
        before = model.kube.api.get(DEPLOYMENTS, name, model.namespace)
        assert before is not None
        model.kubectl("delete", "deployment", name, "--wait=false")
        until(lambda: is_another(model, name, before), "another Deployment", 30)
        version = name.removeprefix(f"{model.name}-")
        until(lambda: len(model.killer.pods(component="server", version=version)) == 2, "its servers", 60, model.told)
    assert model.status()["rollout"]["phase"] == Phase.STEPPING


def test_a_second_change_takes_the_place_of_the_first(at_ten_percent: tuple[Model, str]) -> None:
    """Another version in the spec while one is on trial: the first goes back, then the second gets its trial."""
    model, first = at_ten_percent
    second = model.fresh("v2")
    with model.traffic():
        model.upgrade(second, canary())
        end = model.the_end(second)
    ends = {each["candidate"]: each["phase"] for each in model.status()["history"][-2:]}
    assert ends == {first: Phase.ROLLED_BACK, second: Phase.PROMOTED}
    assert end["stable"] == "v1"
    model.assert_whole_journal()


def test_an_image_that_cannot_be_pulled_is_told_and_harms_nobody(at_rest: Model) -> None:
    """The rollout goes back with the cluster's own words, long before its patience ends, and stable was never touched."""
    model, stable = at_rest, at_rest.stable
    servers = {pod["metadata"]["uid"] for pod in model.killer.pods(component="server", version=stable)}
    with model.traffic():
        model.upgrade("absent", canary())
        end = model.the_end("absent", 110)
    assert end["phase"] == Phase.ROLLED_BACK
    assert "ImagePullBackOff" in end["reason"]
    assert "fraud:absent" in end["reason"]
    accepted = model.condition("Accepted")
    assert (accepted["reason"], "cannot start" in accepted["message"]) == ("RolledBack", True)
    assert {pod["metadata"]["uid"] for pod in model.killer.pods(component="server", version=stable)} == servers


def test_a_version_that_never_gets_ready_is_given_up(at_rest: Model, canario_image: str) -> None:
    """An image that is no model's: after `startSeconds` the rollout goes back and says that no server was ready."""
    model, stable = at_rest, at_rest.stable
    plan = canary()
    plan["strategy"] |= {"startSeconds": 8}
    with model.traffic():
        model.upgrade("hollow", plan, image=canario_image)
        end = model.the_end("hollow")
    assert end["phase"] == Phase.ROLLED_BACK
    assert "no ready server" in end["reason"] or "cannot start" in end["reason"]
    assert model.stable == stable


def test_a_model_removed_in_the_middle_of_a_rollout_leaves_nothing(at_rest: Model) -> None:
    """`helm uninstall` takes servers, routers, configuration, state and journal along, whatever was under way."""
    before = at_rest.kube.objects(at_rest.namespace)
    second = replace(at_rest, name="second")
    second.install("v1", held(), replicas=1)
    second.upgrade("v2", held(), replicas=1)
    second.wait_for(Phase.STEPPING)
    assert len(at_rest.kube.objects(at_rest.namespace)) > len(before) + 8
    second.uninstall()
    until(lambda: at_rest.kube.objects(at_rest.namespace) <= before, "nothing to be left", 60)


def give_all_to_the_last(node: object) -> object:
    """Routes in which every split sends all to the candidate."""
    if isinstance(node, list):
        return [give_all_to_the_last(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "weighted_clusters" in node:
        listed = node["weighted_clusters"]["clusters"]
        total = sum(each["weight"] for each in listed)
        weights = [0] * (len(listed) - 1) + [total]
        clusters = [{**each, "weight": weight} for each, weight in zip(listed, weights, strict=True)]
        node = {**node, "weighted_clusters": {**node["weighted_clusters"], "clusters": clusters}}
    return {key: value if key == "weighted_clusters" else give_all_to_the_last(value) for key, value in node.items()}


def is_another(model: Model, name: str, before: Object) -> bool:
    """Whether a Deployment is there that is not the one before."""
    found = model.kube.get(DEPLOYMENTS, name, model.namespace)
    return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]
