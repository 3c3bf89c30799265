"""The house as it should be: sizes, opening sentences, names; the floors themselves are proved by import-linter."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_MODULE_LINES = 400
LONGEST_FUNCTION_LINES = 60
MOST_PARAMETERS = 8
MOST_PORT_METHODS = 4
DOOR_LINES = 60
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
PLACES = ("canario", "bentos", "demo", "benchmarks", "helm", "tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def tracked_files() -> list[Path]:
    """Every file of the project, as a clone would have it, and the new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def modules() -> list[Path]:
    """Every Python module that people write."""
    return [
        path
        for path in tracked_files()
        if path.suffix == ".py"
        and "_pb2" not in path.name
        and path.relative_to(ROOT).parts[0] in (*PLACES, "service.py")
    ]


def parsed() -> Iterator[tuple[Path, ast.Module]]:
    for path in modules():
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def parameters(function: Function) -> int:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in every)


def test_every_module_opens_with_a_sentence() -> None:
    """A newcomer who opens any module reads first what it is for."""
    silent = [str(path) for path, tree in parsed() if not (ast.get_docstring(tree) or "").strip()]
    assert silent == []


def test_no_module_is_too_long() -> None:
    """No module is longer than a person can hold in mind."""
    long = {
        str(path): path.read_text().count("\n")
        for path in modules()
        if path.read_text().count("\n") > LONGEST_MODULE_LINES
    }
    assert long == {}


def test_no_function_is_too_long_or_takes_too_much() -> None:
    """No function is longer than a screen, and none needs more arguments than a person can remember."""
    wrong = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in parsed()
        for function in functions(tree)
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION_LINES
        or (
            parameters(function) > MOST_PARAMETERS and path.parts[0] != "tests" and path.parts[:2] != ("canario", "cli")
        )
    ]
    assert wrong == []


def test_every_test_promises_something() -> None:
    """Each test opens with a sentence that promises something to a user, so that the tests read as the specification."""
    silent = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in parsed()
        if path.parts[0] == "tests"
        for function in functions(tree)
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").strip()
    ]
    assert silent == []


def test_no_vague_names() -> None:
    """No room, module or public name hides behind a word that says nothing."""
    vague = [
        str(path.relative_to(ROOT))
        for path in modules()
        for word in re.split(r"[/_.]", str(path.relative_to(ROOT)))
        if word in VAGUE_NAMES
    ]
    vague += [
        f"{path}: {node.name}"
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, Named)
        and any(word.lower() in VAGUE_NAMES for word in re.findall(r"[A-Z]?[a-z]+", node.name))
    ]
    assert vague == []


def test_a_port_has_at_most_four_methods() -> None:
    """A seam stays narrow enough that another adapter is an afternoon's work."""
    wide = [
        f"{path}: {node.name}"
        for path, tree in parsed()
        if path.parts[:2] == ("canario", "ports")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and sum(isinstance(part, Function) for part in node.body) > MOST_PORT_METHODS
    ]
    assert wide == []


def test_the_door_of_the_bento_is_short() -> None:
    """The Bento's service declares a service and nothing else."""
    assert (ROOT / "service.py").read_text().count("\n") <= DOOR_LINES


def test_public_functions_of_the_product_are_documented() -> None:
    """Whatever another room may call says what it gives, in what unit, and what it raises."""
    silent = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in parsed()
        if path.parts[0] == "canario"
        for node in tree.body
        if isinstance(node, Named)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and path.name != "errors.py"
    ]
    assert silent == []


def test_test_folders_mirror_the_rooms() -> None:
    """The tests of a room are found by its name."""
    rooms = {path.name for path in (ROOT / "canario").iterdir() if path.is_dir() and path.name != "__pycache__"}
    others = {"architecture", "bentos", "cluster", "demo", "e2e", "helm"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= rooms | others


def test_every_room_is_in_the_architecture_page() -> None:
    """The architecture page names every room of the house."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.name for path in (ROOT / "canario").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [room for room in rooms if f"{room}/" not in page] == []


@pytest.mark.parametrize("language", ["README.md", "README.pt-BR.md"])
def test_the_readme_names_only_commands_that_exist(language: str) -> None:
    """Every `canario` command and `make` target that a README tells its reader to type is there."""
    text = (ROOT / language).read_text()
    helped = subprocess.run(
        [ROOT / ".venv/bin/canario", "--help"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = "\n".join(block for kind, block in fenced if kind in ("", "bash", "sh", "console"))
    typed = set(re.findall(r"^(?:kubectl )?canario ([a-z]+)", blocks, re.MULTILINE))
    made = set(re.findall(r"\bmake ([a-z0-9-]+)", blocks))
    assert typed, "the README shows no canario command"
    assert [command for command in typed if not re.search(rf"^\s+{command}\b", helped, re.MULTILINE)] == []
    assert made - targets == set()
