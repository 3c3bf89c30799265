"""Late truths from files and what they say of quality, from the command line."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.cli.truth_files import members
from canario.errors import UsageError
from canario.feedback.incoming import sorted_out
from canario.feedback.log import PredictionLog
from canario.feedback.settings import URL_VARIABLE
from canario.model.card import Label, Task
from canario.model.feedback import Prediction, prediction_id
from tests.cli.program import Canario
from tests.feedback.postgres_server import PostgresServer

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


WORDS = ("clean", "fraud")
FRAUD = Label(name="outcome", task=Task.CLASSIFICATION, classes=WORDS)


def answered(program: Canario, number: int, began_at: float, tag: str = "v1") -> list[Prediction]:
    """Answers in the log of a server that has gone: one each ten minutes, every tenth a fraud."""
    log, own = PredictionLog(program.folder / "home" / "predictions" / "fraud"), f"r{time.time_ns()}"
    made = [
        Prediction(
            prediction=prediction_id(tag, f"{own}-{place}", 0),
            request=f"{own}-{place}",
            row=0,
            model="fraud",
            version=tag,
            at_seconds=began_at + 600 * place,
            label=WORDS[place % 10 == 0],
            score=0.9 if place % 10 == 0 else 0.1,
            shadow=False,
            values={"amount": 1.0},
        )
        for place in range(number)
    ]
    for each in made:
        log.append([each])
    log.close()
    return made


def write_csv(path: Path, made: list[Prediction]) -> None:
    """Truths of them all, as a bank's system writes them: every twentieth fraud was missed."""
    lines = [f"{each.prediction},{WORDS[place % 10 == 0 or place % 20 == 1]},x" for place, each in enumerate(made)]
    path.write_text("\r\n".join(["prediction_id,truth,remark", *lines]) + "\r\n")


def test_a_file_of_truths_counts_once(trained: Canario, tmp_path: Path) -> None:
    """A CSV with doubled, wrong and empty lines: each truth counts once, the wrong lines are told by their numbers."""
    made = answered(trained, 100, time.time() - 80_000)
    path = tmp_path / "truths.csv"
    write_csv(path, made)
    with path.open("a") as stream:
        stream.write(
            f"{made[0].prediction},fraud,again\r\n{made[1].prediction},maybe,\r\nnonsense,fraud,\r\n{made[2].prediction},,\r\n"
        )
        stream.write("v1.never.0,fraud,\r\n")
    ended = trained(
        "feedback", str(path), "--model", "fraud", "--rejects", str(tmp_path / "rejects.jsonl"), "-o", "json"
    )
    assert ended.exit_code == 1, ended.stderr
    assert ended.json() == {"new": 101, "repeated": 1, "changed": 0, "refused": 3, "unknown": 1}
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(each["line"], each["at"]) for each in rejects] == [(103, "truth"), (104, "prediction_id"), (105, "truth")]
    assert "line 103: " in ended.stderr
    assert "1 truth of this model waits for a prediction" in ended.stderr
    again = trained("feedback", str(path), "--model", "fraud", "-o", "json")
    assert again.json()["repeated"] == 102


@pytest.mark.parametrize("form", ["list", "lines"])
def test_json_files_are_read_too(trained: Canario, tmp_path: Path, form: str) -> None:
    """Lines of JSON or one list, corrected truths included."""
    made = answered(trained, 20, time.time() - 20_000)
    truths = [{"prediction_id": each.prediction, "truth": "fraud"} for each in made] + [
        {"prediction_id": made[0].prediction, "truth": "clean"}
    ]
    path = tmp_path / "truths.json"
    path.write_text(
        json.dumps(truths, indent=1) if form == "list" else "".join(f"{json.dumps(each)}\n" for each in truths)
    )
    ended = trained("feedback", str(path), "--model", "fraud", "-o", "json")
    assert (ended.exit_code, ended.json()["new"], ended.json()["changed"]) == (0, 20, 1)


@pytest.mark.parametrize(
    ("content", "words"), [("a,b\n1,2\n", "no column prediction_id"), ("[1, 2", "no JSON list"), ("", "no column")]
)
def test_a_file_that_holds_no_truths_is_refused(trained: Canario, tmp_path: Path, content: str, words: str) -> None:
    """The answer says what the first line should be, and nothing is written."""
    path = tmp_path / "truths"
    path.write_text(content)
    ended = trained("feedback", str(path), "--model", "fraud")
    assert ended.exit_code == 2
    assert words in ended.stderr


def test_truths_go_to_a_server_as_well(trained: Canario, tmp_path: Path) -> None:
    """With --url nothing of this machine is needed but the file; a server that is away says how to go on."""
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, grpc_port = free.getsockname()[1], other.getsockname()[1]
    server = trained.start("serve", "fraud:v1", "--http-port", str(port), "--grpc-port", str(grpc_port))
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        write_csv(tmp_path / "truths.csv", answered(trained, 50, time.time() - 40_000))
        ended = trained("feedback", str(tmp_path / "truths.csv"), "--url", url, "-o", "json")
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert ended.exit_code == 0, ended.stderr
    assert ended.json() == {"new": 50, "repeated": 0, "changed": 0, "refused": 0, "unknown": None}


def test_quality_is_reported_of_answers_that_are_old_enough(trained: Canario, tmp_path: Path) -> None:
    """Table, document and page say the same, and answers whose labels may still come are not judged."""
    made = answered(trained, 144, time.time() - 86_400 - 43_000, tag="v2")
    write_csv(tmp_path / "truths.csv", made)
    assert trained("feedback", str(tmp_path / "truths.csv"), "--model", "fraud").exit_code == 0
    shown = trained("report", "quality", "fraud", "--version", "v2", "--maturity", "16h", "--window", "3d")
    assert "recall" in shown.stdout, shown.stderr
    assert "too young to judge" in shown.stdout
    (version,) = trained(
        "report", "quality", "fraud", "--version", "v2", "--maturity", "1s", "--window", "3d", "-o", "json"
    ).json()["versions"]
    scores = {score["name"]: score for score in version["scores"]}
    assert scores["recall"]["value"] == pytest.approx(15 / 23, abs=0.02)
    assert scores["recall"]["low"] < 15 / 23 < scores["recall"]["high"]
    assert version["predictions"] >= 140
    page = trained("report", "quality", "fraud", "--version", "v2", "--maturity", "1s", "--output", "html").stdout
    assert page.count("<svg") == len(scores)
    unknown = trained("report", "quality", "fraud", "--window", "5d", CANARIO_MATURITY_SECONDS="")
    assert "nothing is judged" in unknown.stderr or "age of" in unknown.stderr


def test_answers_of_a_moment_ago_are_reported_in_a_short_window(trained: Canario) -> None:
    """A window that begins within a cohort shows the whole cohort, and does not deny that there were answers."""
    answered(trained, 1, time.time() - 2, tag="v1")
    for window in (("--window", "5m"), ("--window", "12h", "--cohort", "day")):
        shown = trained("report", "quality", "fraud", "--version", "v1", *window)
        assert "no answers" not in shown.stderr
        assert "V1 BY THE TIME OF ITS ANSWERS" in shown.stdout, shown.stderr


def test_a_version_that_does_not_exist_is_told_from_one_without_answers(trained: Canario) -> None:
    """A misspelt --version fails and names the versions there are; it is not answered with an empty report."""
    shown = trained("report", "quality", "fraud", "--version", "v9")
    assert shown.exit_code == 1
    assert "no version fraud:v9" in shown.stderr
    assert "v1" in shown.stderr


def test_a_database_takes_the_place_of_the_files(trained: Canario, tmp_path: Path, postgres: PostgresServer) -> None:
    """With --database or CANARIO_FEEDBACK_URL the truths are there, for every other machine."""
    path = tmp_path / "truths.csv"
    path.write_text("prediction_id,truth\nv1.somewhere.0,fraud\n")
    first = trained("feedback", str(path), "--model", "fraud", "--database", postgres.url, "-o", "json")
    assert first.json() == {"new": 1, "repeated": 0, "changed": 0, "refused": 0, "unknown": 1}, first.stderr
    assert "1 truth of this model waits for a prediction" in first.stderr
    shown = trained("report", "quality", "fraud", **{URL_VARIABLE: postgres.url})
    assert "1 label is for a prediction that is not known here" in shown.stderr
    again = trained("feedback", str(path), "--model", "fraud", "-o", "json", **{URL_VARIABLE: postgres.url})
    assert again.json()["repeated"] == 1
    wrong = trained("feedback", str(path), "--model", "fraud", "--database", "mysql://x")
    assert wrong.exit_code == 2
    assert "postgresql://" in wrong.stderr


@given(
    content=st.binary(max_size=200)
    | st.builds(lambda rest: b"prediction_id,truth\n" + rest, st.binary(max_size=200))
    | st.builds(lambda rest: b'{"prediction_id": "v1.r.0", "truth": ' + rest, st.binary(max_size=60)),
    numbers=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_whatever_a_file_holds_its_lines_are_judged(content: bytes, numbers: bool) -> None:  # noqa: FBT001 - drawn
    """A damaged file is refused as a whole or line by line, in words, and never ends in a traceback."""
    try:
        found = list(members(io.BufferedReader(io.BytesIO(content)), truths_are_numbers=numbers))
    except UsageError:
        return
    incoming = sorted_out(FRAUD, found, 1.0)
    assert len(incoming.feedback) + len(incoming.refusals) == len(found)
    assert [number for number, _ in found] == sorted(number for number, _ in found)
