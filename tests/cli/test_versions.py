"""Versions from the command line: made, listed, shown, packed, carried, adopted, served."""

from __future__ import annotations

import re
import signal
import socket
import time
from pathlib import Path

import httpx
import joblib
import pytest
from sklearn.linear_model import LogisticRegression

from tests.cli.program import Canario

pytestmark = pytest.mark.real


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_train_prints_the_version_and_tells_the_rest_on_stderr(trained: Canario) -> None:
    """`canario train` gives the new version's record on stdout, and progress and the next commands on stderr."""
    ended = trained(
        "train", "loan", "--first-day", "2026-06-28", "--last-day", "2026-06-30", "--tag", "t1", "--output", "json"
    )
    assert ended.exit_code == 0
    record = ended.json()
    assert record["name"] == {"model": "loan", "tag": "t1"}
    assert record["training"]["first day"] == "2026-06-28"
    assert record["scores"]
    assert "training loan: done in" in ended.stderr
    assert "canario up loan:t1" in ended.stderr


def test_ctrl_c_leaves_nothing_half_made(trained: Canario) -> None:
    """Ctrl-C during long work ends with 130 and one word, and no version is stored."""
    training = trained.start("train", "fraud", "--tag", "never")
    assert training.stderr is not None
    assert training.stderr.readline() == "training fraud\n"
    time.sleep(1)
    training.send_signal(signal.SIGINT)
    stdout, stderr = training.communicate(timeout=60)
    assert (training.returncode, stdout) == (130, "")
    assert stderr.strip().splitlines()[-1] == "interrupted"
    assert "Traceback" not in stderr
    assert trained("show", "fraud:never").exit_code == 1


def test_list_shows_what_tells_versions_apart(trained: Canario) -> None:
    """`canario list` shows the versions newest first: when, kernel, estimator, scores, digest, packed, where it runs."""
    ended = trained("list", "fraud")
    heading, *rows = ended.stdout.splitlines()
    assert heading.split() == ["VERSION", "CREATED", "AGE", "KERNEL", "ESTIMATOR", "SCORES", "DIGEST", "PACKED", "RUNS"]
    assert {row.split()[0] for row in rows} == {"fraud:v1", "fraud:v2", "fraud:bad"}
    created = [re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row) for row in rows]
    moments = [found.group() for found in created if found]
    assert moments == sorted(moments, reverse=True)
    assert all("recall " in row for row in rows)
    assert all(len(line) == len(line.rstrip()) for line in ended.stdout.splitlines())


def test_list_as_json_is_one_document_with_the_nouns_fields(trained: Canario) -> None:
    """Programs get one JSON list, whose entries hold the version's record and whether it is packed and runs."""
    listed = trained("list", "fraud", "--output", "json").json()
    assert {entry["record"]["name"]["tag"] for entry in listed} == {"v1", "v2", "bad"}
    assert all(set(entry) == {"record", "packed", "runs"} for entry in listed)
    assert all(entry["record"]["digest"].startswith("sha256:") for entry in listed)


def test_an_empty_list_is_no_error(canario: Canario) -> None:
    """Where nothing was trained, `list` prints an empty list for programs, nothing for people, and says what to do."""
    assert canario("list", "--output", "json").json() == []
    ended = canario("list")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "canario train MODEL" in ended.stderr


def test_show_tells_everything(trained: Canario) -> None:
    """`canario show` has scores with intervals, the card, its columns, the kernel and its reason, the libraries."""
    page = trained("show", "fraud:v1").stdout
    for part in ("SCORES, WITH THEIR 95 % INTERVALS", "CARD", "COLUMNS", "TRAINING", "LIBRARIES"):
        assert f"\n{part}\n" in page
    assert re.search(r"recall +0\.\d+ \(0\.\d+ to [01]\.?\d*\)", page)
    assert re.search(r"kernel +onnx: \w+", page)
    assert re.search(r"scikit-learn +\d+\.\d+", page)
    assert re.search(r"amount +number +EUR +0.01 to 20,000 +no", page)
    assert re.search(r"answers +outcome \(classification\): clean or fraud; fraud from a score of 0\.\d+", page)


def test_a_version_is_found_by_the_beginning_of_its_tag(trained: Canario) -> None:
    """The unambiguous beginning of a tag is enough, and an ambiguous one is refused with the tags that it could be."""
    assert trained("show", "fraud:b", "--output", "json").json()["record"]["name"]["tag"] == "bad"
    ended = trained("show", "fraud:v")
    assert ended.exit_code == 2
    assert "v1" in ended.stderr
    assert "v2" in ended.stderr


def test_a_version_travels_as_one_file(trained: Canario, canario: Canario) -> None:
    """What is exported here is imported there with the same digest; a changed file is refused."""
    ended = trained("export", "fraud:v1", str(canario.folder / "v1.canario"))
    archive = Path(ended.stdout.strip())
    assert archive == canario.folder / "v1.canario"
    there = canario("import", "v1.canario", "--output", "json").json()
    assert there == trained("show", "fraud:v1", "--output", "json").json()["record"]
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    refused = canario("import", "v1.canario")
    assert refused.exit_code in (1, 2)
    assert refused.stderr.splitlines()[1].startswith("error: ")


def test_export_names_the_file_itself(trained: Canario) -> None:
    """Without FILE the archive is named like the version and lies where the command was given."""
    assert trained("export", "fraud:v2").stdout == "fraud-v2.canario\n"
    assert (trained.folder / "fraud-v2.canario").is_file()


def test_an_estimator_is_adopted(canario: Canario, tmp_path: Path) -> None:
    """A fitted estimator and a sample make a version and a room, whose card the person is told to complete."""
    rows = [[float(number % 7), float(number % 5)] for number in range(60)]
    truth = [int(first > second) for first, second in rows]
    joblib.dump(LogisticRegression().fit(rows, truth), tmp_path / "model.joblib")
    lines = [
        "visits,returns,left",
        *(f"{first},{second},{left}" for (first, second), left in zip(rows, truth, strict=True)),
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    words = ("adopt", "churn", "model.joblib", "--sample", "rows.csv", "--label", "left", "--tag", "v1")
    ended = canario(*words, "--output", "json", CANARIO_ROOMS=str(tmp_path / "rooms"))
    assert ended.exit_code == 0, ended.stderr
    assert ended.json()["name"] == {"model": "churn", "tag": "v1"}
    assert (tmp_path / "rooms" / "churn" / "model.yaml").is_file()
    assert "put in titles, units and ranges" in ended.stderr


def test_serve_answers_until_ctrl_c(trained: Canario) -> None:
    """`canario serve` answers on the ports that were asked for, operators on one of their own, and Ctrl-C ends it well."""
    http_port, grpc_port, operator_port = free_ports(3)
    ports = {"--http-port": http_port, "--grpc-port": grpc_port, "--operator-port": operator_port}
    server = trained.start("serve", "fraud:v1", *(word for pair in ports.items() for word in map(str, pair)))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", trust_env=False) as client:
            eventually_ready(client)
            assert "fraud" in client.get("/").text
            assert "canario_rows_total" in client.get(f"http://127.0.0.1:{operator_port}/metrics").text
        server.send_signal(signal.SIGINT)
        stdout, stderr = server.communicate(timeout=30)
    finally:
        server.kill()
    assert (server.returncode, stdout) == (0, "")
    assert f"http://127.0.0.1:{http_port}" in stderr
    assert "Traceback" not in stderr


def eventually_ready(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the server did not become ready")


def test_a_taken_port_is_told_before_anything_is_served(trained: Canario) -> None:
    """A port that another program holds is named, with the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = trained("serve", "fraud:v1", "--http-port", str(port), "--grpc-port", str(free_ports(1)[0]))
    assert ended.exit_code == 1
    assert str(port) in ended.stderr
    assert "--http-port" in ended.stderr
