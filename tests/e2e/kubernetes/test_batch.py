"""Rows on a schedule on a real cluster: pods that die cost no row, a run takes what is stable when it begins, and a bad partition fails alone."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from canario.adapters.kubernetes_api import CRON_JOBS, JOBS, PODS, Object
from canario.model.rollout import Phase
from canario.platforms.kubernetes.batch_objects import JOB_LABEL
from canario.platforms.kubernetes.batch_status import INDEX_LABEL
from tests.cluster import model_images
from tests.cluster.cluster import Cluster
from tests.e2e.kubernetes.archives import CLAIM, Archives
from tests.e2e.kubernetes.batch_rows import manifest, score_here, version_of_pod, write_rows, written
from tests.e2e.kubernetes.controller import Controller
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.model import SMALL, Model
from tests.e2e.kubernetes.plans import canary
from tests.e2e.kubernetes.test_canary import canario
from tests.serving.metric_text import of, series_of

PARTITIONS, ROWS_A_FILE, ROWS_A_PART = 8, 60_000, 1_000
BAD_EVERY = 500
KILLS = 6
DATA = "data"
pytestmark = pytest.mark.timeout(300)


@dataclass
class Batch:
    """The schedules of the shared model, and the volume with their rows."""

    model: Model
    folder: Path
    image: str

    def schedule(self, name: str, source: str, partitions: int, **words: object) -> Object:
        return {
            "name": name,
            "input": source,
            "output": f"scores/{name}",
            "claim": DATA,
            "partitions": partitions,
            "parallelism": 4,
            "image": self.image,
            "resources": SMALL,
            **words,
        }

    def run_now(self, schedule: str, job: str) -> str:
        """The line of the notes; the run's name."""
        name = f"fraud-score-{schedule}"
        until(lambda: self.model.kube.get(CRON_JOBS, name, self.model.namespace), "the controller's CronJob", 30)
        self.model.kubectl("create", "job", f"--from=cronjob/{name}", f"{name}-{job}")
        return f"{name}-{job}"

    def end_of(self, job: str, seconds: float = 150) -> Object:
        """The Job, once it has ended."""

        def ended() -> Object | None:
            found = self.model.kube.get(JOBS, job, self.model.namespace) or {}
            conditions = (found.get("status") or {}).get("conditions") or []
            is_over = any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)
            return found if is_over else None

        found: Object = until(ended, f"the end of {job}", seconds, lambda: self.told(job))
        return found

    def pods(self, job: str) -> list[Object]:
        """The pods of a run that run now and that nobody has deleted yet."""
        found, _ = self.model.kube.api.list(PODS, self.model.namespace, f"{JOB_LABEL}={job}")
        return [
            pod
            for pod in found
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    def last_run(self, schedule: str) -> Object:
        """The newest run of a schedule as the model's status tells it."""
        told = {each["name"]: each for each in self.model.status().get("batch") or []}
        runs = told.get(schedule, {}).get("runs") or [{}]
        return dict(runs[0])

    def wait_told(self, schedule: str, job: str, phase: str) -> Object:
        """The run in the status, once it is told to be in a phase."""

        def told() -> Object | None:
            run = self.last_run(schedule)
            return run if (run.get("job"), run.get("phase")) == (job, phase) else None

        found: Object = until(told, f"{job} to be told {phase}", 30, lambda: self.last_run(schedule))
        return found

    def told(self, job: str) -> str:
        found, _ = self.model.kube.api.list(PODS, self.model.namespace, f"{JOB_LABEL}={job}")
        states = {pod["metadata"]["name"]: pod["status"].get("containerStatuses") for pod in found}
        return json.dumps(
            {"status": (self.model.kube.get(JOBS, job, self.model.namespace) or {}).get("status"), **states}
        )[:3000]

    def output(self, schedule: str, job: str) -> Path:
        return self.folder / "scores" / schedule / job


@pytest.fixture(scope="module")
def batch(
    model: Model, kube: Kube, cluster: Cluster, models_namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Batch]:
    """A volume with rows, the trainer's image, and no schedule yet."""
    image = model_images.trainer_image()
    cluster.load(image)
    volume = Archives(kube, models_namespace, tmp_path_factory.mktemp("batch") / "data", DATA)
    volume.make()
    (volume.folder / "scores").mkdir()
    (volume.folder / "scores").chmod(0o777)
    yield Batch(model, volume.folder, image)
    # A claim is not removed while there are pods of it, also such as have ended: they go with their schedule.
    model.kubectl("patch", f"mdep/{model.name}", "--type=merge", "--patch", '{"spec": {"batch": null}}')
    volume.remove()


def test_a_run_over_eight_partitions_outlives_its_pods(
    at_rest: Model, batch: Batch, tmp_path: Path, report: Callable[[str], None]
) -> None:
    """Pods deleted and killed at random moments: every row is answered once, to the byte as in an undisturbed run here, rejects too."""
    model, seed = at_rest, random.SystemRandom().randrange(2**32)
    report(f"seed of the kills: {seed}")
    bad = write_rows(batch.folder / "rows", PARTITIONS, ROWS_A_FILE, BAD_EVERY)
    schedule = batch.schedule("weekly", "rows", PARTITIONS, rowsAPart=ROWS_A_PART)
    model.upgrade(model.stable, canary(), batch=[schedule])
    began = time.monotonic()
    job = batch.run_now("weekly", "killed")
    killed = kill_some(batch, job, random.Random(seed))
    ended = batch.end_of(job)
    report(f"{len(killed)} pods ended by force ({killed}), the run took {time.monotonic() - began:.0f} s")
    assert len(killed) >= KILLS // 2, "the run was over too soon to prove anything"
    assert ended["status"]["completedIndexes"] == f"0-{PARTITIONS - 1}"
    server = model.killer.pods(model=model.name, component="server", version=model.stable)[0]
    version = version_of_pod(model.kube, server["metadata"]["name"], model.namespace, tmp_path)
    here = score_here(version, batch.folder / "rows", tmp_path / "here", PARTITIONS, f"--rows-a-part={ROWS_A_PART}")
    there = batch.output("weekly", job)
    assert written(there) == written(here)
    told = [manifest(there / f"index-{index}") for index in range(PARTITIONS)]
    assert sum(each.rows for each in told) == PARTITIONS * ROWS_A_FILE
    assert sum(each.rejected for each in told) == bad
    run = batch.wait_told("weekly", job, "complete")
    assert (run["version"], run["completed"], run["indexes"]) == (model.stable, PARTITIONS, PARTITIONS)
    assert model.condition("Batch")["status"] == "True"
    assert f"{PARTITIONS} of {PARTITIONS}" in canario(model, "status", model.name)


def kill_some(batch: Batch, job: str, random_: random.Random) -> list[str]:
    """End running pods at random moments, each partition once: deleted as a drained node does, or killed outright."""
    ways = ["killed", "deleted"] * (KILLS // 2)
    random_.shuffle(ways)
    killed: list[str] = []
    indexes: set[str] = set()
    ended = time.monotonic() + 90
    while len(killed) < KILLS and time.monotonic() < ended:
        time.sleep(random_.uniform(0.05, 0.4))
        running = [pod for pod in batch.pods(job) if pod["metadata"]["labels"][INDEX_LABEL] not in indexes]
        if not running:
            status = (batch.model.kube.get(JOBS, job, batch.model.namespace) or {}).get("status") or {}
            if status.get("conditions"):
                break
            continue
        pod = random_.choice(running)
        index = pod["metadata"]["labels"][INDEX_LABEL]
        parts = len(list(batch.output("weekly", job).glob(f"index-{index}/part-*")))
        # A pod that has barely begun proves less than one in the middle of its rows: two of three are of that kind.
        if parts == 0 and (len(killed) % 3 or random_.random() < 0.8):
            continue
        way = ways[len(killed)]
        if way == "killed":
            batch.model.killer.kill(pod)
        else:
            batch.model.killer.delete(pod)
        indexes.add(index)
        killed.append(f"index {index} {way} after {parts} parts")
    return killed


def test_the_next_run_takes_what_is_stable_then_and_a_bad_partition_fails_alone(
    at_rest: Model,
    batch: Batch,
    controller: Controller,
    kube: Kube,
    models_namespace: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """After a promotion to an archive a run answers with it; a file that is cut off, and rows that do not fit, fail their index, at once, with the reason."""
    model, earlier = at_rest, at_rest.stable
    rows = batch.folder / "mixed"
    write_rows(rows, 4, 500)
    cut = rows / "part-2.parquet"
    cut.write_bytes(cut.read_bytes()[:-2000])
    write_rows(batch.folder / "misfits", 1, 500, bad_every=10)
    (batch.folder / "misfits" / "part-0.parquet").replace(rows / "part-3.parquet")
    archives = Archives(kube, models_namespace, tmp_path_factory.mktemp("archives") / "volume")
    archives.make()
    try:
        place = archives.train("a1", "2026-08-31")
        with model.traffic():
            schedule = batch.schedule("mixed", "mixed", 4, keep=["id", "amount"])
            model.upgrade(
                "a1", canary(), image="localhost/fraud:v1", archive=place, archivesClaim=CLAIM, batch=[schedule]
            )
            assert batch_version(model) in ("", earlier), "a candidate is not what is stable"
            end = model.the_end("a1")
            assert end["phase"] == Phase.PROMOTED, end["reason"]
        until(lambda: batch_version(model) == "a1", "the schedule to follow the promotion", 30)
        job = batch.run_now("mixed", "after")
        ended = batch.end_of(job)
        assert (ended["status"]["completedIndexes"], ended["status"]["failedIndexes"]) == ("0,1", "2,3")
        assert ended["status"]["failed"] == 2, "what nothing mends was tried again"
        told = [manifest(batch.output("mixed", job) / f"index-{index}") for index in (0, 1)]
        assert {(each.version, each.digest) for each in told} == {("a1", place.partition("#")[2])}
        assert [each.answered for each in told] == [500, 500]
        run = batch.wait_told("mixed", job, "failed")
        assert (run["version"], run["completed"], run["failedIndexes"]) == ("a1", 2, "2,3")
        cut_off, misfits = run["reasons"]
        assert cut_off.startswith("index 2: part-2.parquet")
        assert misfits.startswith("index 3: 50 of 500 rows do not fit the card")
        assert "part-2.parquet" in model.condition("Batch")["message"]
        words = {"model": model.name, "schedule": "mixed", "outcome": "failed"}
        ended_at = datetime.fromisoformat(run["endedAt"]).timestamp()
        assert of(series_of(controller.metrics()), "canario_batch_run_timestamp_seconds", **words) == ended_at
    finally:
        model.settle(earlier)
        archives.remove()


def batch_version(model: Model) -> str:
    """The version that the next run would take, as the CronJob has it."""
    found = model.kube.get(CRON_JOBS, "fraud-score-mixed", model.namespace) or {}
    template = (found.get("spec") or {}).get("jobTemplate") or {}
    return str(((template.get("metadata") or {}).get("labels") or {}).get("canario.dev/version", ""))
