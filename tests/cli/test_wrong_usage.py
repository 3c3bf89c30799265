"""Command lines that cannot be done: each is refused with what is wrong and what to try, and the right exit code."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from canario.cli.main import run
from tests.cli.program import Canario, in_process

FAILED, USAGE = 1, 2

WRONG = [
    ("tarin fraud", USAGE, "there is no command 'tarin'; did you mean `canario train`?", "canario --help"),
    ("--verbose", USAGE, "no such option '--verbose'", "canario --help"),
    ("train", USAGE, "missing argument 'MODEL'", "canario train --help"),
    ("train nothing", FAILED, "there is no model room 'nothing'", "rooms here: fraud, loan"),
    (
        "train fraud --seed one",
        USAGE,
        "invalid value for '--seed': 'one' is not a valid integer",
        "canario train --help",
    ),
    ("train fraud --last-day 30.06.2026", USAGE, "'30.06.2026' does not match the format '%Y-%m-%d'", "--help"),
    ("train fraud --estimator xgboost", USAGE, "fraud has no estimator 'xgboost'", "hist-gradient-boosting"),
    (
        "train fraud --first-day 2026-06-30 --last-day 2026-06-01",
        USAGE,
        "the first day, 2026-06-30, lies after the last",
        "swap",
    ),
    ("train fraud --tag no/slash", USAGE, "'no/slash' cannot be a version's tag", "lower-case"),
    ("train fraud --sede 2", USAGE, "no such option '--sede'. Did you mean '--seed'?", "canario train --help"),
    ("train fraud --seed", USAGE, "option '--seed' requires an argument", "canario train --help"),
    ("list --output xml", USAGE, "'xml' is not one of 'table', 'json'", "canario list --help"),
    ("list fraud loan", USAGE, "got unexpected extra argument (loan)", "canario list --help"),
    ("show", USAGE, "missing argument 'VERSION'", "canario show --help"),
    ("show nothing", FAILED, "no version of 'nothing' is stored here", "canario train nothing"),
    ("show :v1", FAILED, "no version of '' is stored here", "canario list"),
    ("build fraud:v9", FAILED, "no version of 'fraud' is stored here", "canario train fraud"),
    ("export fraud:v9", FAILED, "no version of 'fraud' is stored here", "canario import FILE"),
    ("import nothing.canario", FAILED, "there is no file nothing.canario", "canario export"),
    ("import letter.txt", USAGE, "letter.txt is not a version's archive", "canario export"),
    ("import folder", USAGE, "File 'folder' is a directory", "canario import --help"),
    ("adopt churn nothing.joblib --sample rows.csv", FAILED, "there is no file nothing.joblib", "joblib.dump"),
    ("adopt churn letter.txt", USAGE, "missing option '--sample'", "canario adopt --help"),
    ("adopt Churn! letter.txt --sample rows.csv", USAGE, "'Churn!' is not a model's name", "lower-case"),
    ("serve fraud", FAILED, "no version of 'fraud' is stored here", "canario train fraud"),
    ("serve fraud --http-port 99999", USAGE, "99999 is not in the range 1<=x<=65535", "canario serve --help"),
    ("up nothing", FAILED, "no version of 'nothing' is stored here", "canario train nothing"),
    ("up fraud --processes 0", USAGE, "0 is not in the range 1<=x<=64", "canario up --help"),
    ("up fraud --port web", USAGE, "'web' is not a valid integer range", "canario up --help"),
    ("rollout fraud:v2", FAILED, "no version of 'fraud' is stored here", "canario train fraud"),
    ("rollout fraud --steps ten,fifty", USAGE, "'ten,fifty' is no list of weights", "canario rollout --help"),
    ("rollout fraud --strategy roulette", USAGE, "'roulette' is not one of 'canary'", "canario rollout --help"),
    ("rollout fraud --watch-seconds -1", USAGE, "-1.0 is not in the range x>=0", "canario rollout --help"),
    ("report drift fraud --since 99999999999d", USAGE, "the longest is 36500d", "canario report drift --help"),
    ("report quality fraud --window 36501d", USAGE, "the longest is 36500d", "canario report quality --help"),
    ("status fraud", FAILED, "fraud was never up here", "canario up fraud"),
    ("watch", FAILED, "no model is up", "canario up MODEL"),
    ("promote", FAILED, "no model is up", "canario up MODEL"),
    ("abort fraud", FAILED, "fraud was never up here", "canario up fraud"),
    ("rollback fraud v1", FAILED, "fraud was never up here", "canario up fraud"),
    ("down", FAILED, "no model is up", "canario up MODEL"),
    ("history fraud", FAILED, "fraud was never up here", "canario up fraud"),
    ("explain fraud", FAILED, "fraud was never up here", "canario up fraud"),
    ("replay ./nothing.jsonl", FAILED, "there is no journal in nothing.jsonl", ".jsonl"),
    ("replay ./letter.jsonl", FAILED, "this is no decision", "CANARIO_HOME/local/MODEL/journal"),
    ("schema card", USAGE, "'card' is not one of 'model', 'rollout'", "canario schema --help"),
]
WRONG_PLANS = [
    ("--steps 50,10,100", "the weights do not rise: 50 is followed by 10", "steps[1].weight_percent", "small to large"),
    ("--steps 10,50", "the last weight is 50", "steps[1].weight_percent", "end with a step of 100"),
    ("--steps 0,100", "a weight of 0 % is not above 0", "steps[0].weight_percent", "blue-green"),
    ("--strategy shadow --sticky-header user", "a shadow shares no weight", "sticky_header", "canary"),
    ("--sticky-header X-User", "'X-User' is no header", "sticky_header", "lower-case"),
    ("--plan nothing.yaml", "there is no file nothing.yaml", "nothing.yaml", "canario schema rollout"),
    ("--plan typo.yaml", "strateggy", "typo.yaml: strateggy", "canario schema rollout"),
    ("--plan broken.yaml", "this is not YAML", "broken.yaml", "canario schema rollout"),
]


def test_the_table_is_long_enough() -> None:
    """At least 25 kinds of wrong command lines are tried."""
    assert len(WRONG) >= 25


@pytest.mark.parametrize(("line", "exit_code", "message", "hint"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_command_line_is_refused_with_help(
    line: str,
    exit_code: int,
    message: str,
    hint: str,
    canario: Canario,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong command line prints nothing on stdout, says on stderr what is wrong and what to try, and never a traceback."""
    in_process(monkeypatch, canario.environment)
    monkeypatch.chdir(canario.folder)
    Path("folder").mkdir()
    Path("letter.txt").write_text("Dear reader,")
    Path("letter.jsonl").write_text('{"dear": "reader"}\n')
    Path("rows.csv").write_text("age\n40\n")
    assert run(shlex.split(line)) == exit_code
    streams = capsys.readouterr()
    assert streams.out == ""
    first, *more = [text for text in streams.err.splitlines() if text.startswith(("error: ", "  at ", "  hint: "))]
    assert first.startswith("error: ")
    assert message in first
    assert more[-1].startswith("  hint: ")
    assert hint in more[-1]
    assert "unexpected" not in first or "argument" in first
    assert "Traceback" not in streams.err


@pytest.mark.parametrize(("flags", "message", "at", "hint"), WRONG_PLANS, ids=[row[0] for row in WRONG_PLANS])
def test_a_plan_that_cannot_be_honoured_is_refused_before_anything_starts(
    flags: str,
    message: str,
    at: str,
    hint: str,
    trained: Canario,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A rollout whose plan makes no sense names the field and the way to mend it, also in a dry run."""
    in_process(monkeypatch, trained.environment)
    monkeypatch.chdir(tmp_path)
    Path("typo.yaml").write_text("strateggy: canary\nsteps: []\ngates: []\n")
    Path("broken.yaml").write_text("steps: [\n")
    assert run(["rollout", "fraud:v2", "--dry-run", *flags.split()]) == (FAILED if "nothing" in flags else USAGE)
    streams = capsys.readouterr()
    assert streams.out == ""
    first, second, third = streams.err.splitlines()
    assert message in first
    assert at in second
    assert hint in third


def test_a_refusal_reaches_the_shell(canario: Canario) -> None:
    """The program itself ends with the exit codes that its help promises, with nothing on stdout."""
    for arguments, exit_code in ((["show", "nothing"], FAILED), (["show"], USAGE)):
        ended = canario(*arguments)
        assert (ended.exit_code, ended.stdout) == (exit_code, "")
        assert ended.stderr.startswith("error: ")
