"""What `canario train` promises."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from canario.adapters.versions import REFERENCE_FILE, WARMUP_FILE, StoredVersion, find_version, prove, stored_versions
from canario.cli.commands.train import command as train_command
from canario.errors import Conflict, UsageError
from canario.kernel.columns import columns_from_frame
from canario.kernel.load import load_kernel
from canario.kernel.predictions import Predictions
from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.model.reference import Reference
from canario.model.version import Score
from canario.packaging.reference import reference_of
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, split_by_time, train

if TYPE_CHECKING:
    from tests.packaging.conftest import Small, Trained


def score(version: StoredVersion, name: str) -> Score:
    return next(each for each in version.record.scores if each.name == name)


def test_version_says_where_it_comes_from(trained: Trained) -> None:
    """A version records its rows, code, libraries, kernel, arguments and scores, and its bytes can be proved."""
    record = trained.fraud.record
    prove(trained.fraud)
    assert str(record.name) == "fraud:v1"
    assert record.digest.startswith("sha256:")
    assert record.data_digest.startswith("sha256:")
    assert len(record.code_commit.removesuffix("+changes")) == 12
    assert record.libraries.keys() >= {"python", "scikit-learn", "numpy", "onnxruntime"}
    assert record.kernel.reason
    assert record.estimator == "hist-gradient-boosting"
    assert record.training["first day"] == "2026-06-01"
    assert int(record.training["rows trained on"]) + int(record.training["rows scored on"]) == 4200


def test_scores_have_intervals_that_hold_them(trained: Trained) -> None:
    """Every score lies in its own 95 % interval and says on how many rows it was measured."""
    assert {each.name for each in trained.fraud.record.scores} == {
        "recall",
        "precision",
        "average precision",
        "ROC AUC",
        "Brier",
    }
    assert {each.name for each in trained.loan.record.scores} == {"within 20 %", "mean absolute error"}
    for each in (*trained.fraud.record.scores, *trained.loan.record.scores):
        assert each.low <= each.value <= each.high
        assert each.rows > 0
    assert score(trained.loan, "mean absolute error").unit == "EUR"


def test_later_rows_judge(fraud_rows: pd.DataFrame) -> None:
    """The rows that a version is scored on are later than every row that it was trained on."""
    earlier, later = split_by_time(fraud_rows)
    assert earlier["event_time"].max() <= later["event_time"].min()
    assert len(later) == round(4200 * 0.2)


def test_stored_kernel_scores_as_recorded(trained: Trained, fraud_rows: pd.DataFrame) -> None:
    """What the stored version answers is what its scores were measured on."""
    _, later = split_by_time(fraud_rows)
    answered = load_kernel(trained.fraud).predict(columns_from_frame(trained.fraud.card(), later)).labels
    frauds = later["outcome"].to_numpy() == "fraud"
    assert np.mean(answered[frauds] == "fraud") == pytest.approx(score(trained.fraud, "recall").value)


def test_reference_counts_every_row_once(trained: Trained) -> None:
    """The reference bins of each column add up to the rows trained on, empty values included."""
    reference = msgspec.json.decode((trained.fraud.folder / REFERENCE_FILE).read_bytes(), type=Reference)
    rows = int(trained.fraud.record.training["rows trained on"])
    assert list(reference.columns) == list(trained.fraud.card().column_names)
    assert {spread.rows for spread in reference.columns.values()} == {rows}
    assert reference.columns["distance_km"].nulls > 0
    assert reference.scores.rows == int(trained.fraud.record.training["rows scored on"])
    for spread in reference.columns.values():
        assert len(spread.counts) == (len(spread.words) or len(spread.edges) + 1)
        assert list(spread.edges) == sorted(set(spread.edges))


def test_reference_knows_the_truth_behind_the_scores(trained: Trained) -> None:
    """The threshold is an edge of the bins of scores, the frauds are counted in each, and columns have their weight."""
    version = trained.fraud
    reference = msgspec.json.decode((version.folder / REFERENCE_FILE).read_bytes(), type=Reference)
    assert version.card().label.threshold in reference.scores.edges
    assert len(reference.positives) == len(reference.scores.counts)
    assert all(found <= rows for found, rows in zip(reference.positives, reference.scores.counts, strict=True))
    answered = reference.scores.edges.index(version.card().label.threshold) + 1
    caught = sum(reference.positives[answered:]) / sum(reference.positives)
    assert caught == pytest.approx(score(version, "recall").value)
    assert list(reference.importances) == list(version.card().column_names)
    assert sum(reference.importances.values()) == pytest.approx(1)
    loan = msgspec.json.decode((trained.loan.folder / REFERENCE_FILE).read_bytes(), type=Reference)
    assert loan.positives == ()


def test_reference_knows_the_words_of_texts(trained: Trained) -> None:
    """A text column brings its words, and how rare a new one is among rows that nobody was trained on."""
    reference = msgspec.json.decode((trained.fraud.folder / REFERENCE_FILE).read_bytes(), type=Reference)
    texts = reference.columns["description"]
    assert {"supermarket", "weekly", "shop"} <= set(texts.vocabulary)
    assert "customs" not in texts.vocabulary
    assert texts.judged_rows >= int(trained.fraud.record.training["rows scored on"])
    assert texts.novel_rows < texts.judged_rows / 100
    assert not reference.columns["merchant"].vocabulary


@pytest.mark.parametrize(
    ("kind", "values", "counts"),
    [
        (ColumnKind.BOOLEAN, [False] * 95 + [True] * 5, (95, 5)),
        (ColumnKind.BOOLEAN, [False] * 100, (100, 0)),
        (ColumnKind.NUMBER, [0.0] * 95 + [1.5, 2.5, 3.5, 4.5, 5.5], (95, 5)),
        (ColumnKind.INTEGER, [3] * 5 + [7] * 90 + [9] * 5, (5, 90, 5)),
        (ColumnKind.NUMBER, [5.0] * 100, (0, 100, 0)),
    ],
)
def test_a_value_that_most_rows_have_has_a_bin_of_its_own(
    kind: ColumnKind, values: list[float], counts: tuple[int, ...]
) -> None:
    """Where most rows share one value it is seen when others come instead: nothing hides in one bin for all."""
    column = Column(name="it", kind=kind)
    label = Label(name="price", task=Task.REGRESSION)
    card = Card(name="toy", title="", columns=(column,), label=label)
    scores = np.arange(10.0)
    predictions = Predictions(labels=scores, scores=scores, probabilities=None)
    reference = reference_of(card, {"it": np.array(values)}, predictions, np.array([]), {})
    assert reference.columns["it"].counts == counts


def test_references_of_earlier_versions_are_still_read() -> None:
    """A reference written before it held positives and importances is read, with none."""
    old = b'{"columns":{},"scores":{"edges":[0.5],"words":[],"counts":[1,2],"nulls":0}}'
    assert msgspec.json.decode(old, type=Reference).positives == ()


def test_warmup_rows_are_rows_of_the_card(trained: Trained) -> None:
    """A version brings a few rows, by column, with null where a value is missing."""
    rows = msgspec.json.decode((trained.fraud.folder / WARMUP_FILE).read_bytes())
    assert tuple(rows) == trained.fraud.card().column_names
    assert {len(values) for values in rows.values()} == {8}
    assert None in rows["distance_km"]


def test_same_training_same_digest_in_another_process(home: Path, trained: Trained) -> None:
    """The same request gives the same bytes, also in a process with other hashes and addresses."""
    program = (
        "import datetime as dt\n"
        "from canario.packaging.rooms import load_room\n"
        "from canario.packaging.training import TrainingRequest, train\n"
        "days = {'first_day': dt.date(2026, 6, 1), 'last_day': dt.date(2026, 6, 14)}\n"
        "for name in ('', 'broken-always'):\n"
        "    print(train(load_room('fraud'), TrainingRequest(estimator=name, **days)).record.digest)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [trained.fraud.record.digest, trained.broken.record.digest]
    for version in stored_versions("fraud"):
        day, digits = version.record.name.tag.split("-")
        made = dt.datetime.fromtimestamp(version.record.created_at_seconds, dt.UTC)
        assert day == made.strftime("%Y%m%d")
        assert version.record.digest.removeprefix("sha256:")[:8] == digits


def test_training_again_under_the_same_tag_changes_nothing(stored: Trained, small: Small) -> None:
    """The same request and tag give the version that is stored already, untouched."""
    before = {path.name: path.stat().st_mtime_ns for path in stored.loan.folder.iterdir()}
    again = train(load_room("loan"), small(tag="v1"))
    assert again == stored.loan
    assert {path.name: path.stat().st_mtime_ns for path in stored.loan.folder.iterdir()} == before


def test_a_tag_is_never_overwritten(stored: Trained, small: Small) -> None:
    """A tag that belongs to other content is refused, with a way out, and keeps its content."""
    with pytest.raises(Conflict, match="other content") as refused:
        train(load_room("loan"), small(tag="v1", seed=1))
    assert "--tag" in refused.value.hint
    prove(find_version("loan:v1"))
    assert find_version("loan:v1").record.digest == stored.loan.record.digest


@pytest.mark.parametrize("tag", ["latest", "V2", "-v2", "v2-", "a b", "x" * 64, ".staging-x", "v/2"])
def test_odd_tags_are_refused_before_any_work(tag: str) -> None:
    """A tag that BentoML would not take is refused at once."""
    with pytest.raises(UsageError, match="cannot be a version's tag"):
        train(load_room("loan"), TrainingRequest(tag=tag))
    assert not stored_versions()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (TrainingRequest(estimator="oracle"), "no estimator 'oracle'"),
        (TrainingRequest(first_day=dt.date(2026, 2, 1), last_day=dt.date(2026, 1, 1)), "lies after the last"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(request_: TrainingRequest, words: str) -> None:
    """What the room does not have, or days in the wrong order, is said in words."""
    with pytest.raises(UsageError, match=words):
        train(load_room("loan"), request_)


def test_bentoml_lists_and_shows_versions(stored: Trained, small: Small) -> None:
    """`bentoml models list` and `get` know the versions, and `latest` is the newest."""
    train(load_room("loan"), small(tag="v2", seed=1))
    environment = {**os.environ, "BENTOML_DO_NOT_TRACK": "True"}

    def bentoml(*words: str) -> str:
        command = [sys.executable, "-m", "bentoml", "models", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    listed = {each["tag"] for each in msgspec.json.decode(bentoml("list", "-o", "json"))}
    assert listed == {"fraud:v1", "fraud:broken", "loan:v1", "loan:v2"}
    shown = msgspec.json.decode(bentoml("get", "loan:latest", "-o", "json"))
    assert shown["version"] == "v2"
    assert shown["metadata"]["digest"] == find_version("loan:v2").record.digest


def test_days_before_all_calendars_are_refused() -> None:
    """A last day before which there are no 90 days is told as such."""
    with pytest.raises(UsageError, match="no 90 days of rows up to 0001-01-01"):
        train(load_room("loan"), TrainingRequest(last_day=dt.date(1, 1, 1)))


@pytest.mark.parametrize("seed", ["-1", str(2**32)])
def test_a_seed_that_is_none_is_a_wrong_option(seed: str) -> None:
    """A seed that scikit-learn does not take is refused as the option's, not told as a failure of the room's code."""
    said = CliRunner().invoke(train_command, ["loan", "--seed", seed])
    assert said.exit_code == 2
    assert "'--seed'" in said.output
