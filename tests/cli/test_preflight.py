"""`canario rollout --preflight` on a real platform: what differs too much is never started, and a person sees why."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import msgspec
import pytest

from canario.cli.preflight import PreflightFlags, PreflightRun
from canario.errors import NotFound
from canario.model.address import Address, PlatformKind
from canario.model.deployment import Status
from canario.model.journal import JournalEntry
from canario.model.preflight import Preflight
from canario.packaging.rooms import load_room
from demo.tables import table, write
from tests.cli.program import Canario, in_process

pytestmark = pytest.mark.real

ROWS = 3000


class Elsewhere:
    """What a cluster tells of its model, whose stable version was never on this machine."""

    model = "fraud"
    address = Address(on=PlatformKind.KUBERNETES, namespace="models")

    def status(self) -> Status:
        """It is up, and nothing is on trial."""
        return Status(model="fraud", is_up=True, url="", stable="r7", is_supervised=True)

    def journal(self) -> Iterator[JournalEntry]:
        """Nobody asks."""
        return iter(())


@pytest.fixture(scope="module")
def platform(trained: Canario) -> Iterator[Canario]:
    """fraud:v1 up on this machine, with files of payments beside."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch, trained.environment)
        room = load_room("fraud")
        write(room, ROWS, trained.folder / "payments.parquet")
        rows = table(room, 50)
        rows.to_csv(trained.folder / "few.csv", index=False)
        rows.drop(columns="country").to_csv(trained.folder / "narrow.csv", index=False)
        try:
            ended = trained("up", "fraud:v1", "--port", str(port), "--processes", "1")
            assert ended.exit_code == 0, ended.stderr
            yield trained
        finally:
            trained("down", "fraud")


def records(platform: Canario) -> list[Preflight]:
    """What is kept, newest first, as programs read it."""
    ended = platform("report", "preflight", "fraud", "--output", "json")
    return msgspec.json.decode(ended.stdout, type=list[Preflight])


def is_under_way(platform: Canario) -> bool:
    return platform("status", "fraud", "--output", "json").json()["rollout"] is not None


def test_a_candidate_that_differs_too_much_is_not_started(platform: Canario) -> None:
    """Exit code 3, the comparison on stdout, the reason on stderr; no rollout began, and the record tells it later."""
    ended = platform(
        "rollout", "fraud:v2", "--preflight", "payments.parquet", "--preflight-score-distance", "0", "--output", "json"
    )
    assert ended.exit_code == 3
    found = msgspec.json.decode(ended.stdout, type=Preflight)
    assert (found.stable, found.candidate, found.comparison.rows) == ("v1", "v2", ROWS)
    assert found.verdict.answer == "fail"
    assert "too unlike stable" in ended.stderr
    assert "`canario report preflight fraud`" in ended.stderr
    assert not is_under_way(platform)
    assert records(platform)[0] == found
    page = platform("report", "preflight", "fraud").stdout
    assert "fail: the scores lie" in page


def test_too_few_rows_are_told_apart(platform: Canario) -> None:
    """With a file too short to tell, nothing is started either, and it is said how many more rows it takes."""
    ended = platform(
        "rollout", "fraud:v2", "--preflight", "few.csv", "--preflight-disagreement-percent", "1", "--dry-run"
    )
    assert ended.exit_code == 3
    assert "more rows would tell" in ended.stderr
    assert records(platform)[0].verdict.answer == "unknown"


def test_a_candidate_that_passes_goes_on_trial(platform: Canario) -> None:
    """After a preflight that passed the rollout begins as ever, and the record names it."""
    ended = platform("rollout", "fraud:v2", "--preflight", "payments.parquet", "--output", "json")
    try:
        assert ended.exit_code == 0, ended.stderr
        assert "preflight: passed" in ended.stderr
        rollout = ended.json()["rollout"]["state"]["rollout"]
        assert records(platform)[0].rollout == rollout
        again = platform("rollout", "fraud:v2", "--preflight", "payments.parquet")
        assert again.exit_code == 1
        assert "the rollout of v2 is under way" in again.stderr
    finally:
        platform("abort", "fraud")
        platform("watch", "fraud")


def test_a_dry_run_only_compares(platform: Canario) -> None:
    """--dry-run shows the comparison and starts nothing."""
    ended = platform("rollout", "fraud:v2", "--preflight", "payments.parquet", "--dry-run")
    assert ended.exit_code == 0, ended.stderr
    assert "disagreement percent   pass" in ended.stdout
    assert "nothing was started" in ended.stderr
    assert not is_under_way(platform)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("fraud:v1", "--preflight", "few.csv"), 1, "fraud:v1 is the stable version already"),
        (("fraud:v2", "--preflight", "narrow.csv"), 1, "there is no column country"),
        (("fraud:v2", "--preflight", "nothing.csv"), 1, "there is no nothing.csv"),
        (("fraud:v2", "--preflight-failed-percent", "1"), 2, "no file for it"),
        (("fraud:v2", "--preflight", "few.csv", "--preflight-disagreement-percent", "-1"), 2, "-1 is no share"),
    ],
)
def test_what_cannot_be_compared_says_why(
    platform: Canario, arguments: tuple[str, ...], exit_code: int, words: str
) -> None:
    """A preflight that cannot be made starts nothing, and says what to do."""
    ended = platform("rollout", *arguments)
    assert ended.exit_code == exit_code
    assert words in ended.stderr
    assert not is_under_way(platform)


def test_no_preflight_yet_is_no_error(canario: Canario) -> None:
    """Where none was made the report says how one is made."""
    ended = canario("report", "preflight", "fraud")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "--preflight FILE" in ended.stderr


def test_a_clusters_versions_are_brought_here_first(trained: Canario, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cluster the versions are images; a preflight takes them from this machine's store, and says how they get there."""
    in_process(monkeypatch, trained.environment)
    flags = PreflightFlags(
        file="few.csv", disagreement_percent=None, failed_percent=None, class_factor=None, score_distance=None
    )
    with pytest.raises(NotFound, match="fraud:r7 is not stored on this machine") as missing:
        PreflightRun(Elsewhere(), flags).judge("v2", "", lambda _: None)
    assert "`canario export fraud:r7`" in missing.value.hint
    assert "`canario import FILE`" in missing.value.hint
