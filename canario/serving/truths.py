"""Late truths, as `POST /feedback` takes them; keeping them is for canario.feedback.store."""

from __future__ import annotations

import math
import re

import msgspec

from canario.errors import InputError
from canario.model.card import Card, Task
from canario.model.feedback import Feedback
from canario.serving.rows import reason_and_place

ID_PATTERN = r"^[A-Za-z0-9_.-]+\.[A-Za-z0-9_.-]{1,64}\.[0-9]{1,9}$"
LONGEST_ID_CHARACTERS = 200


class _Truth(msgspec.Struct, forbid_unknown_fields=True):
    prediction_id: str
    truth: str | float


_ID = re.compile(ID_PATTERN)
_DECODER = msgspec.json.Decoder(_Truth)


def read_truth(card: Card, body: bytes, now_seconds: float) -> Feedback:
    """The truth in a body `{"prediction_id": ..., "truth": ...}`. Raises InputError when it does not fit the label."""
    try:
        sent = _DECODER.decode(body)
    except (ValueError, RecursionError) as wrong:
        what, at = reason_and_place(wrong)
        raise InputError(what, at=at.removeprefix("."), hint='send {"prediction_id": "...", "truth": ...}') from wrong
    if len(sent.prediction_id) > LONGEST_ID_CHARACTERS or not _ID.fullmatch(sent.prediction_id):
        raise InputError(
            "this is not a prediction's id",
            at="prediction_id",
            hint="send the prediction_id of an answer of POST /predict, such as v2.4f1c.0",
        )
    return Feedback(prediction=sent.prediction_id, truth=_checked(card, sent.truth), at_seconds=now_seconds)


def _checked(card: Card, truth: str | float) -> str | float:
    label = card.label
    if label.task is Task.CLASSIFICATION:
        if not isinstance(truth, str) or truth not in label.classes:
            raise InputError(
                f"{label.name} has no class {str(truth)[:60]!r}", at="truth", hint=f"one of {', '.join(label.classes)}"
            )
        return truth
    if isinstance(truth, str) or not math.isfinite(truth):
        raise InputError(f"{label.name} is a number", at="truth", hint="send a finite number")
    return truth
