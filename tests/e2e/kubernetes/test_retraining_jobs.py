"""Jobs for retrainings on a real API server: one at a time, none within the cool-down, and one for a rollout however often it asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from canario.adapters.kubernetes_api import CRON_JOBS, EVENTS, JOBS, Object
from canario.model.deployment import RetrainingWish
from canario.model.retraining import Trigger
from canario.platforms.kubernetes.asking import AGAIN_SECONDS, RetrainingAsked
from canario.platforms.kubernetes.events import Teller
from canario.platforms.kubernetes.jobs import COOL_DOWN_ANNOTATION, AlertsTaken, RetrainingJobs
from canario.platforms.kubernetes.naming import COMPONENT_LABEL, MODEL_LABEL, RETRAINING, retraining_object
from canario.retraining.alerts import Call
from canario.retraining.receiver import receiver
from tests.e2e.kubernetes.room import MODEL, Room, a_room

NAME = retraining_object(MODEL)
LABELS = {MODEL_LABEL: MODEL, COMPONENT_LABEL: RETRAINING}


def cron_job(cool_down_seconds: int) -> Object:
    """A CronJob as the chart makes it, of an image that nobody has."""
    container = {
        "name": "retraining",
        "image": "localhost/nothing:none",
        "imagePullPolicy": "Never",
        "args": ["retrain"],
    }
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": CRON_JOBS.api_version,
        "kind": CRON_JOBS.kind,
        "metadata": {"name": NAME, "annotations": {COOL_DOWN_ANNOTATION: str(cool_down_seconds)}},
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": True,
            "jobTemplate": {
                "metadata": {"labels": LABELS},
                "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": LABELS}, "spec": pod}},
            },
        },
    }


@pytest.fixture
def room() -> Iterator[Room]:
    with a_room() as one:
        yield one


def made(room: Room) -> list[Object]:
    return room.api.list(JOBS)[0]


def alert(room: Room) -> Call:
    return Call(model=MODEL, namespace=room.namespace, trigger=Trigger.ALERT, reason="recall is 54 %")


def test_one_at_a_time(room: Room) -> None:
    """An alert gets a Job of the CronJob's own making; while it runs nobody gets another, and it goes with the CronJob."""
    room.api.create(CRON_JOBS, cron_job(0))
    jobs = RetrainingJobs(room.api)
    assert jobs.ask(alert(room), time.time()) == ""
    (job,) = made(room)
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("CronJob", NAME, True)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][:1] == ["retrain"]
    assert f"one is under way: job/{job['metadata']['name']}" in jobs.ask(alert(room), time.time())


def test_two_who_ask_at_once_get_one(room: Room) -> None:
    """Two controllers, or two Alertmanagers: the name of the next Job follows from the last one, so the second finds it made."""
    room.api.create(CRON_JOBS, cron_job(0))
    answers: list[str] = []
    askers = [
        threading.Thread(
            target=lambda: answers.append(RetrainingJobs(room.another_api()).ask(alert(room), time.time()))
        )
        for _ in range(6)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert answers.count("") == 1
    assert len(made(room)) == 1


def test_a_cool_down_is_kept(room: Room) -> None:
    """So soon after the last one there is none, also when that one is over; afterwards there is."""
    room.api.create(CRON_JOBS, cron_job(3600))
    jobs = RetrainingJobs(room.api)
    assert jobs.ask(alert(room), time.time()) == ""
    (job,) = made(room)
    say_failed(room, job)
    assert "the cool-down goes on" in jobs.ask(alert(room), time.time())
    assert jobs.ask(alert(room), time.time() + 3700) == ""
    assert len(made(room)) == 2


def say_failed(room: Room, job: Object) -> None:
    """What the cluster says of a Job that has ended."""
    room.api._json(
        "PATCH",
        f"/apis/batch/v1/namespaces/{room.namespace}/jobs/{job['metadata']['name']}/status",
        {"status": failed_now(room.api.get(JOBS, job["metadata"]["name"]) or job)},
        content_type="application/merge-patch+json",
    )


def failed_now(job: Object) -> Object:
    """A status that the API server takes; when a Job has begun, it never takes back."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    common = {"status": "True", "reason": "ended", "lastProbeTime": now, "lastTransitionTime": now}
    conditions = [{"type": "FailureTarget", **common}, {"type": "Failed", **common}]
    began = (job.get("status") or {}).get("startTime", now)
    return {"conditions": conditions, "active": 0, "failed": 1, "ready": 0, "terminating": 0, "startTime": began}


def test_a_rollout_is_answered_once(room: Room) -> None:
    """A rollout whose versions both failed asks at every turn of the controller, and gets one Job."""
    room.api.create(CRON_JOBS, cron_job(0))
    jobs = RetrainingJobs(room.api)
    call = Call(model=MODEL, namespace=room.namespace, trigger=Trigger.ROLLOUT, reason="both fail", wish="fraud-7")
    assert jobs.ask(call, time.time()) == ""
    assert jobs.ask(call, time.time()) == "it was asked for already"
    (job,) = made(room)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == ["--wish", "fraud-7"]


def test_a_rollout_s_wish_is_granted_when_it_can_be_and_told(room: Room) -> None:
    """While another retraining runs the wish waits, which is told once; when that is over it gets its Job, and no other follows."""
    room.api.create(CRON_JOBS, cron_job(0))
    jobs = RetrainingJobs(room.api)
    assert jobs.ask(alert(room), time.time()) == ""
    (other,) = made(room)
    asked = RetrainingAsked(jobs, Teller(room.api, "test"), room.namespace, MODEL)
    now = time.time()
    wish = RetrainingWish(rollout="fraud-7", reason="both miss 45 % of the frauds", at_seconds=now)
    for turn in range(3):
        asked.follow(room.resource, wish, now + turn * AGAIN_SECONDS)
    assert [job["metadata"]["name"] for job in made(room)] == [other["metadata"]["name"]]
    assert reasons(room) == ["RetrainingWaits"]
    say_failed(room, other)
    for turn in range(3, 6):
        asked.follow(room.resource, wish, now + turn * AGAIN_SECONDS)
    assert len(made(room)) == 2
    assert sorted(reasons(room)) == ["RetrainingStarted", "RetrainingWaits"]


def test_where_nobody_retrains_a_wish_is_only_told(room: Room) -> None:
    """A controller without the right to make Jobs says what would give it."""
    asked = RetrainingAsked(None, Teller(room.api, "test"), room.namespace, MODEL)
    wish = RetrainingWish(rollout="fraud-7", reason="both miss 45 % of the frauds", at_seconds=time.time())
    asked.follow(room.resource, wish, time.time())
    assert reasons(room) == ["RetrainingWaits"]
    assert made(room) == []


def reasons(room: Room) -> list[str]:
    """The events that tell of retrainings."""
    return [each["reason"] for each in room.api.list(EVENTS)[0] if each["reason"].startswith("Retraining")]


def test_without_a_cron_job_the_answer_says_what_is_missing(room: Room) -> None:
    """Whoever forgot to switch retraining on reads it where the alert went."""
    assert "retraining.enabled" in RetrainingJobs(room.api).ask(alert(room), time.time())


def test_an_alertmanager_is_answered(room: Room) -> None:
    """A webhook of version 4 makes a Job for what fires and asks for it; other namespaces and resolved alerts get none."""
    room.api.create(CRON_JOBS, cron_job(0))
    server = receiver(AlertsTaken(RetrainingJobs(room.api), [room.namespace]), 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    labels = {"alertname": "CanarioDegradation", "answer": "retrain", "model": MODEL}
    alerts = [
        {
            "status": "firing",
            "labels": labels | {"namespace": room.namespace},
            "annotations": {"summary": "recall fell"},
        },
        {"status": "firing", "labels": labels | {"namespace": "elsewhere"}, "annotations": {}},
        {"status": "resolved", "labels": labels | {"namespace": room.namespace, "model": "loan"}, "annotations": {}},
    ]
    try:
        answer = httpx.post(
            f"http://127.0.0.1:{server.server_port}/alerts", json={"version": "4", "alerts": alerts}, timeout=20
        )
    finally:
        server.shutdown()
        server.server_close()
    assert answer.status_code == httpx.codes.ACCEPTED
    assert answer.json() == {
        f"{room.namespace}/{MODEL}": "a Job was made",
        f"elsewhere/{MODEL}": "this controller does not steer that namespace",
    }
    (job,) = made(room)
    assert "recall fell" in " ".join(job["spec"]["template"]["spec"]["containers"][0]["args"])
