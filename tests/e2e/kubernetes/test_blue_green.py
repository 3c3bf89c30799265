"""Blue-green on a real cluster: a preview for those who ask for it, one switch, and one switch back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from canario.model.rollout import Phase
from demo.rows import sample_rows
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import blue_green

HEADER = "x-canario-version"


def test_a_preview_is_switched_to_at_once_while_pods_are_deleted(v1_answers: Model) -> None:
    """Only those who name the new version get it, until it has proved itself; then everybody does, in one step."""
    model, good = v1_answers, v1_answers.fresh("v2")
    with model.traffic() as others:
        model.upgrade(good, blue_green())
        model.wait_for(Phase.STEPPING)
        model.killer.delete(model.killer.pods(component="router")[-1])
        model.killer.kill(model.killer.pods(component="server", version="v1")[0])
        assert set(others.tally.by_version) == {"v1"}
        with preview(model, good) as seen:
            end = model.the_end(good)
    assert end["phase"] == Phase.PROMOTED
    assert set(seen) == {(200, "v2")}, seen
    assert model.status()["stable"] == good
    states = [entry.after for entry in model.assert_whole_journal() if entry.after.candidate == good]
    weights = {state.asked.weight_percent for state in states if state.asked}
    assert weights <= {0, 100}


def test_a_preview_that_fails_is_never_switched_to(at_rest: Model) -> None:
    """Those who try a useless version see it fail, nobody else does, and it is thrown back."""
    model, bad = at_rest, at_rest.fresh("v4")
    with model.traffic() as others:
        model.upgrade(bad, blue_green())
        model.wait_for(Phase.STEPPING)
        with preview(model, bad) as seen:
            end = model.the_end(bad)
    assert end["phase"] == Phase.ROLLED_BACK
    assert "errors" in end["reason"]
    assert (500, "") in seen
    assert "v4" not in others.tally.by_version


def test_going_back_in_the_watch_is_one_switch(at_rest: Model) -> None:
    """The old servers stay warm while the new version is watched, so that going back takes no start."""
    model, good, stable = at_rest, at_rest.fresh("v2"), at_rest.stable
    plan = blue_green()
    plan["watch"] = {"seconds": 300, "errorPercent": 50, "slowPercent": 100}
    with model.traffic():
        model.upgrade(good, plan)
        model.wait_for(Phase.STEPPING)
        with preview(model, good):
            model.wait_for(Phase.WATCHING)
        assert len(model.killer.pods(component="server", version=stable)) == 2
        model.wish("abort", reason="it looked wrong")
        end = model.the_end(good)
    assert end["phase"] == Phase.ROLLED_BACK
    assert model.stable == stable


@contextmanager
def preview(model: Model, version: str) -> Iterator[Counter[tuple[int, str]]]:
    """Somebody who names the version in a header, again and again; what they saw, by status and version.

    They go by what the Service says now, and try again when their router has just gone.
    """
    ending, seen, target = threading.Event(), Counter[tuple[int, str]](), model.target
    row = sample_rows(model.name, most=1)

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=20) as client:
            while not ending.wait(0.02):
                answer = client.post(f"http://{target}/predict", json={"rows": row}, headers={HEADER: version})
                told = answer.json().get("version", "") if answer.status_code == httpx.codes.OK else ""
                seen[answer.status_code, told] += 1

    asking = threading.Thread(target=ask, name="preview")
    asking.start()
    try:
        yield seen
    finally:
        ending.set()
        asking.join()
