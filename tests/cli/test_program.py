"""The program as a whole: its help, its streams, its exit codes, how it starts and how it fails."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from canario.cli.documented import Documented
from canario.cli.main import NOTES, SECTIONS
from canario.cli.main import canario as group
from tests.cli.program import PROGRAM, ROOT, Canario

COMMANDS = [name for names in SECTIONS.values() for name in names]
HEAVY = {"bentoml", "sklearn", "pandas", "onnxruntime", "onnx", "grpc", "scipy"}


def command_named(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def test_help_shows_every_command_by_purpose(canario: Canario) -> None:
    """`canario --help` shows each command once, under what a person wants to do, with what it does."""
    ended = canario("--help")
    assert ended.exit_code == 0
    assert ended.stderr == ""
    for section, names in SECTIONS.items():
        assert f"{section}:" in ended.stdout
        for name in names:
            assert len(re.findall(rf"^  {name}  +[A-Z]", ended.stdout, re.MULTILINE)) == 1, name


def test_no_line_of_the_help_is_cut_off(canario: Canario) -> None:
    """What a command does is told to its end."""
    assert [
        line for line in canario("--help").stdout.splitlines() if line.endswith("...") and "Usage" not in line
    ] == []


def test_the_readme_tells_the_exit_codes_as_the_help_does() -> None:
    """Every exit code is in both, with the same words."""
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert [code for code, meaning in NOTES["Exit codes"] if f" {code} {meaning}" not in readme] == []


def test_help_tells_how_to_switch_completion_on(canario: Canario) -> None:
    """`canario --help` says what to put into the shell's start file for Tab to complete."""
    assert "_CANARIO_COMPLETE=bash_source canario" in canario("--help").stdout


def test_canario_alone_shows_the_help(canario: Canario) -> None:
    """A person who types `canario` and nothing else is shown what there is."""
    assert canario().stdout == canario("--help").stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_examples_that_are_accepted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of each command shows examples, and each of them is a command line that the command accepts."""
    monkeypatch.chdir(tmp_path)
    command = command_named(name)
    shown = CliRunner().invoke(command, ["--help"], prog_name=f"canario {name}")
    assert shown.exit_code == 0
    assert isinstance(command, Documented)
    assert command.examples
    for example in command.examples:
        assert example in shown.output
        program, verb, *arguments = shlex.split(example.partition(" > ")[0].rpartition(" | ")[2])
        for file in (word for word in arguments if re.fullmatch(r"[\w-]+\.(csv|jsonl?)", word)):
            Path(file).touch()
        assert (program, verb) == ("canario", name)
        command.make_context(name, arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    """No option is left without a sentence that ends in a full stop."""
    options = [parameter for parameter in command_named(name).params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not (option.help or "").endswith(".")] == []


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["status"], ["rollout", "--help"]], ids=" ".join)
def test_quick_commands_load_nothing_heavy(canario: Canario, arguments: list[str]) -> None:
    """Help, completion, `list` and `status` import no machine learning, no BentoML and no gRPC, so that they answer at once."""
    script = (
        "import sys, canario.cli.main as program\n"
        f"code = program.run({arguments!r})\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        env=dict(canario.environment),
        cwd=canario.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = set(re.findall(r"'(\w+)'", ran.stderr.splitlines()[-1]))
    assert loaded & HEAVY == set()


def test_completion_offers_commands_models_and_versions(canario: Canario) -> None:
    """Tab completes commands, rooms and stored versions."""
    (Path(canario.environment["BENTOML_HOME"]) / "models" / "fraud" / "v1").mkdir(parents=True)

    def complete(*words: str) -> set[str]:
        line = {"_CANARIO_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["canario", *words])}
        ended = canario(COMP_CWORD=str(len(words)), **line)
        return {offer.partition(",")[2] for offer in ended.stdout.splitlines()}

    assert {"promote"} == complete("prom")
    assert {"fraud", "loan"} <= complete("train", "")
    assert {"fraud", "fraud:v1"} == complete("show", "fr")


def test_the_version_is_told(canario: Canario) -> None:
    """`canario --version` names the release."""
    assert re.fullmatch(r"canario \d+\.\d+\.\d+\n", canario("--version").stdout)


def test_an_unforeseen_error_is_one_line_and_its_traceback_is_kept(canario: Canario) -> None:
    """A defect shows one line and the file with the traceback; CANARIO_DEBUG=1 shows the traceback itself."""
    home = Path(canario.environment["BENTOML_HOME"])
    home.write_text("a file where a folder belongs")
    broken = {"PYTHONPATH": str(canario.folder)}
    (canario.folder / "sitecustomize.py").write_text(
        "import canario.adapters.versions as versions\n"
        "def stored_versions(model=''):\n    raise ZeroDivisionError('nobody thought of this')\n"
        "versions.stored_versions = stored_versions\n"
    )
    ended = canario("list", **broken)
    assert ended.exit_code == 1
    assert ended.stdout == ""
    first, at, hint = ended.stderr.splitlines()
    assert first == "error: an unexpected ZeroDivisionError: nobody thought of this"
    assert "Traceback" in Path(at.removeprefix("  at ")).read_text()
    assert hint.startswith("  hint: ")
    assert "Traceback" in canario("list", **broken, CANARIO_DEBUG="1").stderr


def on_a_terminal(canario: Canario, *arguments: str, **changes: str) -> str:
    """What a command line prints on a terminal."""
    screen, end = pty.openpty()
    running = subprocess.Popen(
        [PROGRAM, *arguments],
        env={**canario.environment, "TERM": "xterm-256color", **changes},
        cwd=canario.folder,
        stdin=end,
        stdout=end,
        stderr=end,
    )
    os.close(end)
    printed = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody holds its other end any more
        while chunk := os.read(screen, 4096):
            printed += chunk
    os.close(screen)
    running.wait(timeout=30)
    return printed.decode()


def test_colour_is_only_for_terminals_that_want_it(canario: Canario) -> None:
    """Colour is on a terminal alone, and neither with NO_COLOR nor on a dumb terminal; the words are the same."""
    red = "\x1b[1;31m"
    assert red in on_a_terminal(canario, "show", "nothing")
    assert red not in on_a_terminal(canario, "show", "nothing", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(canario, "show", "nothing", TERM="dumb")
    piped = canario("show", "nothing").stderr
    assert piped.startswith("error: no version of 'nothing'")
    assert "\x1b" not in piped


def test_long_work_moves_on_a_terminal_and_is_told_in_lines_elsewhere(canario: Canario) -> None:
    """Work that takes a while shows a moving line on a terminal, and plain lines in a log or on a dumb terminal."""
    moving = on_a_terminal(canario, "import", "nothing.canario")
    assert "\x1b[?25l" in moving, "the cursor is not hidden"
    assert moving.rindex("\x1b[?25h") > moving.rindex("\x1b[?25l"), "the cursor does not come back"
    for plain in (
        on_a_terminal(canario, "import", "nothing.canario", TERM="dumb"),
        canario("import", "nothing.canario").stderr,
    ):
        assert plain.startswith("importing nothing.canario")
        assert "\x1b" not in plain
