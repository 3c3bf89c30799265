"""How far what comes in lies from what a version was trained on, from the command line."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time

import numpy as np
import pandas as pd
import pytest

from canario.feedback.log import PredictionLog
from canario.model.feedback import Prediction, Value, prediction_id
from canario.packaging.rooms import load_room
from tests.cli.program import Canario


def answered(program: Canario, rows: pd.DataFrame, *, tag: str = "v1", shadow: bool = False, at: float = 0.0) -> None:
    """Answers in the log of a server that has gone; each fraud got a high score."""
    log, own = PredictionLog(program.folder / "home" / "predictions" / "fraud"), f"r{time.time_ns()}"
    columns, now = [name for name in rows.columns if name not in ("event_time", "outcome")], time.time()
    log.append(
        [
            Prediction(
                prediction=prediction_id(tag, own, place),
                request=own,
                row=place,
                model="fraud",
                version=tag,
                at_seconds=at or now - 0.05 * (len(rows) - place),
                label="clean",
                score=0.9 if row["outcome"] == "fraud" else 0.001,
                shadow=shadow,
                values={name: cell(row[name]) for name in columns},
            )
            for place, (_, row) in enumerate(rows.iterrows())
        ]
    )
    log.close()


def cell(value: object) -> Value:
    """A cell as JSON carries it."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain != plain else plain  # type: ignore[return-value]  # noqa: PLR0124 - NaN


def days(first: dt.date, number: int) -> pd.DataFrame:
    return load_room("fraud").generate(first, first + dt.timedelta(days=number - 1), 3)


BEFORE, AFTER = dt.date(2026, 6, 1), dt.date(2026, 9, 1)


def told(program: Canario, *more: str) -> dict[str, object]:
    ended = program("report", "drift", "fraud", "--version", "v1", "--output", "json", *more)
    assert ended.exit_code == 0, ended.stderr
    report: dict[str, object] = json.loads(ended.stdout)
    return report


def column(report: dict[str, object], name: str) -> dict[str, object]:
    columns = report["columns"]
    assert isinstance(columns, list)
    return next(each for each in columns if each["name"] == name)


@pytest.fixture
def program(trained: Canario, tmp_path: object) -> Canario:
    """A machine with trained versions, and no answer yet."""
    shutil.rmtree(trained.folder / "home" / "predictions", ignore_errors=True)
    return trained


def test_rows_like_those_trained_on_do_not_drift(program: Canario) -> None:
    """Six days of payments of the same kind: every column is as before, each with its limit."""
    answered(program, days(BEFORE, 6))
    report = told(program)
    columns = report["columns"]
    assert isinstance(columns, list)
    assert {each["verdict"] for each in columns} == {"none"}
    assert report["rows"] == 1800
    assert all(each["psi"] < each["psi_limit"] for each in columns)


def test_a_column_that_moves_stands_first_with_its_figures(program: Canario) -> None:
    """Amounts that treble are told as drift of that column, and of none that did not move."""
    rows = days(BEFORE, 6)
    rows["amount"] = rows["amount"] * 3
    answered(program, rows)
    report = told(program)
    columns = report["columns"]
    assert isinstance(columns, list)
    assert columns[0]["name"] == "amount"
    assert [each["name"] for each in columns if each["verdict"] == "drift"] == ["amount"]
    assert columns[0]["psi"] > columns[0]["psi_limit"]
    assert 0 < columns[0]["wasserstein"] <= columns[0]["kolmogorov_smirnov"] <= 1
    assert sum(columns[0]["rows"]) == 1800
    assert columns[0]["drifting_since_seconds"] > time.time() - 300


def test_words_that_no_training_row_held_are_drift(program: Canario) -> None:
    """A new kind of fraud in three rows of a hundred is seen by its words, though no bin moves far enough."""
    rows = days(BEFORE, 10)
    rows.loc[rows.index[::33], "description"] = "crypto wallet refill"
    answered(program, rows)
    report = told(program)
    description = column(report, "description")
    words = description["new_words"]
    assert isinstance(words, dict)
    assert description["verdict"] == "drift"
    assert words["evidence"] > words["evidence_limit"]
    assert words["rows"] >= 30
    psi, limit = description["psi"], description["psi_limit"]
    assert isinstance(psi, float)
    assert isinstance(limit, float)
    assert psi < limit


def test_few_rows_say_how_many_more_it_takes(program: Canario) -> None:
    """A hundred rows are neither drift nor its absence."""
    answered(program, days(BEFORE, 1).head(100))
    ended = program("report", "drift", "fraud", "--version", "v1")
    assert ended.exit_code == 0
    assert "not enough rows yet: " in ended.stdout
    assert "more rows tell" in ended.stderr
    amount = column(told(program), "amount")
    assert amount["verdict"] == "not-enough-rows"
    assert isinstance(amount["more_rows"], int)
    assert amount["more_rows"] == 960 - 100  # as many as the small reference has itself


def test_only_users_answers_of_that_version_and_time_count(program: Canario) -> None:
    """Copies, other versions and older answers are left out."""
    answered(program, days(BEFORE, 1).head(10))
    answered(program, days(AFTER, 1).head(20), shadow=True)
    answered(program, days(AFTER, 1).head(30), tag="v2")
    answered(program, days(AFTER, 1).head(40), at=time.time() - 7200)
    assert told(program, "--since", "1h")["rows"] == 10
    assert told(program, "--since", "1d")["rows"] == 50


def test_the_page_needs_nothing_else_and_the_table_says_what_to_do(program: Canario) -> None:
    """A self-contained page with a plot a column, and a table that ends with the next command."""
    rows = days(BEFORE, 6)
    rows["amount"] = rows["amount"] * 3
    answered(program, rows)
    page = program("report", "drift", "fraud", "--version", "v1", "--output", "html").stdout
    assert page.startswith("<!doctype html>")
    assert page.count("<figure") == 12
    assert "http" not in page
    assert "at most once in 1,000 days" in page
    brazilian = program("report", "drift", "fraud", "--version", "v1", "-o", "html", "--language", "pt-BR").stdout
    assert "desvio" in brazilian
    assert "no máximo uma vez em 1.000 dias" in brazilian
    ended = program("report", "drift", "fraud", "--version", "v1")
    assert "canario retrain fraud" in ended.stderr
    assert "recall" in ended.stdout


def test_a_cluster_is_asked_through_prometheus(program: Canario) -> None:
    """The rows of a cluster are not here, and the refusal says which figures Prometheus has."""
    ended = program("report", "drift", "fraud", "--on", "kubernetes")
    assert ended.exit_code == 2
    assert "canario:column_psi:1h" in ended.stderr


def test_nothing_is_guessed_where_nothing_is_known(program: Canario) -> None:
    """A version that is not there is named, with where to look."""
    ended = program("report", "drift", "fraud", "--version", "v9")
    assert ended.exit_code == 1
    assert "canario list" in ended.stderr
