"""Kill whoever keeps feedback at random moments, by SIGKILL, and count what is left: `python benchmarks/kill_feedback.py --keeper postgres`.

Servers answer and log (and ship their logs, where the keeper is a database), tellers send truths that come late, early,
doubled, changed and for ids that nobody was given, a joiner joins all the while. Each of them is killed again and again,
the database too; each begins again where it last had an acknowledgement, and so does some things twice. In the end every
label must have been counted once: by version labelled, wrong, positives and missed are those of a recount of the plan.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from canario.adapters.homes import predictions_folder
from canario.errors import CanarioError
from canario.feedback.log import PredictionLog
from canario.feedback.opening import open_history, open_truths
from canario.feedback.settings import URL_VARIABLE
from canario.feedback.shipping import LogShipper
from canario.model.card import Label, Task
from canario.model.feedback import Feedback, LabelCounts, Prediction, prediction_id

if TYPE_CHECKING:
    from canario.model.feedback import LabelledPrediction
    from tests.feedback.postgres_server import PostgresServer

LABEL = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
MODEL = "fraud"
VERSIONS = ("v1", "v2")
ROWS_A_REQUEST = 5
TELLERS = SERVERS = 2
PIECE_TRUTHS = 50
LONGEST_SETTLE_SECONDS = 600.0
BEGAN_AT_SECONDS = float(int(time.time()) // 86400 * 86400 - 2 * 86400)
"""When the first answer was given: two days ago, so that nothing is too old to be kept."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is played; each process works it out for itself."""

    seed: int
    predictions: int
    seconds: float

    def prediction(self, number: int) -> Prediction:
        """What a server answered."""
        chance = random.Random(f"{self.seed}-{number // ROWS_A_REQUEST}")
        version = VERSIONS[chance.random() < 0.3]
        chance = random.Random(f"{self.seed}.{number}")
        label, request = LABEL.classes[chance.random() < 0.2], f"r{number // ROWS_A_REQUEST}"
        return Prediction(
            prediction=prediction_id(version, request, number % ROWS_A_REQUEST),
            request=request,
            row=number % ROWS_A_REQUEST,
            model=MODEL,
            version=version,
            at_seconds=BEGAN_AT_SECONDS + number * 0.5,
            label=label,
            score=chance.random(),
            shadow=False,
            values={"amount": number / 7, "word": f"w{number}"},
        )

    def truths(self, number: int) -> list[str]:
        """What is said of it, in that order: nothing, once, twice, or another thing later."""
        chance = random.Random(f"{self.seed}/{number}")
        if chance.random() < 0.1:
            return []
        first = LABEL.classes[chance.random() < 0.25]
        said = [first] * (2 if chance.random() < 0.1 else 1)
        if chance.random() < 0.05:
            said.append(LABEL.classes[first == LABEL.classes[0]])
        return said

    @property
    def unknown(self) -> int:
        """How many truths are for ids that nobody was given."""
        return self.predictions // 50

    def sendings(self, teller: int) -> list[tuple[str, str]]:
        """What one teller sends: in any order, but what is said of one prediction in its own."""
        chance = random.Random(f"{self.seed} {teller}")
        placed: list[tuple[float, str, str]] = []
        for number in range(teller, self.predictions, TELLERS):
            said = self.truths(number)
            name = self.prediction(number).prediction
            placed += zip(sorted(chance.random() for _ in said), [name] * len(said), said, strict=True)
        placed += [(chance.random(), f"v1.never-{teller}-{n}.0", "fraud") for n in range(self.unknown // TELLERS)]
        return [(name, truth) for _, name, truth in sorted(placed)]

    def expected(self) -> tuple[dict[str, LabelCounts], Counter[str], dict[str, str]]:
        """By version: counts by first truths and predictions; by prediction: the truth that holds in the end."""
        counts: defaultdict[str, LabelCounts] = defaultdict(LabelCounts)
        answered: Counter[str] = Counter()
        holds = {}
        for number in range(self.predictions):
            prediction, said = self.prediction(number), self.truths(number)
            answered[prediction.version] += 1
            if said:
                is_positive, is_wrong = said[0] == LABEL.classes[1], said[0] != prediction.label
                known = counts[prediction.version]
                counts[prediction.version] = replace(
                    known,
                    labelled=known.labelled + 1,
                    wrong=known.wrong + is_wrong,
                    positives=known.positives + is_positive,
                    missed=known.missed + (is_positive and is_wrong),
                )
                holds[prediction.prediction] = said[-1]
        return dict(counts), answered, holds


class Progress:
    """How far a process has come, for the one that takes its place."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def read(self) -> int:
        content = os.pread(self._descriptor, 8, 0)
        return int(struct.unpack("<q", content)[0]) if len(content) == 8 else 0

    def write(self, done: int) -> None:
        os.pwrite(self._descriptor, struct.pack("<q", done), 0)


def paced(began_at: float, done: float, seconds: float) -> None:
    """Wait until as much of the time has passed as of the work, so that kills meet all of it."""
    time.sleep(max(0.0, min(0.5, done * seconds - (time.time() - began_at))))


def serve(scene: Scene, server: int, folder: Path, began_at: float) -> None:
    """Answer this server's requests, logging and shipping."""
    progress = Progress(folder / f"server-{server}.done")
    log, url = PredictionLog(predictions_folder(MODEL)), os.environ.get(URL_VARIABLE, "")
    shipper = LogShipper(url, MODEL, LABEL, predictions_folder(MODEL), f"pod-{server}") if url else None
    if shipper is not None:
        shipper.start()
    requests = range(server, -(-scene.predictions // ROWS_A_REQUEST), SERVERS)
    for place in range(progress.read(), len(requests)):
        first = requests[place] * ROWS_A_REQUEST
        rows = range(first, min(first + ROWS_A_REQUEST, scene.predictions))
        log.append([scene.prediction(number) for number in rows])
        progress.write(place + 1)
        paced(began_at, place / len(requests), scene.seconds)
    while shipper is not None:
        try:
            if not shipper.ship():
                break
        except CanarioError:
            time.sleep(0.2)


def tell(scene: Scene, teller: int, folder: Path, began_at: float) -> None:
    """Send this teller's truths, each piece until it is acknowledged."""
    progress, truths = Progress(folder / f"teller-{teller}.done"), open_truths(MODEL)
    sendings = scene.sendings(teller)
    place = progress.read()
    while place < len(sendings):
        now = BEGAN_AT_SECONDS + 86400
        piece = [
            Feedback(prediction=name, truth=truth, at_seconds=now)
            for name, truth in sendings[place : place + PIECE_TRUTHS]
        ]
        try:
            truths.add_many(piece)
        except CanarioError:
            time.sleep(0.2)
            continue
        place += len(piece)
        progress.write(place)
        paced(began_at, place / len(sendings), scene.seconds)


def join(folder: Path) -> None:
    """Join all the while, and see that no count ever falls, over all joiners."""
    history, path = open_history(MODEL, LABEL), folder / "counts.json"
    while True:
        try:
            counts = history.counts()
        except CanarioError:
            time.sleep(0.1)
            continue
        present = {
            version: [each.labelled, each.wrong, each.positives, each.missed] for version, each in counts.items()
        }
        before = json.loads(path.read_text()) if path.exists() else {}
        for version, known in before.items():
            if any(a < b for a, b in zip(present.get(version, [0] * 4), known, strict=True)):
                (folder / "fallen").write_text(f"{known} became {present.get(version)}")
        staged = path.with_suffix(".new")
        staged.write_text(json.dumps(present))
        staged.replace(path)
        time.sleep(0.05)


class Play:
    """The processes and their killer."""

    def __init__(self, scene: Scene, folder: Path, url: str) -> None:
        self.scene, self.folder, self.url = scene, folder, url
        self.began_at = time.time()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills: Counter[str] = Counter()

    def environment(self, name: str) -> dict[str, str]:
        """Where a process has its files: with a database each server is a pod of its own."""
        home = self.folder / name if self.url and name.startswith("server") else self.folder / "home"
        return {**os.environ, "CANARIO_HOME": str(home), **({URL_VARIABLE: self.url} if self.url else {})}

    def start(self, name: str) -> None:
        arguments = [str(self.scene.seed), str(self.scene.predictions), str(self.scene.seconds), str(self.folder)]
        self.running[name] = subprocess.Popen(
            [sys.executable, __file__, "--act", name, *arguments, str(self.began_at)], env=self.environment(name)
        )

    def names(self) -> list[str]:
        return [f"server-{n}" for n in range(SERVERS)] + [f"teller-{n}" for n in range(TELLERS)] + ["joiner-0"]

    def kill(self, name: str) -> None:
        """Kill one and let another take its place."""
        process = self.running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.kills[name.partition("-")[0]] += 1
            self.start(name)

    def are_done(self) -> bool:
        """Whether servers and tellers have done everything."""
        workers = [process for name, process in self.running.items() if not name.startswith("joiner")]
        failed = [process.args for process in workers if process.poll() not in (None, 0)]
        assert not failed, failed
        return all(process.poll() == 0 for process in workers)

    def end(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


def play(scene: Scene, keeper: str, kills: int) -> bool:
    """Play it all; whether every label was counted once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if keeper == "files":
            return _played(Play(scene, folder, ""), kills, None)
        from tests.feedback.postgres_server import PostgresServer

        server = PostgresServer()
        server.start()
        try:
            return _played(Play(scene, folder, server.url), kills, server)
        finally:
            server.stop()


def _played(stage: Play, kills: int, database: PostgresServer | None) -> bool:
    scene, chance = stage.scene, random.Random(stage.scene.seed)
    os.environ.update(stage.environment("home"))
    moments = sorted(chance.uniform(0.02, 1.0) * scene.seconds for _ in range(kills))
    try:
        for name in stage.names():
            stage.start(name)
        for moment in moments:
            time.sleep(max(0.0, stage.began_at + moment - time.time()))
            victim = chance.choice([*stage.names(), *(["database"] if database else [])])
            if victim == "database" and database is not None:
                database.kill()
                database.start()
                stage.kills["database"] += 1
            else:
                stage.kill(victim)
        while not stage.are_done():
            time.sleep(0.1)
        played_seconds = time.time() - stage.began_at
        return _is_right(stage, played_seconds)
    finally:
        stage.end()


def _is_right(stage: Play, played_seconds: float) -> bool:
    """Compare everything that is known with the plan, once it has settled, and print it."""
    scene, began = stage.scene, time.monotonic()
    counts, answered, holds = scene.expected()
    history = open_history(MODEL, LABEL)
    while True:
        found = dict(history.counts())
        unmatched = history.unmatched()
        is_settled = found == counts and unmatched.truths == scene.unknown // TELLERS * TELLERS
        if is_settled or time.monotonic() - began > LONGEST_SETTLE_SECONDS:
            break
        time.sleep(0.2)
    settled_seconds = time.monotonic() - began
    history.catch_up()
    labelled = list(history.labelled(0.0, 1e11))
    cohorts = history.cohorts(0.0, 1e11)
    fallen = stage.folder / "fallen"
    sent = sum(len(scene.sendings(teller)) for teller in range(TELLERS))
    checks = {
        "every label once, by version": found == counts,
        "every answer once, by version": dict(history.predictions()) == dict(answered),
        "unknown ids apart": unmatched.truths == scene.unknown // TELLERS * TELLERS,
        "the truth that holds": {each.prediction: each.truth for each in labelled} == holds
        and len(labelled) == len(holds),
        "rows as they were answered": all(
            each.values == {"amount": n / 7, "word": f"w{n}"} for each, n in _numbered(scene, labelled)
        ),
        "sums by cohort": sum(each.tally.labelled for each in cohorts) == len(holds)
        and sum(each.predictions for each in cohorts) == scene.predictions,
        "no count fell": not fallen.exists(),
    }
    history.close()
    print(
        f"{scene.predictions:,} predictions, {sent:,} truths sent ({scene.unknown:,} for unknown ids), seed {scene.seed}"
    )
    print(f"killed: {dict(stage.kills)}; played in {played_seconds:.0f} s, settled {settled_seconds:.1f} s later")
    for version, each in sorted(found.items()):
        print(f"{version}: {each}")
    for check, is_so in checks.items():
        print(f"{'yes' if is_so else 'NO '}  {check}")
    return all(checks.values())


def _numbered(scene: Scene, labelled: list[LabelledPrediction]) -> Iterator[tuple[LabelledPrediction, int]]:
    for each in labelled:
        number = round((each.at_seconds - BEGAN_AT_SECONDS) / 0.5)
        assert scene.prediction(number).prediction == each.prediction
        yield each, number


def act(words: list[str]) -> None:
    """What a process of the play does."""
    name, seed, predictions, seconds, folder, began_at = words
    scene, place = Scene(int(seed), int(predictions), float(seconds)), int(name.partition("-")[2])
    if name.startswith("server"):
        serve(scene, place, Path(folder), float(began_at))
    elif name.startswith("teller"):
        tell(scene, place, Path(folder), float(began_at))
    else:
        join(Path(folder))


def main() -> int:
    """Play once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keeper", choices=["files", "postgres"], default="files")
    parser.add_argument("--predictions", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long answering and telling take")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--act", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.act:
        act(arguments.act)
        return 0
    scene = Scene(arguments.seed, arguments.predictions, arguments.seconds)
    return 0 if play(scene, arguments.keeper, arguments.kills) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
