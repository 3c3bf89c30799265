"""`canario predict` as people run it: rows in many forms, the version that answered, and errors that name row and column."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.adapters.versions import RECORD_FILE, read_version
from canario.batch.loading import LoadedVersion, load_version
from canario.batch.row_files import columns_of_file
from canario.errors import InputError
from canario.packaging.archives import export_version
from canario.packaging.provenance import libraries
from tests.cli.program import PROGRAM, Canario
from tests.serving.small_versions import SHOP, shop_rows

ROW: dict[str, Any] = {"amount": 12.5, "age": 40, "member": True, "country": "PT", "note": "olá", "visits": 3}
"""What the card may be without is left out."""
HEADING = ",".join(SHOP.column_names)
LINE = "12.5,40,true,PT,olá,,3,"


@pytest.fixture
def canario(tmp_path: Path, shop_folder: Path) -> Canario:
    """The program on a machine with the small version in its store, and its archive beside."""
    folder = Path(shutil.copytree(shop_folder, tmp_path / "bentoml" / "models" / "shop" / "v1"))
    record = replace(read_version(folder).record, libraries=libraries())
    (folder / RECORD_FILE).write_bytes(msgspec.json.encode(record))
    export_version(read_version(folder), tmp_path)
    return Canario(tmp_path)


@pytest.fixture(scope="module")
def loaded(shop_folder: Path) -> LoadedVersion:
    return load_version(folder=shop_folder)


def answers(loaded: LoadedVersion, content: str) -> list[float]:
    columns = columns_of_file(loaded.card, loaded.rows, content.encode())
    scores: list[float] = loaded.answer(columns).scores.tolist()
    return scores


def test_a_csv_that_ends_inside_a_quote_is_refused(loaded: LoadedVersion) -> None:
    """Rows that a stray quote swallowed are not left unanswered without a word."""
    names = [name for name in SHOP.column_names if name != "note"]
    lines = [",".join([*names, "note"]), "12.5,40,true,PT,,3,,olá", '12.5,40,true,PT,,3,,"olá']
    with pytest.raises(InputError, match="ends inside a quoted cell"):
        answers(loaded, "\n".join(lines) + "\n")
    assert len(answers(loaded, "\n".join(lines) + '"\n')) == 2


def test_one_row_is_answered_with_the_version_that_answered(canario: Canario, loaded: LoadedVersion) -> None:
    """A row in a file is answered without a server: label, score with all its digits, and which version it was."""
    (canario.folder / "row.json").write_text(json.dumps(ROW))
    ended = canario("predict", "shop", str(canario.folder / "row.json"), "--output", "json")
    assert ended.exit_code == 0, ended.stderr
    found = ended.json()
    assert (found["model"], found["version"]) == ("shop", "v1")
    assert found["digest"].startswith("sha256:")
    (score,) = answers(loaded, json.dumps(ROW))
    assert found["predictions"] == [{"label": "yes" if score >= 0.4 else "no", "score": score}]
    drawn = canario("predict", "shop:v1", str(canario.folder / "row.json")).stdout.splitlines()
    assert drawn[0].split() == ["ROW", "LABEL", "SCORE", "VERSION"]
    assert drawn[1].split()[1::2] == [found["predictions"][0]["label"], "shop:v1"]


def test_rows_come_from_a_pipe_and_the_version_from_an_archive(canario: Canario) -> None:
    """`-` reads a pipe, and `--archive` needs no store."""
    archive = canario.folder / "shop-v1.canario"
    rows = shop_rows(3).to_json(orient="records", lines=True)
    (canario.folder / "rows.jsonl").write_text(rows)
    command = f'cat rows.jsonl | "$0" predict shop - --archive {archive} -o json'
    shutil.rmtree(canario.folder / "bentoml")
    ended = canario.of("sh", "-c", f"cd {canario.folder}; {command}", PROGRAM)
    assert len(ended.json()["predictions"]) == 3, ended.stderr


def test_the_same_rows_in_every_form_get_the_same_answers(loaded: LoadedVersion) -> None:
    """One row, a list, rows as a request has them, lines and CSV are the same rows."""
    row = json.dumps(ROW)
    (score,) = answers(loaded, row)
    for content in (
        f'{{"rows": [{row}, {row}]}}',
        f"[{row},\n{row}]",
        f"{row}\n\n{row}\n",
        f"\ufeff{HEADING}\r\n{LINE}\r\n{LINE}",
        f"id,{HEADING}\na,{LINE}\nb,{LINE}\n",
        json.dumps([ROW, ROW], indent=2),
    ):
        assert answers(loaded, content) == [score, score], content


def test_a_csv_may_have_lines_within_a_text(loaded: LoadedVersion) -> None:
    """A text in quotes may hold commas and ends of lines."""
    assert len(answers(loaded, f'{HEADING}\n1,40,0,ES,"a, b\nc",,,\n{LINE}\n')) == 2


@pytest.mark.parametrize(
    ("content", "message", "at"),
    [
        ("", "the file is empty", ""),
        (" \n", "the file is empty", ""),
        ('{"amount": 3', "this is not JSON: Input data was truncated", ""),
        ("[]", "there is no row", ""),
        (HEADING, "there is no row", ""),
        (json.dumps(ROW | {"age": "x"}), "age does not fit: Expected `float`, got `str`", "column age"),
        (json.dumps([ROW, ROW | {"age": 300}]), "age is 300, which is not allowed", "row 2, column age"),
        (
            json.dumps({"rows": [ROW | {"age": None}]}),
            "age does not fit: Expected `float`, got `null`",
            "row 1, column age",
        ),
        (
            f"{json.dumps(ROW)}\n\n{json.dumps(ROW | {'country': 'XX'})}",
            "country has no category 'XX'",
            "line 3, column country",
        ),
        (
            f"{json.dumps(ROW)}\n{{broken",
            "a line is not a row: JSON is malformed: expected '\"' (byte 1)",
            "line 2",
        ),
        (
            f"{HEADING}\n{LINE}\nten,40,true,PT,,,,",
            "amount does not fit: Expected `float`, got `str`",
            "row 2, column amount",
        ),
        ("amount;age\n1;2\n", "the columns are apart by semicolons", "line 1"),
        ("PAR1...", "this is Parquet, and single rows come as JSON or CSV", ""),
    ],
)
def test_what_is_wrong_with_a_file_is_told(loaded: LoadedVersion, content: str, message: str, at: str) -> None:
    """The error says what is wrong, in which row or line, and in which column, and what to do."""
    with pytest.raises(InputError) as refused:
        answers(loaded, content)
    assert (refused.value.message, refused.value.at) == (message, at)
    assert refused.value.hint


def test_a_table_that_cannot_be_right_is_told(loaded: LoadedVersion) -> None:
    """Missing columns are named, and so is a line with too many cells."""
    with pytest.raises(InputError, match="there is no column age, country"):
        answers(loaded, "amount,member,note,distance,visits,referrer\n1,2,3,4,5,6\n")
    with pytest.raises(InputError, match="this is no CSV"):
        answers(loaded, f"{HEADING}\n{LINE},1,2\n")


def test_an_error_names_the_file_and_ends_with_1(canario: Canario) -> None:
    """What a person reads on stderr has the file, the row, the column, and what the card allows; stdout stays empty."""
    path = canario.folder / "rows.json"
    path.write_text(json.dumps([ROW, ROW | {"amount": -1}]))
    ended = canario("predict", "shop", str(path))
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        "error: amount is -1, which is not allowed",
        f"  at {path}, row 2, column amount",
        "  hint: amount: a number from 0 to 1000 EUR",
    ]


@settings(max_examples=400, deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_a_file_holds_is_answered_or_refused(loaded: LoadedVersion, content: bytes) -> None:
    """No bytes at all make the program stumble: there are answers, or a reason."""
    with contextlib.suppress(InputError):
        columns_of_file(loaded.card, loaded.rows, content)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_answered_or_refused(loaded: LoadedVersion, data: st.DataObject) -> None:
    """Good rows with some bytes changed, left out or put in are answered or refused, whatever they were."""
    row = json.dumps(ROW)
    content = bytearray(
        data.draw(st.sampled_from([row, f"[{row},{row}]", f"{row}\n{row}", f"{HEADING}\n{LINE}\n{LINE}\n"])).encode()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(InputError):
        columns_of_file(loaded.card, loaded.rows, bytes(content))
