"""The join against a naive recomputation: any order, doubling, tearing and restarting gives the same counts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canario.adapters.homes import feedback_file, predictions_folder
from canario.feedback import join as join_room
from canario.feedback.join import Joiner
from canario.feedback.store import FeedbackStore
from canario.model.card import Label, Task
from canario.model.feedback import Feedback, Prediction, prediction_id

VERSIONS = ("v1", "v2.1", "v3")
OUTCOME = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
AMOUNT = Label(name="amount", task=Task.REGRESSION, tolerance_percent=20.0)


@dataclass(frozen=True)
class Write:
    """One line, to one of the servers' logs."""

    server: int
    version: str
    request: int
    row: int
    shadow: bool
    torn: bool
    """Whether the line is cut short for now; the server's next line completes it first."""


@dataclass(frozen=True)
class Tell:
    """One truth."""

    version: str
    request: int
    row: int
    truth: int


@dataclass(frozen=True)
class Look:
    """One question to the joiner, a new one perhaps."""

    restart: bool


WRITES = st.builds(
    Write,
    server=st.integers(0, 2),
    version=st.sampled_from(VERSIONS),
    request=st.integers(0, 3),
    row=st.integers(0, 1),
    shadow=st.booleans(),
    torn=st.sampled_from([False, False, False, True]),
)
TELLS = st.builds(
    Tell, version=st.sampled_from(VERSIONS), request=st.integers(0, 4), row=st.integers(0, 1), truth=st.integers(0, 1)
)
EVENTS = st.lists(WRITES | WRITES | TELLS | st.builds(Look, restart=st.booleans()), max_size=40)


def answer_of(label: Label, version: str, request: int, row: int) -> str | float:
    """What a version says about a row: always the same, as a model does."""
    figure = 5 * VERSIONS.index(version) + 3 * request + row
    return 100.0 + 10 * (figure % 6) if label.task is Task.REGRESSION else label.classes[figure % 2]


def truth_of(label: Label, truth: int) -> str | float:
    """One of two truths."""
    return (100.0, 125.0)[truth] if label.task is Task.REGRESSION else label.classes[truth]


def as_prediction(label: Label, write: Write) -> Prediction:
    """The line as a prediction."""
    answer = answer_of(label, write.version, write.request, write.row)
    return Prediction(
        prediction=prediction_id(write.version, str(write.request), write.row),
        request=str(write.request),
        row=write.row,
        model="m",
        version=write.version,
        at_seconds=1.0,
        label=answer,
        score=answer if isinstance(answer, float) else (0.25, 0.75)[label.classes.index(answer)],
        shadow=write.shadow,
        values={"x": 1.0},
    )


def is_other(label: Label, answer: str | float, reference: str | float) -> bool:
    """The card's own words: another class, or further away than the tolerance."""
    if label.task is Task.CLASSIFICATION:
        return answer != reference
    return abs(float(answer) - float(reference)) > 0.2 * abs(float(reference))


@dataclass
class World:
    """Three servers, their logs and the truths; and what a person with pen and paper would count."""

    label: Label
    torn: dict[int, bytes] = field(default_factory=dict)
    visible: list[Prediction] = field(default_factory=list)
    half_written: dict[int, Prediction] = field(default_factory=dict)
    truths: dict[str, str | float] = field(default_factory=dict)
    last_truths: dict[str, str | float] = field(default_factory=dict)

    def write(self, write: Write) -> None:
        """Append a line, or half of it."""
        predictions_folder("m").mkdir(parents=True, exist_ok=True)
        prediction = as_prediction(self.label, write)
        line = msgspec.json.encode(prediction) + b"\n"
        content = self.torn.pop(write.server, b"")
        if write.server in self.half_written:
            self.visible.append(self.half_written.pop(write.server))
        if write.torn:
            content, self.torn[write.server] = content + line[:40], line[40:]
            self.half_written[write.server] = prediction
        else:
            content += line
            self.visible.append(prediction)
        with (predictions_folder("m") / f"v-{write.server}-0.jsonl").open("ab") as stream:
            stream.write(content)

    def tell(self, store: FeedbackStore, tell: Tell) -> None:
        """Send a truth."""
        identity = prediction_id(tell.version, str(tell.request), tell.row)
        truth = truth_of(self.label, tell.truth)
        store.add(Feedback(prediction=identity, truth=truth, at_seconds=1.0))
        self.truths.setdefault(identity, truth)
        self.last_truths[identity] = truth

    def labelled(self) -> dict[str, tuple[str | float, str | float]]:
        """What users were answered, and what is known to be true now."""
        answers = {p.prediction: p.label for p in self.visible if not p.shadow}
        return {name: (answers[name], truth) for name, truth in self.last_truths.items() if name in answers}

    def counts(self) -> dict[str, tuple[int, int]]:
        """Labelled and wrong, by version, from the beginning."""
        answers = {p.prediction: p for p in self.visible if not p.shadow}
        counts = {}
        for version in {p.version for p in answers.values()}:
            labelled = [p for p in answers.values() if p.version == version and p.prediction in self.truths]
            wrong = [p for p in labelled if is_other(self.label, p.label, self.truths[p.prediction])]
            counts[version] = (len(labelled), len(wrong))
        return counts

    def comparison(self, stable: str, candidate: str) -> tuple[int, int, float]:
        """Pairs, flips and the sum of distances, from the beginning."""
        answers = {(p.request, p.row): p for p in self.visible if not p.shadow and p.version == stable}
        copies = {(p.request, p.row): p for p in self.visible if p.shadow and p.version == candidate}
        pairs = [(answers[key], copies[key]) for key in answers.keys() & copies.keys()]
        flips = [1 for answer, copy in pairs if is_other(self.label, copy.label, answer.label)]
        return len(pairs), len(flips), sum(abs(copy.score - answer.score) for answer, copy in pairs)


def play(events: Sequence[Write | Tell | Look], label: Label, looks_at_end: int) -> None:
    """Let it all happen, looking now and then, and compare the end."""
    world, store, joiner = World(label), FeedbackStore(feedback_file("m")), Joiner("m", label)
    before: dict[str, tuple[int, int]] = {}
    for event in events:
        match event:
            case Write():
                world.write(event)
            case Tell():
                world.tell(store, event)
            case Look(restart=restart):
                if restart:
                    joiner.close()
                    joiner = Joiner("m", label)
                now = dict(joiner.counts())
                for version, (labelled, wrong) in before.items():
                    assert now[version].labelled >= labelled
                    assert now[version].wrong >= wrong
                before = {version: (counts.labelled, counts.wrong) for version, counts in now.items()}
    for _ in range(looks_at_end):
        joiner.counts()
    assert {v: (each.labelled, each.wrong) for v, each in joiner.counts().items()} == world.counts()
    assert {each.prediction: (each.label, each.truth) for each in joiner.labelled(0.0, 10.0)} == world.labelled()
    cohorts = joiner.cohorts(0.0, 3600.0)
    for version, (labelled, _) in world.counts().items():
        (cohort,) = [each for each in cohorts if each.version == version]
        assert cohort.predictions == len({p.prediction for p in world.visible if p.version == version and not p.shadow})
        assert cohort.tally.labelled == labelled
        pairs = [each for name, each in world.labelled().items() if name.startswith(f"{version}.")]
        assert cohort.tally.right == sum(not is_other(label, answer, truth) for answer, truth in pairs)
    for stable in VERSIONS:
        for candidate in VERSIONS:
            found = joiner.comparison(stable, candidate)
            assert (found.pairs, found.flips, found.distance_sum) == pytest.approx(world.comparison(stable, candidate))
    joiner.close()
    store.close()


def in_a_new_home(run: Callable[[], None]) -> None:
    """Each example has a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARIO_HOME", str(Path(folder)))
        run()


@given(label=st.sampled_from([OUTCOME, AMOUNT]), events=EVENTS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_order_gives_the_same_counts(label: Label, events: list[Write | Tell | Look]) -> None:
    """Late labels, doubled lines, changed truths, torn writes and restarts: the counts are those of a recount."""
    in_a_new_home(lambda: play(events, label, looks_at_end=0))


@given(events=EVENTS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_order_in_small_pieces_gives_the_same_counts(events: list[Write | Tell | Look]) -> None:
    """However little one call may read, enough calls give the counts of a recount, and none ever falls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join_room, "LONGEST_READ_BYTES", 150)
        patch.setattr(join_room, "MOST_TRUTHS", 1)
        in_a_new_home(lambda: play(events, OUTCOME, looks_at_end=90))
