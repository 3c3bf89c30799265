"""Versions in one's own process: found in the store, in a folder or in an archive, proved, and asked by frames and rows."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

import canario
from canario.adapters.versions import RECORD_FILE, read_version
from canario.batch.loading import LoadedVersion
from canario.errors import CanarioError, Conflict, DigestMismatch, InputError, NotFound, UsageError
from canario.kernel.columns import columns_from_frame
from canario.packaging.archives import export_version
from canario.packaging.provenance import libraries
from tests.serving.small_versions import SHOP, shop_rows


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop_folder: Path) -> Path:
    """A machine with the small version in its store."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    folder = Path(shutil.copytree(shop_folder, tmp_path / "bentoml" / "models" / "shop" / "v1"))
    record = replace(read_version(folder).record, libraries=libraries())
    (folder / RECORD_FILE).write_bytes(msgspec.json.encode(record))
    return tmp_path


@pytest.fixture(scope="module")
def loaded(shop_folder: Path) -> LoadedVersion:
    return canario.load(folder=shop_folder)


def test_a_version_is_loaded_by_its_name(home: Path) -> None:
    """`canario.load("shop")` takes the newest stored version, and says which one it took."""
    for name in ("shop", "shop:v1"):
        version = canario.load(name)
        assert (str(version.name), version.card) == ("shop:v1", SHOP)
        assert version.digest.startswith("sha256:")


def test_a_version_is_loaded_from_an_archive(home: Path, tmp_path: Path) -> None:
    """An archive that was copied here answers without being imported, as the stored version does."""
    stored = canario.load("shop")
    archive = export_version(read_version(tmp_path / "bentoml" / "models" / "shop" / "v1"), tmp_path)
    fetched = canario.load("shop:v1", archive=str(archive))
    assert fetched.digest == stored.digest
    rows = shop_rows(50, seed=3)
    assert fetched.predict(rows).equals(stored.predict(rows))


def test_a_version_that_is_another_is_refused(home: Path, shop_folder: Path) -> None:
    """Whoever names a version and brings another one is told, instead of answered by it."""
    for name in ("rent", "shop:v2"):
        with pytest.raises(Conflict, match="this is shop:v1"):
            canario.load(name, folder=shop_folder)
    assert canario.load(folder=shop_folder).name == canario.load("shop", folder=shop_folder).name


def test_nothing_to_load_says_what_to_do(home: Path) -> None:
    """Without a version, or with one that is not there, the next command is named."""
    with pytest.raises(UsageError) as unnamed:
        canario.load()
    with pytest.raises(NotFound) as unknown:
        canario.load("nothing")
    assert "canario list" in unnamed.value.hint
    assert "canario train nothing" in unknown.value.hint


def test_changed_bytes_are_not_loaded(home: Path, tmp_path: Path) -> None:
    """A version whose bytes are not what was packed is refused before anything of it is run."""
    model = tmp_path / "bentoml" / "models" / "shop" / "v1" / "model.onnx"
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(DigestMismatch, match=r"model\.onnx"):
        canario.load("shop")


def test_a_frame_is_answered_row_by_row(loaded: LoadedVersion) -> None:
    """A frame gets a frame back, with its own index, the labels, the scores, and the version that answered."""
    rows = shop_rows(100).set_index(pd.Index([f"customer-{number}" for number in range(100)]))
    rows["id"] = 1  # the card does not have it
    answers = loaded.predict(rows)
    assert answers.index.equals(rows.index)
    assert list(answers.columns) == ["label", "score"]
    assert answers.attrs["version"] == "shop:v1"
    expected = loaded.answer(columns_from_frame(SHOP, rows))
    assert (answers["score"].to_numpy() == expected.scores).all()
    assert answers["label"].tolist() == expected.labels.tolist()


def test_rows_are_answered_as_frames_are(loaded: LoadedVersion) -> None:
    """One row, a list of rows and a frame of them get the same bits."""
    rows = shop_rows(20)
    listed: Any = rows.to_dict("records")
    together = loaded.predict(rows)
    assert loaded.predict(listed).equals(together)
    assert loaded.predict(listed[3])["score"].tolist() == [together["score"][3]]
    scalars = {name: np.array([value])[0] for name, value in listed[3].items()}
    assert loaded.predict(scalars)["score"].tolist() == [together["score"][3]]


def test_frames_come_in_many_types(loaded: LoadedVersion) -> None:
    """Pandas' own nullable types, categories and plain objects are answered as numpy's types are."""
    rows = shop_rows(50)
    expected = loaded.predict(rows)
    other = rows.assign(
        age=rows["age"].astype("Int64"),
        visits=rows["visits"].astype("Int64"),
        member=rows["member"].astype("boolean"),
        country=rows["country"].astype("category"),
        note=rows["note"].astype("string"),
        distance=rows["distance"].astype(object).where(rows["distance"].notna(), None),
    )
    assert loaded.predict(other).equals(expected)


@pytest.mark.parametrize(
    ("changes", "reason", "place"),
    [
        ({"amount": 2000.0}, "amount is 2000, which is not allowed", "row 'c', column amount"),
        ({"country": "XX"}, "country has no category 'XX'", "row 'c', column country"),
        ({"amount": "much"}, "amount does not fit: Expected `float`, got `str`", "row 'c', column amount"),
        ({"amount": None}, "amount does not fit: Expected `float`, got `null`", "row 'c', column amount"),
        ({"member": 3}, "member does not fit: Expected `bool`, got `int`", "row 'c', column member"),
        ({"note": 3}, "note does not fit: Expected `str`, got `int`", "row 'c', column note"),
    ],
)
def test_a_row_that_does_not_fit_is_named(
    loaded: LoadedVersion, changes: dict[str, Any], reason: str, place: str
) -> None:
    """The error says which row, by its label, which column, what is wrong, and what the card allows."""
    rows = shop_rows(4).set_index(pd.Index(list("abcd")))
    for name, value in changes.items():
        column = rows[name].astype(object)
        column["c"] = value
        rows[name] = column
    with pytest.raises(InputError) as refused:
        loaded.predict(rows)
    assert (refused.value.message, refused.value.at) == (reason, place)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("column", "value"), [("amount", 2**63), ("age", 2**70), ("country", "\ud800"), ("note", "\ud800")]
)
def test_a_cell_that_no_machine_holds_is_named(loaded: LoadedVersion, column: str, value: Any) -> None:
    """Numbers that are too large and halves of characters are refused as other cells are, with row and column."""
    rows = shop_rows(4).set_index(pd.Index(list("abcd"))).astype(object)
    rows.loc["c", column] = value
    with pytest.raises(InputError, match=f"{column} ") as refused:
        loaded.predict(rows)
    assert refused.value.at == f"row 'c', column {column}"
    listed: Any = rows.to_dict("records")
    with contextlib.suppress(CanarioError):
        loaded.predict(listed)


def test_what_is_no_rows_is_refused(loaded: LoadedVersion) -> None:
    """A program that brings something else gets canario's error, which says what rows come as."""
    rows = shop_rows(4)
    for other in (rows.iloc[0], rows["amount"], rows.to_numpy(), "row.json", b"{}", 7, None, [1, 2], [rows.iloc[0]]):
        with pytest.raises(InputError, match="these are no rows") as refused:
            loaded.predict(other)  # type: ignore[arg-type]
        assert "as a frame" in refused.value.hint


def test_a_frame_without_a_column_is_refused(loaded: LoadedVersion) -> None:
    """All columns that are missing are named at once."""
    for rows in (shop_rows(5), shop_rows(5).iloc[:0]):
        with pytest.raises(InputError, match="no column age, country"):
            loaded.predict(rows.drop(columns=["country", "age"]))


def test_no_rows_get_no_answers(loaded: LoadedVersion) -> None:
    """A frame that a filter left empty is answered by an empty frame, as pandas would."""
    answers = loaded.predict(shop_rows(5).iloc[:0])
    assert (len(answers), list(answers.columns)) == (0, ["label", "score"])


def test_the_rest_of_canario_does_not_load_what_it_does_not_need() -> None:
    """`import canario` and the program's start stay quick: no pandas, no pyarrow, no onnxruntime."""
    code = "import sys, canario, canario.cli.main, canario.cli.commands.predict; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"pandas", "pyarrow", "onnxruntime", "sklearn"}.isdisjoint(loaded)


def test_every_error_is_one_of_canarios(home: Path, tmp_path: Path) -> None:
    """A folder or a file that is no version is refused by an error that a program can catch."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no archive")
    for place in ({"folder": tmp_path / "empty"}, {"archive": str(tmp_path / "text")}, {"archive": "nowhere"}):
        with pytest.raises(CanarioError):
            canario.load(**place)
