"""The verbs of a rollout on a real platform: up, rollout, watch, pause, promote, abort, rollback, explain, replay, down."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canario.adapters.versions import find_version
from canario.model.deployment import Status
from canario.model.rollout import Phase, RolloutState
from canario.platforms.local.platform import LocalPlatform
from demo.rows import sample_rows
from demo.traffic import Traffic
from tests.cli.program import PROGRAM, Canario, in_process

pytestmark = pytest.mark.real

REQUESTS_PER_SECOND = 60
PLAN = """
strategy: canary
steps:
  - {weight_percent: 50, minimum_requests: 30}
  - {weight_percent: 100, minimum_requests: 30}
gates:
  - {kind: errors, margin_percent: 20, confidence: 0.9}
watch_seconds: 1
watch_slow_percent: 100
"""


@pytest.fixture(scope="module")
def platform(trained: Canario) -> Iterator[Canario]:
    """fraud:v1 up on this machine; taken down at the end, which must leave nothing behind."""
    (trained.folder / "quick.yaml").write_text(PLAN)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch, trained.environment)
        try:
            ended = trained("up", "fraud:v1", "--port", str(port), "--processes", "1")
            assert ended.exit_code == 0, ended.stderr
            yield trained
        finally:
            down = trained("down", "fraud")
    assert down.exit_code == 0, down.stderr
    assert "taking fraud down: done in" in down.stderr
    assert processes_in(trained.folder) == []


@pytest.fixture
def fraud(platform: Canario) -> Iterator[Canario]:
    """The platform at rest: no rollout, v1 stable."""
    yield platform
    if state():
        platform("abort", "fraud")
        platform("watch", "fraud")
    if status().stable != "v1":
        assert platform("rollback", "fraud", "v1", "--wait").exit_code == 0


@pytest.fixture
def traffic(platform: Canario) -> Iterator[Traffic]:
    """Steady traffic over REST and gRPC, of which no client may see a failure."""
    card = find_version("fraud:v1").card()
    target = status().url.removeprefix("http://")
    rows = sample_rows("fraud", 50)
    with Traffic(
        target=target, model="fraud", card=card, rows=rows, requests_per_second=REQUESTS_PER_SECOND
    ) as clients:
        yield clients
    assert clients.tally.requests > 0
    assert dict(clients.tally.failures) == {}


def processes_in(folder: Path) -> list[str]:
    """The command lines of all processes that know a folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line]


def status() -> Status:
    """What the platform says of fraud, without a program of its own for each look."""
    return LocalPlatform("fraud").status()


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def start_rollout(platform: Canario, version: str, *flags: str) -> str:
    """Begin a rollout by the quick plan; its name."""
    ended = platform("rollout", version, "--plan", "quick.yaml", *flags, "--output", "json")
    assert ended.exit_code == 0, ended.stderr
    return str(ended.json()["rollout"]["state"]["rollout"])


def state() -> RolloutState | None:
    """How far the rollout under way has come."""
    rollout = status().rollout
    return rollout.state if rollout else None


def is_in(phase: Phase) -> bool:
    """Whether the rollout under way is in this phase."""
    present = state()
    return present is not None and present.phase is phase


def test_up_tells_where_the_model_answers_and_changes_nothing_when_it_is_up(fraud: Canario) -> None:
    """`up` prints the address; a second `up` leaves everything as it is, and another version is refused with the way to it."""
    again = fraud("up", "fraud", "--output", "json")
    assert again.json()["was_up"] is True
    assert again.json()["url"] == status().url
    other = fraud("up", "fraud:v2")
    assert other.exit_code == 1
    assert "canario rollout fraud:v2" in other.stderr


def without_ages(page: str) -> str:
    """A page without what time alone changes."""
    return re.sub(r"\d+\w+ ago", "some time ago", page)


def test_status_shows_who_answers_and_what_to_do_next(fraud: Canario) -> None:
    """`status` shows address, shares, servers and the commands that make sense, and the model may be left out."""
    page = fraud("status").stdout
    assert without_ages(page) == without_ages(fraud("status", "fraud").stdout)
    assert re.search(r"^url +http://127\.0\.0\.1:\d+ \(REST and gRPC\)$", page, re.MULTILINE)
    assert re.search(r"^v1 +stable +100 % +100 % +1 ready$", page, re.MULTILINE)
    assert "canario rollout fraud" in page


def test_list_says_where_a_version_runs(fraud: Canario) -> None:
    """`list` says of a version that answers what it is and where."""
    listed = {entry["record"]["name"]["tag"]: entry for entry in fraud("list", "fraud", "-o", "json").json()}
    assert listed["v1"]["runs"] == f"stable on {status().url}"
    assert listed["v1"]["packed"] is True
    assert listed["v2"]["runs"] == ""


def test_a_good_version_is_promoted_and_can_be_taken_back(fraud: Canario, traffic: Traffic) -> None:
    """`rollout --wait` ends with 0 when the version is promoted; it is told, explained, replayed, and undone by `rollback`."""
    ended = fraud("rollout", "fraud:v2", "--plan", "quick.yaml", "--wait", "--output", "json")
    assert ended.exit_code == 0, ended.stderr
    past = ended.json()
    assert (past["candidate"], past["phase"]) == ("v2", "promoted")
    assert re.search(r"^\d\d:\d\d:\d\d  stepping  50 %  ", ended.stderr, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d  watching  100 %  ", ended.stderr, re.MULTILINE)
    assert fraud("history", "fraud", "--output", "json").json()[0] == past
    assert past["rollout"] in fraud("history").stdout

    story = fraud("explain", "fraud", past["rollout"]).stdout
    assert re.search(r"v2 answered \d+ requests: 0 errors", story)
    assert "Ordered: the router is to run 50 % v2 and the rest v1." in story

    again = fraud("replay", "fraud")
    assert again.exit_code == 0
    assert re.fullmatch(r"\d+ decisions of \d+ rollouts taken again: every one came out the same\n", again.stdout)

    back = fraud("rollback", "fraud", "--wait")
    assert back.exit_code == 0, back.stderr
    assert status().stable == "v1"


def test_a_bad_version_is_thrown_back_with_exit_code_3(fraud: Canario, traffic: Traffic) -> None:
    """A version that fails is thrown back by itself; `watch` ends with 3 and names the command that tells why."""
    rollout = start_rollout(fraud, "fraud:bad")
    ended = fraud("watch", "fraud")
    assert ended.exit_code == 3, ended.stderr
    assert ended.stdout.startswith(f"{rollout}: bad over v1, rolled-back ")
    assert "error: fraud:bad was judged bad and rolled back" in ended.stderr
    assert f"hint: `canario explain fraud {rollout}` tells why" in ended.stderr
    assert re.search(r"Failed, by the sequential test: errors: bad \d+ of \d+", fraud("explain").stdout)
    assert fraud("watch").exit_code == 3


def test_a_rollout_without_traffic_holds_and_obeys(fraud: Canario) -> None:
    """Without evidence nothing is decided: `status` says how many requests each gate needs; pause, resume, abort are obeyed."""
    start_rollout(fraud, "fraud:v2")
    eventually(lambda: is_in(Phase.STEPPING), "it does not begin")
    eventually(lambda: (verdict := status().verdict) is not None and bool(verdict.gates), "no gate is judged")
    page = fraud("status").stdout
    assert re.search(r"^v2 +candidate +50 % +50 % +1 ready$", page, re.MULTILINE)
    assert re.search(r"^step +1 of 2, 50 %, 30 requests$", page, re.MULTILINE)
    assert re.search(r"^errors +unknown +about \d+ more +\S", page, re.MULTILINE)

    fraud("pause", "--reason", "looking")
    eventually(lambda: is_in(Phase.PAUSED), "it does not pause")
    assert re.search(r"^why +paused by \w+: looking", fraud("status").stdout, re.MULTILINE)
    fraud("resume", "fraud")
    eventually(lambda: is_in(Phase.STEPPING), "it does not resume")
    assert "the rollout of v2 is under way" in fraud("rollout", "fraud:bad").stderr

    fraud("abort", "fraud", "--reason", "changed my mind")
    watched = fraud("watch", "fraud")
    assert watched.exit_code == 1
    assert "was not promoted: aborted by" in watched.stderr
    assert "changed my mind" in watched.stderr
    assert "nothing to resume" in fraud("resume", "fraud").stderr


def test_a_step_waits_for_approval(fraud: Canario, traffic: Traffic) -> None:
    """With --approve-each-step nothing goes on before `canario promote`, which `status` says."""
    start_rollout(fraud, "fraud:v2", "--approve-each-step", "--watch-seconds", "600")
    eventually(lambda: bool((present := state()) and present.passed), "it does not pass")
    page = fraud("status").stdout
    assert "needs `canario promote`" in page
    assert re.search(r"^next +canario promote fraud$", page, re.MULTILINE)
    assert is_in(Phase.STEPPING)
    fraud("promote", "fraud")
    eventually(lambda: is_in(Phase.WATCHING), "it does not go on")
    assert "2 of 2, the watch, for 10m00s" in fraud("status").stdout
    fraud("rollback", "fraud", "--wait")
    assert status().stable == "v1"


def test_a_changed_journal_is_found_out(fraud: Canario, tmp_path: Path) -> None:
    """`replay` ends with 1 and names decision and field when a recorded decision does not follow from its evidence."""
    start_rollout(fraud, "fraud:v2")
    fraud("abort", "fraud")
    fraud("watch", "fraud")
    journal = tmp_path / "journal"
    shutil.copytree(fraud.folder / "home" / "local" / "fraud" / "journal", journal)
    (segment,) = journal.glob("*.jsonl")
    assert fraud("replay", str(journal)).exit_code == 0
    decisions = [json.loads(line) for line in segment.read_text().splitlines()]
    decisions[0]["after"]["phase"] = "watching"
    segment.write_text("".join(json.dumps(decision) + "\n" for decision in decisions))
    ended = fraud("replay", str(segment))
    assert ended.exit_code == 1
    assert re.search(r"^1 +after\.phase ", ended.stdout, re.MULTILINE)
    assert f"error: 1 of {len(decisions)} decisions came out differently" in ended.stderr


def test_watch_is_a_live_page_on_a_terminal(fraud: Canario) -> None:
    """On a terminal `watch` shows the status and the last decisions in place; Ctrl-C leaves it with 130, and the rollout goes on."""
    start_rollout(fraud, "fraud:v2")
    screen, end = pty.openpty()
    watching = subprocess.Popen(
        [PROGRAM, "watch", "fraud"],
        env={**fraud.environment, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50"},
        cwd=fraud.folder,
        stdin=end,
        stdout=end,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    os.close(end)
    try:
        seen = ""
        while "stepping" not in seen or "candidate" not in seen or "VERDICT" not in seen:
            seen += os.read(screen, 4096).decode()
        watching.send_signal(2)
        _, stderr = watching.communicate(timeout=30)
    finally:
        watching.kill()
        os.close(screen)
    assert watching.returncode == 130
    assert stderr.strip() == "interrupted"
    assert is_in(Phase.STARTING) or is_in(Phase.STEPPING)
