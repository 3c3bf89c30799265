"""What messages of any client become here: an id that fits, headers in words, a body of a bearable size; it knows no broker."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

UNREADABLE = "canario-unreadable"
"""The header that says why a message can't be answered as it came; a worker puts it with the dead, with these words as the reason."""
CUT_BYTES = "canario-cut-bytes"
"""How long a body was of which only the beginning is here."""
CUT_DIGEST = "canario-cut-sha256"
"""The digest of the whole body of which only the beginning is here."""
CORRELATION = "correlation-id"
"""What a client that waits for an answer knows it by; an answer has the question's."""

KEPT_OF_A_CUT_BODY_BYTES = 64 * 1024
LONGEST_WORDS = 8 * 1024
"""Of one header; what is longer is cut."""

_FITTING_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


def fitting_id(text: str, otherwise: Iterable[object]) -> str:
    """An id as it is when it fits; else one made of what the sender did say, the same whenever the message comes again.

    Two messages without an id that are alike in everything are one message, then: who means two gives them ids.
    """
    if _FITTING_ID.fullmatch(text):
        return text
    made = hashlib.sha256()
    for part in (text, *otherwise):
        some = part if isinstance(part, bytes) else words(part).encode()
        made.update(len(some).to_bytes(8, "big") + some)
    return f"made-{made.hexdigest()[:40]}"


def words(value: object) -> str:
    """A header's value as words on one line, whatever type the sender gave it."""
    match value:
        case None:
            text = ""
        case str():
            text = value
        case bytes() | bytearray():
            text = bytes(value).decode("utf-8", "replace")
        case bool():
            text = "true" if value else "false"
        case datetime():
            text = value.isoformat()
        case Mapping() | list() | tuple():
            text = json.dumps(value, default=words, ensure_ascii=False, sort_keys=True)
        case _:
            text = str(value)
    return _UNPRINTABLE.sub(" ", text)[:LONGEST_WORDS]


def cut(body: bytes, longest_bytes: int) -> tuple[bytes, Mapping[str, str]]:
    """A body that may be, as it is; else its beginning and headers that say what it was, so nothing large is kept waiting."""
    if len(body) <= longest_bytes:
        return body, {}
    why = f"its body has {len(body)} bytes, more than the {longest_bytes} that are taken"
    digest = hashlib.sha256(body).hexdigest()
    return body[:KEPT_OF_A_CUT_BODY_BYTES], {UNREADABLE: why, CUT_BYTES: str(len(body)), CUT_DIGEST: digest}


def seconds(text: str) -> float | None:
    """A point in time that a header says, in seconds since 1970; None when it is none."""
    try:
        read = float(text)
    except ValueError:
        return None
    return read if math.isfinite(read) and read > 0 else None


def moment(at_seconds: float) -> datetime:
    """Seconds since 1970 as a moment."""
    return datetime.fromtimestamp(at_seconds, UTC)
