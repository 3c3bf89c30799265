"""The platforms that the commands speak to, and which model is meant when none is named."""

from __future__ import annotations

import getpass
from pathlib import Path

from canario.adapters.homes import canario_home
from canario.errors import NotFound, UsageError
from canario.model.deployment import Status
from canario.platforms.local.platform import LocalPlatform


def platform_of(model: str) -> LocalPlatform:
    """The platform of a model; of the only one that is up when it is left out.

    Raises NotFound when nothing is up or the model never was, UsageError when several could be meant.
    """
    if not model:
        model = _only_one_up()
    elif model not in _models_known():
        known = ", ".join(_models_known()) or "none"
        raise NotFound(f"{model} was never up here", hint=f"`canario up {model}` brings it up; known here: {known}")
    return LocalPlatform(model)


def all_statuses() -> list[Status]:
    """Every model that is up, by name."""
    statuses = []
    for model in _models_known():
        status = LocalPlatform(model).status()
        if status.is_up:
            statuses.append(status)
    return statuses


def where_versions_run() -> dict[str, str]:
    """By version, such as `fraud:v2`: what it is where it runs, such as `stable on http://127.0.0.1:8080`."""
    places = {}
    for status in all_statuses():
        for server in status.servers:
            places[f"{status.model}:{server.version}"] = f"warm on {status.url}"
        if status.rollout:
            places[f"{status.model}:{status.rollout.state.candidate}"] = f"candidate on {status.url}"
        places[f"{status.model}:{status.stable}"] = f"stable on {status.url}"
    return places


def actor() -> str:
    """Who gives a command, as this machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _models_known() -> list[str]:
    return sorted(state.parent.name for state in Path(canario_home() / "local").glob("*/state.json"))


def _only_one_up() -> str:
    up = [status.model for status in all_statuses()]
    if not up:
        raise NotFound("no model is up", hint="`canario up MODEL` brings one up, `canario list` shows what there is")
    if len(up) > 1:
        raise UsageError(f"several models are up: {', '.join(up)}", hint="name the one that is meant")
    return up[0]
