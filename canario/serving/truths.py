"""Late truths, as `POST /feedback` takes them, one or many; what fits a label is said in canario.feedback.incoming."""

from __future__ import annotations

import msgspec

from canario.errors import InputError, TooLarge
from canario.feedback.incoming import (
    ID_PATTERN,
    LONGEST_ID_CHARACTERS,
    Incoming,
    SentTruth,
    checked,
    read_lines,
    read_list,
)
from canario.kernel.rows import reason_and_place
from canario.model.card import Card
from canario.model.feedback import Feedback

__all__ = ["ID_PATTERN", "LONGEST_ID_CHARACTERS", "MOST_REFUSALS", "is_list", "read_truth", "read_truths"]

MOST_REFUSALS = 100
"""What an answer tells of the truths that were refused; the others are only counted."""

_DECODER = msgspec.json.Decoder(SentTruth)


def is_list(body: bytes) -> bool:
    """Whether a JSON body holds many truths."""
    return body[:64].lstrip()[:1] == b"["


def read_truth(card: Card, body: bytes, now_seconds: float) -> Feedback:
    """The truth in a body `{"prediction_id": ..., "truth": ...}`. Raises InputError when it does not fit the label."""
    try:
        sent = _DECODER.decode(body)
    except (ValueError, RecursionError) as wrong:
        what, at = reason_and_place(wrong)
        raise InputError(
            what, at=at.removeprefix("."), hint='send {"prediction_id": "...", "truth": ...}, or a list of them'
        ) from wrong
    return checked(card.label, sent, now_seconds)


def read_truths(card: Card, body: bytes, now_seconds: float, *, is_lines: bool, most: int) -> Incoming:
    """The truths in a JSON list, or in lines. Raises InputError when it is neither, TooLarge when they are too many."""
    incoming = (read_lines if is_lines else read_list)(card.label, body, now_seconds)
    found = len(incoming.feedback) + len(incoming.refusals)
    if found > most:
        raise TooLarge(f"{found} truths are too many for one request", hint=f"send at most {most} at once")
    return incoming
