"""Command lines to a cluster that cannot be done: each says what is wrong and names the next command with the flags that reach the same place."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import pytest
import yaml

from canario.cli.main import run
from canario.model.address import KUBECTL_PROGRAM, PROGRAM
from tests.cli.program import Canario, in_process

FAILED, USAGE = 1, 2
ON = "--on kubernetes"

WRONG = [
    (f"status {ON}", USAGE, "no cluster is configured", "kubectl config get-contexts"),
    (f"promote fraud {ON}", USAGE, "no cluster is configured", "kubectl config get-contexts"),
    (f"rollout fraud:v2 {ON}", USAGE, "no cluster is configured", "kubectl config get-contexts"),
    (f"status fraud {ON} --context elsewhere", USAGE, "no cluster is configured", "kubectl config get-contexts"),
    ("status --on mars", USAGE, "'mars' is not one of 'local', 'kubernetes'", "canario status --help"),
    ("status fraud -n models", USAGE, "--namespace is for clusters: add --on kubernetes", "canario status --help"),
    ("abort fraud --context home", USAGE, "--context is for clusters: add --on kubernetes", "canario abort --help"),
    ("rollout fraud:v2 --image fraud:v2", USAGE, "--image is for clusters", "add --on kubernetes"),
    (
        f"up fraud:v1 {ON} -n models",
        USAGE,
        "in a cluster Helm brings a model up",
        "helm install fraud helm/model --set bento=fraud:v1 --set replicas=2 -n models",
    ),
    (
        f"up fraud {ON} --context home --processes 3",
        USAGE,
        "in a cluster Helm brings a model up",
        "helm install fraud helm/model --set bento=fraud:TAG --set replicas=3 --kube-context home",
    ),
    (f"down fraud {ON} -n models", USAGE, "Helm takes a model down", "helm uninstall fraud -n models"),
    (f"down {ON}", USAGE, "Helm takes a model down", "helm uninstall MODEL"),
    (f"serve fraud {ON}", USAGE, "no such option '--on'", "canario serve --help"),
]
WRONG_OF_THE_PLUGIN = [
    ("train fraud", "there is no command 'train' here; `canario train` is for this machine", "kubectl canario --help"),
    ("statsu fraud", "did you mean `kubectl canario status`?", "kubectl canario --help"),
    ("status --on local", "kubectl canario speaks to clusters", "kubectl canario status --help"),
    ("status fraud", "no cluster is configured", "kubectl config get-contexts"),
    ("promote --whole=yes", "does not take a value", "kubectl canario promote --help"),
]
FOLLOWING_THE_ENVIRONMENT = [
    ({"CANARIO_ON": "kubernetes"}, "status fraud", "no cluster is configured"),
    ({"CANARIO_ON": "kubernetes"}, "status fraud --on local", "fraud was never up here"),
    ({"CANARIO_NAMESPACE": "models"}, "status fraud", "fraud was never up here"),
    ({"CANARIO_ON": "mars"}, "status fraud", "'mars' is not one of"),
]


@pytest.fixture
def nowhere(canario: Canario, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that knows no cluster."""
    in_process(monkeypatch, canario.environment)
    for name in ("CANARIO_ON", "CANARIO_CONTEXT", "CANARIO_NAMESPACE", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(canario.folder))
    monkeypatch.setenv("KUBECONFIG", str(canario.folder / "no-kubeconfig"))
    return canario.folder


@pytest.fixture
def silent_cluster(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A cluster whose API server does not answer; its context is `home`, its namespace `models`."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    file = nowhere / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "home",
        "clusters": [{"name": "home", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "home", "context": {"cluster": "home", "user": "ana", "namespace": "models"}}],
        "users": [{"name": "ana", "user": {}}],
    }
    file.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", str(file))
    return f"http://127.0.0.1:{port}"


def problem(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The error and the hint; nothing else was printed where a program would read it."""
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Traceback" not in streams.err
    lines = [line for line in streams.err.splitlines() if line.startswith(("error: ", "  hint: "))]
    return lines[0], lines[-1]


@pytest.mark.parametrize(("line", "exit_code", "message", "hint"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_command_line_to_a_cluster_is_refused_with_help(
    line: str, exit_code: int, message: str, hint: str, nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flags that do not fit, a cluster that nobody configured, and what is Helm's work: each says so and what to type."""
    assert run(shlex.split(line), PROGRAM) == exit_code
    error, way_out = problem(capsys)
    assert message in error
    assert hint in way_out


@pytest.mark.parametrize(
    ("line", "message", "hint"), WRONG_OF_THE_PLUGIN, ids=[f"kubectl canario {row[0]}" for row in WRONG_OF_THE_PLUGIN]
)
def test_the_plugin_calls_itself_by_its_own_name(
    line: str, message: str, hint: str, nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who types `kubectl canario` is told of `kubectl canario`, and needs no --on."""
    assert run(shlex.split(line), KUBECTL_PROGRAM) == USAGE
    error, way_out = problem(capsys)
    assert message in error
    assert hint in way_out


@pytest.mark.parametrize(("environment", "line", "message"), FOLLOWING_THE_ENVIRONMENT)
def test_the_environment_says_what_flags_leave_out(
    environment: dict[str, str],
    line: str,
    message: str,
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CANARIO_ON and its like hold where no flag is typed, and a flag wins over them."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run(shlex.split(line)) in (FAILED, USAGE)
    assert message in problem(capsys)[0]


@pytest.mark.parametrize("verb", ["status", "promote", "history", "explain", "rollback", "watch"])
def test_a_cluster_that_does_not_answer_is_named(
    verb: str, silent_cluster: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API server out of reach is an error of its own, at once, with its address and how to look at it."""
    assert run([verb, "fraud", "--on", "kubernetes"]) == FAILED
    streams = capsys.readouterr()
    assert "the API server cannot be reached" in streams.err
    assert silent_cluster in streams.err
    assert "kubectl cluster-info" in streams.err
    assert streams.out == ""


def test_every_command_of_the_plugin_shows_its_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """`kubectl canario --help` and each command's help name `kubectl canario` throughout, and no --on."""
    assert run(["--help"], KUBECTL_PROGRAM) == 0
    page = capsys.readouterr().out
    assert page.startswith("Usage: kubectl canario ")
    assert "canario train" not in page
    for name in ("rollout", "status", "watch", "promote", "pause", "resume", "abort", "rollback", "history", "explain"):
        assert f"  {name} " in page
        assert run([name, "--help"], KUBECTL_PROGRAM) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"Usage: kubectl canario {name} ")
        assert "--on" not in shown
        examples = shown.partition("Examples:")[2].strip().splitlines()
        assert all(line.strip().startswith("kubectl canario ") for line in examples)


def test_an_unknown_context_is_told_with_the_known_ones(
    silent_cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A context that is misspelt is refused before anything is asked, and the right spellings are listed."""
    assert run(["status", "--on", "kubernetes", "--context", "hoem"]) == USAGE
    error, way_out = problem(capsys)
    assert "this machine knows no cluster as hoem" in error
    assert way_out.endswith("it knows: home")
