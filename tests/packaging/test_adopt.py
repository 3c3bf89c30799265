"""What `canario adopt` promises: an estimator that somebody has already becomes a room and a version, or is refused in words."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from canario.adapters.documents import read_document
from canario.adapters.versions import find_version, prove, stored_versions
from canario.errors import Conflict, NotFound, PlanError, SignatureMismatch, UsageError
from canario.kernel.columns import columns_from_frame
from canario.kernel.load import load_kernel
from canario.model.card import ColumnKind, Task
from canario.model.rollout import RolloutSpec
from canario.packaging.adopt import adopt
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train

FEATURES = ["age", "income", "smoker", "region", "note"]


@pytest.fixture(autouse=True)
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of rooms."""
    monkeypatch.setenv("CANARIO_ROOMS", str(tmp_path / "rooms"))
    return tmp_path / "rooms"


@pytest.fixture
def people() -> pd.DataFrame:
    """Rows such as somebody would have: whole numbers, sums, yes or no, a few words, many words, and a truth."""
    random = np.random.default_rng(3)
    rows = 120
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 80, rows),
            "income": random.normal(2000, 400, rows).round(2),
            "smoker": random.random(rows) < 0.3,
            "region": random.choice(["north", "south", "west"], rows),
            "note": [f"note number {number}" for number in range(rows)],
        }
    )
    frame["bought"] = np.where(frame["income"] + 10 * frame["age"] + random.normal(0, 90, rows) > 2500, "yes", "no")
    frame["spent"] = frame["income"] * 0.1 + frame["age"]
    return frame


@pytest.fixture
def sample(people: pd.DataFrame, tmp_path: Path) -> Path:
    """The same as a file."""
    people.to_csv(tmp_path / "sample.csv", index=False)
    return tmp_path / "sample.csv"


def buyer(people: pd.DataFrame, region: list[str] | None = None) -> Pipeline:
    """A classifier over all kinds of columns but the note."""
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["age", "income", "smoker"]),
            ("words", OneHotEncoder(categories=[region] if region else "auto", handle_unknown="ignore"), ["region"]),
        ]
    )
    return Pipeline([("columns", columns), ("model", LogisticRegression())]).fit(people[FEATURES], people["bought"])


def dumped(estimator: Any, path: Path) -> Path:
    joblib.dump(estimator, path)
    return path


def test_classifier_becomes_a_room_and_a_version(people: pd.DataFrame, sample: Path, tmp_path: Path) -> None:
    """The version answers as the estimator does, compiled, and the room describes its columns."""
    estimator = buyer(people)
    version = adopt("buyers", dumped(estimator, tmp_path / "model.joblib"), sample, label="bought", tag="v1")
    prove(version)
    assert str(version.record.name) == "buyers:v1"
    room = load_room("buyers")
    assert room.card == version.card()
    assert [column.kind for column in room.card.columns] == [
        ColumnKind.INTEGER,
        ColumnKind.NUMBER,
        ColumnKind.BOOLEAN,
        ColumnKind.CATEGORY,
        ColumnKind.TEXT,
    ]
    age, _, _, region, _ = room.card.columns
    assert age.minimum is not None
    assert age.maximum is not None
    assert 0 <= age.minimum <= people["age"].min() < people["age"].max() < age.maximum
    assert region.categories == ("north", "south", "west")
    assert (room.card.label.name, room.card.label.classes) == ("bought", ("no", "yes"))
    answers = load_kernel(version).predict(columns_from_frame(room.card, people))
    assert np.allclose(answers.scores, estimator.predict_proba(people[FEATURES])[:, 1], rtol=0, atol=1e-9)
    assert read_document(RolloutSpec, room.rollout_file, error=PlanError).steps


def test_scores_say_that_the_sample_may_be_known(people: pd.DataFrame, sample: Path, tmp_path: Path) -> None:
    """A version with a label column is scored on the sample, and says that the model may have seen it."""
    model = dumped(buyer(people), tmp_path / "model.joblib")
    with_truth = adopt("buyers", model, sample, label="bought", tag="v1")
    assert {score.name for score in with_truth.record.scores} >= {"recall", "precision"}
    assert "may have been trained on" in with_truth.record.training["scored on"]
    assert adopt("others", model, sample).record.scores == ()


@pytest.mark.filterwarnings("ignore:X has feature names")  # from scikit-learn, where it answers frames
def test_regressor_without_column_names_takes_the_samples(people: pd.DataFrame, tmp_path: Path) -> None:
    """An estimator that was fitted with bare arrays gets the sample's column names, in their order."""
    numbers = people[["age", "income", "spent"]]
    numbers.to_csv(tmp_path / "numbers.csv", index=False)
    estimator = RandomForestRegressor(20, random_state=0).fit(numbers[["age", "income"]].to_numpy(), numbers["spent"])
    model = dumped(estimator, tmp_path / "m.joblib")
    version = adopt("spending", model, tmp_path / "numbers.csv", label="spent")
    card = version.card()
    assert card.label.task is Task.REGRESSION
    assert card.column_names == ("age", "income")
    answers = load_kernel(version).predict(columns_from_frame(card, numbers)).scores
    assert np.allclose(answers, estimator.predict(numbers[["age", "income"]].to_numpy()))


def test_whole_number_classes_are_words_on_the_card(people: pd.DataFrame, tmp_path: Path) -> None:
    """Classes 0 and 1 become the words 0 and 1, and a truth of 1.0 in a CSV is the class 1."""
    people["target"] = (people["bought"] == "yes").astype(float)
    people.to_csv(tmp_path / "s.csv", index=False)
    estimator = LogisticRegression(max_iter=1000).fit(people[["age", "income"]], people["target"].astype(int))
    version = adopt("targets", dumped(estimator, tmp_path / "m.joblib"), tmp_path / "s.csv", label="target")
    assert version.card().label.classes == ("0", "1")
    assert version.record.scores


def test_words_that_the_encoder_knows_are_allowed(people: pd.DataFrame, sample: Path, tmp_path: Path) -> None:
    """A category that the sample lacks but the model was fitted with is on the card."""
    estimator = buyer(people, region=["east", "north", "south", "west"])
    version = adopt("buyers", dumped(estimator, tmp_path / "m.joblib"), sample, label="bought")
    assert version.card().columns[3].categories == ("east", "north", "south", "west")


def test_second_version_joins_the_room(people: pd.DataFrame, sample: Path, tmp_path: Path, rooms: Path) -> None:
    """Adopting again under the same name adds a version and leaves the room, with what a person wrote there, alone."""
    adopt("buyers", dumped(buyer(people), tmp_path / "1.joblib"), sample, label="bought", tag="v1")
    card = rooms / "buyers" / "model.yaml"
    card.write_text(card.read_text().replace("title: Age", "title: Years"))
    before = card.read_text()
    version = adopt("buyers", dumped(buyer(people.head(60)), tmp_path / "2.joblib"), sample, label="bought", tag="v2")
    assert card.read_text() == before
    assert version.card().columns[0].title == "Years"
    assert len(stored_versions("buyers")) == 2
    with pytest.raises(Conflict):
        adopt("buyers", dumped(buyer(people.tail(50)), tmp_path / "3.joblib"), sample, label="bought", tag="v2")


def test_second_version_must_fit_the_room(people: pd.DataFrame, sample: Path, tmp_path: Path) -> None:
    """An estimator with other columns is refused, and the columns are named."""
    adopt("buyers", dumped(buyer(people), tmp_path / "1.joblib"), sample, label="bought", tag="v1")
    other = LogisticRegression(max_iter=1000).fit(people[["age", "spent"]], people["bought"])
    with pytest.raises(SignatureMismatch, match=r"income, note, region, smoker, spent"):
        adopt("buyers", dumped(other, tmp_path / "2.joblib"), sample, label="bought", tag="v2")


def test_adopted_model_cannot_be_retrained_without_data(people: pd.DataFrame, sample: Path, tmp_path: Path) -> None:
    """Training an adopted model says which files are missing, instead of inventing data."""
    adopt("buyers", dumped(buyer(people), tmp_path / "m.joblib"), sample, label="bought")
    with pytest.raises(UsageError, match=r"no (data|train)\.py"):
        train(load_room("buyers"), TrainingRequest())


def test_empty_cells_are_allowed_where_the_model_takes_them(people: pd.DataFrame, tmp_path: Path) -> None:
    """A column with empty cells in the sample may be left out by requests."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    people.loc[::5, "income"] = np.nan
    people.to_csv(tmp_path / "s.csv", index=False)
    estimator = HistGradientBoostingRegressor(max_iter=5).fit(people[["age", "income"]], people["age"])
    version = adopt("gaps", dumped(estimator, tmp_path / "m.joblib"), tmp_path / "s.csv")
    assert [column.nullable for column in version.card().columns] == [False, True]


def _with_empty_words(people: pd.DataFrame) -> pd.DataFrame:
    people["region"] = people["region"].astype(object)
    people.loc[::4, "region"] = np.nan
    return people


Case = tuple[Callable[[pd.DataFrame], Any], Callable[[pd.DataFrame], pd.DataFrame], str]
REFUSED: dict[str, Case] = {
    "a dictionary": (lambda _: {"model": 1}, lambda p: p, "no estimator but a dict"),
    "a class": (lambda _: LogisticRegression, lambda p: p, "no estimator"),
    "a clustering": (
        lambda p: KMeans(2, n_init=1).fit(p[["age"]]),
        lambda p: p,
        "neither a classifier nor a regressor",
    ),
    "unfitted": (lambda _: make_pipeline(StandardScaler(), LogisticRegression()), lambda p: p, "has not been fitted"),
    "no probabilities": (lambda p: LinearSVC().fit(p[["age"]], p["bought"]), lambda p: p, "gives no probabilities"),
    "two answers": (
        lambda p: LinearRegression().fit(p[["age"]], p[["spent", "income"]]),
        lambda p: p,
        r"answer of shape \(120, 2\)",
    ),
    "no rows": (buyer, lambda p: p.head(0), "has no rows"),
    "a column is missing": (buyer, lambda p: p.drop(columns=["region", "age"]), "lacks columns .* age, region"),
    "the count is wrong": (
        lambda p: LinearRegression().fit(p[["age", "income"]].to_numpy(), p["spent"]),
        lambda p: p[["age", "bought"]],
        "fitted with 2 columns without names, and sample.csv has 1",
    ),
    "predict fails": (buyer, lambda p: p.assign(age="old"), "fails on the sample"),
    "empty words": (
        lambda p: buyer(_with_empty_words(p.copy())),
        lambda p: _with_empty_words(p.copy()),
        "answers otherwise when the sample's columns have the card's types",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_adopted_is_refused_in_words(
    case: str, people: pd.DataFrame, tmp_path: Path, rooms: Path
) -> None:
    """An object or a sample that does not fit is refused with the way out; no room and no version are left behind."""
    make, change, words = REFUSED[case]
    model = dumped(make(people), tmp_path / "model.joblib")
    change(people).to_csv(tmp_path / "sample.csv", index=False)
    with pytest.raises(UsageError, match=words) as refused:
        adopt("buyers", model, tmp_path / "sample.csv", label="bought")
    assert refused.value.hint or refused.value.at
    assert not stored_versions()
    assert not rooms.exists()


def test_files_that_cannot_be_read_are_refused(people: pd.DataFrame, sample: Path, tmp_path: Path) -> None:
    """A missing file, a pickle of code that is not here, a broken file, a wrong label and a wrong name each say so."""
    model = dumped(buyer(people), tmp_path / "model.joblib")
    with pytest.raises(NotFound):
        adopt("buyers", tmp_path / "none.joblib", sample)
    with pytest.raises(NotFound):
        adopt("buyers", model, tmp_path / "none.csv")
    foreign = tmp_path / "foreign.joblib"
    foreign.write_bytes(pickle.dumps(people).replace(b"pandas", b"pandaz"))
    with pytest.raises(UsageError, match="cannot be loaded"):
        adopt("buyers", foreign, sample)
    with pytest.raises(UsageError, match="not a CSV"):
        adopt("buyers", model, model)
    with pytest.raises(UsageError, match="no column 'sold'"):
        adopt("buyers", model, sample, label="sold")
    with pytest.raises(UsageError, match="not a model's name"):
        adopt("Buyers!", model, sample)
    with pytest.raises(NotFound):
        find_version("buyers")
