"""MODEL and VERSION on the command line, and what Tab completes them to; finding what is meant is for the commands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import click

from canario.adapters.homes import canario_home, model_store, rooms_folder
from canario.errors import CanarioError
from canario.model.address import Address, PlatformKind

Completion = Callable[[click.Context, click.Parameter, str], list[str]]


def _names(root: Path, pattern: str) -> set[str]:
    """The folders below `root` that match, as names such as `fraud` and `fraud:v2`; hidden ones are left out."""
    folders = [path for path in root.glob(pattern) if path.is_dir() and not path.name.startswith((".", "_"))]
    return {str(path.relative_to(root)).replace("/", ":") for path in folders}


def _completing(names: Callable[[], set[str]]) -> Completion:
    return lambda _context, _parameter, typed: sorted(name for name in names() if name.startswith(typed))


_rooms = _completing(lambda: _names(rooms_folder(), "*"))
_models = _completing(lambda: _names(model_store(), "*"))
_versions = _completing(lambda: _names(model_store(), "*") | _names(model_store(), "*/*"))
_up_here = _completing(lambda: _names(canario_home() / "local", "*"))


def _running(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The models that are up where the flags before them lead; a cluster that cannot be asked has none."""
    if context.params.get("on") != PlatformKind.KUBERNETES:
        return _up_here(context, parameter, typed)
    from canario.cli.platforms import models_of

    chosen = {name: context.params.get(name) or "" for name in ("context", "namespace")}
    with contextlib.suppress(CanarioError):
        found = models_of(Address(on=PlatformKind.KUBERNETES, **chosen))
        return [name for name in found if name.startswith(typed)]
    return []


room_argument = click.argument("model", shell_complete=_rooms)
room_choice = click.argument("model", default="", shell_complete=_rooms)
"""The same, where there is something to do without one."""
model_argument = click.argument("model", default="", shell_complete=_models)
version_argument = click.argument("version", shell_complete=_versions)
running_argument = click.argument("model", default="", shell_complete=_running)
"""A model that is up; the only one when it is left out."""
