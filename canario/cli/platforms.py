"""The platforms that the commands speak to, and which model is meant when none is named."""

from __future__ import annotations

import getpass
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from canario.adapters.homes import canario_home
from canario.errors import NotFound, UsageError
from canario.model.address import Address, PlatformKind
from canario.model.deployment import Status
from canario.platforms.local.platform import LocalPlatform
from canario.ports.platform import Platform

if TYPE_CHECKING:
    from canario.adapters.kubernetes_api import KubernetesApi
    from canario.platforms.kubernetes.platform import KubernetesPlatform

HERE = Address()
"""This machine."""


def platform_of(address: Address, model: str) -> Platform:
    """The platform of a model; of the only one that is up there when it is left out.

    Raises NotFound when nothing is up or the model never was, UsageError when several could be meant or no cluster is configured.
    """
    return local_platform(model) if address.on is PlatformKind.LOCAL else cluster_platform(address, model)


def local_platform(model: str) -> LocalPlatform:
    """The same, for what can only be done on this machine."""
    if not model:
        model = _only_one([status.model for _, status in all_statuses(HERE)], HERE)
    elif model not in _models_known():
        known = ", ".join(_models_known()) or "none"
        raise NotFound(
            f"{model} was never up here",
            hint=f"`canario up {model}` brings it up; known here: {known}; --on kubernetes asks a cluster",
        )
    return LocalPlatform(model)


def cluster_platform(address: Address, model: str) -> KubernetesPlatform:
    """The same, for what can only be done in a cluster. That the model is there is found out when it is asked."""
    from canario.platforms.kubernetes.platform import KubernetesPlatform

    api, address = _connected(address)
    if not model:
        model = _only_one(models_of(address), address)
    return KubernetesPlatform(api, address.namespace, model, address)


def all_statuses(address: Address) -> list[tuple[Address, Status]]:
    """Every model that is up there, by name, and where that is."""
    if address.on is PlatformKind.LOCAL:
        local = (LocalPlatform(model).status() for model in _models_known())
        return [(address, status) for status in local if status.is_up]
    from canario.platforms.kubernetes.platform import KubernetesPlatform, models_in

    api, address = _connected(address)
    platforms = [
        KubernetesPlatform(api, address.namespace, model, address) for model in models_in(api, address.namespace)
    ]
    return [(address, platform.status()) for platform in platforms]


def models_of(address: Address) -> list[str]:
    """The names of the models of a cluster's namespace."""
    from canario.platforms.kubernetes.platform import models_in

    api, address = _connected(address)
    return models_in(api, address.namespace)


def where_versions_run() -> dict[str, str]:
    """By version, such as `fraud:v2`: what it is where it runs on this machine, such as `stable on http://127.0.0.1:8080`."""
    places = {}
    for _, status in all_statuses(HERE):
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


def nothing_up(address: Address) -> str:
    """What brings a model up there, in words."""
    if address.on is PlatformKind.LOCAL:
        return "`canario up MODEL` brings one up, `canario list` shows what there is"
    where = "another namespace is asked with -n" if address.namespace else "-n names a namespace"
    return f"`{address.helm('install MODEL helm/model --set image=IMAGE')}` brings one up; {where}"


def _connected(address: Address) -> tuple[KubernetesApi, Address]:
    """The cluster, and the address with the namespace that is meant; nothing is asked yet."""
    from canario.adapters.kubernetes_api import connect

    api = connect(address.context, address.namespace)
    return api, replace(address, namespace=api.namespace)


def _models_known() -> list[str]:
    return sorted(state.parent.name for state in Path(canario_home() / "local").glob("*/state.json"))


def _only_one(up: list[str], address: Address) -> str:
    if not up:
        where = f" in namespace {address.namespace}" if address.on is PlatformKind.KUBERNETES else ""
        raise NotFound(f"no model is up{where}", hint=nothing_up(address))
    if len(up) > 1:
        raise UsageError(f"several models are up: {', '.join(up)}", hint="name the one that is meant")
    return up[0]
