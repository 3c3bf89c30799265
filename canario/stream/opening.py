"""Chooses where messages are kept: in a file of this machine, or in the broker that CANARIO_BROKER_URL names."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from canario.adapters.homes import stream_file
from canario.errors import UsageError
from canario.model.version import MODEL_PATTERN
from canario.ports.stream import Broker

BROKER_URL = "CANARIO_BROKER_URL"
"""The setting; empty or absent: a file of this machine."""
_HINT = f"set {BROKER_URL} to amqp://USER:PASSWORD@HOST:5672/VHOST, amqps://... or sqlite:PATH, or unset it for a file of this machine"


def open_broker(model: str, url: str | None = None) -> Broker:
    """The broker of one model's messages; it connects with the first question. Raises UsageError for a name or a URL that cannot be.

    `url` in place of the setting, "" for the file of this machine.
    """
    _check_name(model)
    url = os.environ.get(BROKER_URL, "") if url is None else url
    scheme, colon, rest = url.partition(":")
    if not url or (scheme == "sqlite" and colon):
        from canario.stream.sqlite import SqliteBroker

        path, _, settings = rest.partition("?")
        return SqliteBroker(_file(path) if url else stream_file(model), **_sqlite_settings(settings))
    # Never the whole URL in an error: it may hold a password.
    if scheme not in ("amqp", "amqps") or not colon:
        begins = f"it begins with {scheme[:16]}:" if colon else "it names no scheme"
        raise UsageError(f"no broker is known by such a URL: {begins}", at=BROKER_URL, hint=_HINT)
    if not _names_a_host(url):
        raise UsageError(f"the URL of the broker names no host and port: {scheme}:...", at=BROKER_URL, hint=_HINT)
    from canario.stream.rabbitmq import RabbitMq

    return RabbitMq(url)


def _check_name(model: str) -> None:
    """It becomes the name of a file, and of queues."""
    if re.fullmatch(MODEL_PATTERN, model):
        return
    begins, colon, _ = model.partition(":")
    if colon and re.fullmatch(MODEL_PATTERN, begins):
        raise UsageError(f"{model} names a version, and queues are a model's", at="MODEL", hint=f"write {begins}")
    raise UsageError(
        f"{model[:80]!r} is no model's name",
        at="MODEL",
        hint="it has up to 50 small letters, digits and hyphens; `canario list` shows the models stored here",
    )


def _sqlite_settings(query: str) -> dict[str, int]:
    settings = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in ("most_waiting", "longest_body_bytes"):
            raise UsageError(f"sqlite: has no setting {name!r}", at=BROKER_URL, hint="most_waiting, longest_body_bytes")
        if not text.isdecimal() or (name != "most_waiting" and int(text) == 0):
            raise UsageError(
                f"{name} is {text!r}", at=BROKER_URL, hint="a whole number; most_waiting=0 is without a bound"
            )
        settings[name] = int(text)
    return settings


def _file(path: str) -> Path:
    if not path:
        raise UsageError("sqlite: names no file", at=BROKER_URL, hint="write sqlite:PATH")
    if path.startswith("//"):
        raise UsageError(
            "sqlite: takes a path, not an address", at=BROKER_URL, hint=f"write sqlite:/{path.lstrip('/')}"
        )
    if Path(path).is_dir():
        raise UsageError(
            f"{path} is a folder", at=BROKER_URL, hint="name a file in it: it is made when it is not there"
        )
    return Path(path).expanduser().absolute()


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
