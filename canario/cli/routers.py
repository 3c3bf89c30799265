"""Where a model's router is: as told, or that of the model that is up on this machine."""

from __future__ import annotations

from canario.errors import Conflict


def router_of(model: str, url: str = "") -> tuple[str, str]:
    """The model's name and its router's address. Raises NotFound or Conflict when it must be up here and is not."""
    from canario.cli.platforms import platform_of
    from canario.model.address import Address

    if url and model:
        return model, url.rstrip("/")
    platform = platform_of(Address(), model)
    status = platform.status()
    if not status.is_up:
        raise Conflict(
            f"{platform.model} is not up",
            hint=f"`canario up {platform.model}` brings it up; --router names a router elsewhere",
        )
    return platform.model, url.rstrip("/") or status.url
