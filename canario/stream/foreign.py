"""What messages of any client become here: an id that fits, headers in words, a body of a bearable size; it knows no broker."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
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
CUT_HEADERS = "canario-cut-headers"
"""How many headers were left out here, because there is no room for them beside a reason why the message is dead."""
LONGEST_HEADER_NAME_BYTES = 128
"""RabbitMQ's client would cut a longer one, and say so only in a log."""
MOST_FOREIGN_BYTES = 72_000
"""Of all headers that are not canario's."""
MOST_OWN_BYTES = 14_000
"""Of those that are, or say so. A dead letter's own are fewer; a stranger's stay beside them."""
OWN = "canario-"
LAST_SECONDS = 253_402_300_799.0
"""The last second of the year 9999: there is no later moment."""

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


def fitting_headers(headers: Mapping[str, str], first: Collection[str]) -> dict[str, str]:
    """Those that can be passed on with a reason beside them, and how many cannot; why it can't be answered, if the router needed one of these.

    `first` are the last to be left out.
    """
    kept: dict[str, str] = {}
    left_out: list[str] = []
    room = {True: MOST_OWN_BYTES, False: MOST_FOREIGN_BYTES}
    for name in sorted(headers, key=lambda each: not (each in first or each == CORRELATION or _is_for_router(each))):
        size, is_own = header_bytes(name, headers[name]), name.startswith(OWN)
        if len(name.encode()) > LONGEST_HEADER_NAME_BYTES or size > room[is_own]:
            left_out.append(name)
            continue
        room[is_own] -= size
        kept[name] = headers[name]
    if left_out:
        kept[CUT_HEADERS] = str(len(left_out))
    if any(map(_is_for_router, left_out)):
        kept[UNREADABLE] = (
            f"its headers for the router are too long: a name has at most {LONGEST_HEADER_NAME_BYTES} bytes, "
            f"all headers together {MOST_FOREIGN_BYTES}"
        )
    return kept


def _is_for_router(name: str) -> bool:
    return name[:2].lower() == "x-"


def header_bytes(name: str, text: str) -> int:
    """How much of a frame a header takes."""
    return len(name.encode()) + len(text.encode()) + 8


def seconds(text: str) -> float | None:
    """A point in time that a header says, in seconds since 1970; None when it is none, or none of these years."""
    try:
        read = float(text)
    except ValueError:
        return None
    return read if 0 < read <= LAST_SECONDS else None


def moment(at_seconds: float) -> datetime:
    """Seconds since 1970 as a moment, the last one there is for what is later."""
    return datetime.fromtimestamp(min(max(at_seconds, 0.0), LAST_SECONDS), UTC)
