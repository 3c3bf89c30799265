"""Two versions on the same file: what changed, by how much, and what either fails, counted as a person would count it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from canario.batch import comparing, reading
from canario.batch.comparing import compare
from canario.batch.loading import LoadedVersion, load_version
from canario.batch.preflights import keep, kept
from canario.errors import Conflict, InputError, UsageError
from canario.model.preflight import Comparison, Preflight, PreflightLimits
from canario.quality.preflight import judge_preflight
from tests.batch.scored import customers, write
from tests.serving import small_versions
from tests.serving.small_versions import MOODY, RENT, SHOP, shop_rows


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    """A version of the shop that looks at the amount alone, and takes fewer countries."""
    columns = tuple(
        replace(column, categories=("PT", "ES")) if column.name == "country" else column for column in SHOP.columns
    )
    rows = shop_rows(200).assign(country="PT")
    pipeline = make_pipeline(make_column_transformer(("passthrough", ["amount"])), LogisticRegression(max_iter=1000))
    truth = np.where(rows["amount"] > 500, "yes", "no")
    card = replace(SHOP, columns=columns)
    folder = small_versions.make_version(tmp_path_factory.mktemp("other"), card, pipeline, rows, truth, tag="v2")
    return load_version(folder=folder)


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedVersion, LoadedVersion]:
    """A version that answers everything, and one that fails on rows whose mood is broken."""
    folder = tmp_path_factory.mktemp("moody")
    rows = pd.DataFrame({"seconds": [0.0, 0.0], "mood": ["fine", "fine"]})
    truth = np.array(["no", "yes"])
    steady = make_pipeline(make_column_transformer(("passthrough", ["seconds"])), DummyClassifier(strategy="prior"))
    return (
        load_version(folder=small_versions.make_version(folder, MOODY, steady, rows, truth, tag="steady")),
        load_version(folder=small_versions.make_moody(folder)),
    )


def compared(stable: LoadedVersion, candidate: LoadedVersion, path: Path) -> Comparison:
    return compare(stable, candidate, str(path))[0]


def test_a_version_is_like_itself(shop: LoadedVersion, tmp_path: Path) -> None:
    """The same version twice: every score is the same to the last bit."""
    found = compared(shop, shop, write(customers(500), tmp_path / "rows.parquet"))
    assert (found.rows, found.compared, found.equal, found.changed) == (500, 500, 500, 0)
    assert (found.mean_distance, found.largest_distance, found.changes) == (0.0, 0.0, {})


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_figures_are_those_of_the_answers(
    shop: LoadedVersion, other: LoadedVersion, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed answers, distances and classes are what one gets by asking both versions in a notebook."""
    monkeypatch.setattr(reading, "PIECE_ROWS", 64)
    rows = customers(700, seed=5)
    rows["country"] = np.where(rows["country"] == "FR", "PT", rows["country"])
    found, (file,) = compare(shop, other, str(write(rows, tmp_path / f"rows.{kind}")))
    first, second = shop.predict(rows), other.predict(rows)
    changed = first["label"] != second["label"]
    distance = (first["score"] - second["score"]).abs()
    assert (found.rows, found.compared, file.rows) == (700, 700, 700)
    assert found.changed == changed.sum() > 10
    assert found.largest_distance == distance.max()
    assert found.mean_distance == pytest.approx(distance.mean())
    assert {each.name: (each.stable, each.candidate) for each in found.classes} == {
        name: ((first["label"] == name).sum(), (second["label"] == name).sum()) for name in ("no", "yes")
    }
    assert found.changes["no -> yes"] == ((first["label"] == "no") & changed).sum()
    assert [shown.row for shown in found.changed_rows] == distance[changed].nlargest(10).index.tolist()
    shown = found.changed_rows[0]
    assert (shown.stable_score, shown.candidate_score) == (first["score"][shown.row], second["score"][shown.row])


def test_rows_that_either_does_not_take_are_counted_apart(
    shop: LoadedVersion, other: LoadedVersion, tmp_path: Path
) -> None:
    """Each version checks rows by its own card; the first rows without an answer are shown, with who and why."""
    rows = customers(300, misfits=(7,))
    rows["country"] = "PT"
    rows.loc[[3, 7], "country"] = "FR"
    path = write(rows, tmp_path / "rows.csv")
    found = compared(shop, other, path)
    assert (found.only_candidate_failed, found.only_stable_failed, found.both_failed) == (1, 0, 1)
    assert [(each.row, each.version) for each in found.failed_rows] == [(3, "shop:v2"), (7, "shop:v1 and shop:v2")]
    assert found.failed_rows[0].reason == "country has no category 'FR'"
    assert compared(other, shop, path).only_stable_failed == 1
    assert found.compared == 298


def test_rows_that_a_model_fails_on_are_found(moody: tuple[LoadedVersion, LoadedVersion], tmp_path: Path) -> None:
    """A model that fails on a few rows of a file is not taken for one that fails on all of them."""
    rows = pd.DataFrame({"seconds": 0.0, "mood": ["fine"] * 400})
    rows.loc[[5, 123, 399], "mood"] = "broken"
    found = compared(*moody, write(rows, tmp_path / "rows.parquet"))
    assert (found.only_candidate_failed, found.compared) == (3, 397)
    assert [each.row for each in found.failed_rows] == [5, 123, 399]
    assert "the mood was broken" in found.failed_rows[0].reason


def test_a_model_that_fails_on_everything_is_soon_known(
    moody: tuple[LoadedVersion, LoadedVersion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a file is not read for a model that has failed on very many rows, and the report says so."""
    monkeypatch.setattr(comparing, "MOST_FAILURES", 20)
    monkeypatch.setattr(reading, "PIECE_ROWS", 100)
    rows = pd.DataFrame({"seconds": 0.0, "mood": ["broken"] * 1000})
    found = compared(*moody, write(rows, tmp_path / "rows.parquet"))
    assert not found.is_whole
    assert (found.rows, found.only_candidate_failed, found.compared) == (100, 100, 0)


def test_values_may_differ_by_their_tolerance(tmp_path: Path) -> None:
    """A regression's answer has changed when it lies further from stable's than the label's tolerance."""
    rows = small_versions.rent_rows(200)
    stable = load_version(folder=small_versions.make_rent(tmp_path / "stable"))
    pipeline = make_pipeline(make_column_transformer(("passthrough", ["area", "rooms", "lift"])), Ridge())
    truth = (10 * rows["area"] + 50 * rows["rooms"]).to_numpy() + 400
    candidate = load_version(folder=small_versions.make_version(tmp_path / "dearer", RENT, pipeline, rows, truth))
    found = compared(stable, candidate, write(rows, tmp_path / "rows.parquet"))
    first, second = (version.predict(rows)["score"] for version in (stable, candidate))
    assert found.changed == ((second - first).abs() > 0.2 * first.abs()).sum() > 0
    assert found.classes == ()


def test_a_preflight_of_values_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compared of a regression is written down and read again as it was, changed answers and all."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path / "home"))
    rows = small_versions.rent_rows(200)
    stable = load_version(folder=small_versions.make_rent(tmp_path / "stable"))
    truth = np.arange(200.0)
    folder = small_versions.make_version(tmp_path / "other", RENT, Ridge(100.0), rows, truth, tag="v2")
    candidate = load_version(folder=folder)
    found, inputs = compare(stable, candidate, str(write(rows, tmp_path / "rows.parquet")))
    limits = PreflightLimits()
    preflight = Preflight(
        at_seconds=1.0,
        model="rent",
        where="local",
        stable="v1",
        candidate="v2",
        stable_digest=stable.digest,
        candidate_digest=candidate.digest,
        input="rows.parquet",
        inputs=inputs,
        limits=limits,
        comparison=found,
        verdict=judge_preflight(found, limits),
    )
    keep(preflight)
    assert found.changed_rows
    assert kept("rent") == [preflight]


def test_several_files_are_one_comparison(shop: LoadedVersion, tmp_path: Path) -> None:
    """A folder's files are compared together, and each is named with its digest."""
    for number in range(3):
        write(customers(50, seed=number), tmp_path / "rows" / f"{number}.csv")
    found, files = compare(shop, shop, str(tmp_path / "rows"))
    assert found.rows == 150
    assert [(file.path, file.rows) for file in files] == [("0.csv", 50), ("1.csv", 50), ("2.csv", 50)]
    assert all(file.digest.startswith("sha256:") for file in files)


def test_a_file_without_a_column_is_refused(shop: LoadedVersion, other: LoadedVersion, tmp_path: Path) -> None:
    """The error says which version cannot answer which file, and which columns it misses."""
    path = write(customers(5).drop(columns="note"), tmp_path / "rows.csv")
    with pytest.raises(InputError, match=r"shop:v1 cannot answer rows\.csv: .* no column note"):
        compared(shop, other, path)


def test_a_file_of_another_kind_is_refused(shop: LoadedVersion, tmp_path: Path) -> None:
    """The error says which kinds of file there are."""
    (tmp_path / "rows.jsonl").write_text("{}")
    with pytest.raises(UsageError) as refused:
        compared(shop, shop, tmp_path / "rows.jsonl")
    assert ".parquet" in refused.value.hint


def test_what_cannot_be_compared_is_refused(shop: LoadedVersion, tmp_path: Path) -> None:
    """A class and a value are no answers to the same question."""
    rent = load_version(folder=small_versions.make_rent(tmp_path))
    with pytest.raises(Conflict, match="classification"):
        compared(shop, rent, write(customers(5), tmp_path / "rows.csv"))
